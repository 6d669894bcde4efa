"""Figures of a scored set: by clip, by speaker, calibrated, and pooled over folds."""

import numpy as np

from .data import LABELS
from .metrics import calibration_error, fit_temperature, macro_f1, recalls, softmax, uar
from .score import clip_posteriors


def fit_temperature_of(labels, logits, owners):
    """The temperature of the windows' posteriors, each clip weighing the same."""
    weight = 1.0 / np.bincount(owners, minlength=len(labels))[owners]
    return fit_temperature(labels[owners], logits, weight.astype(np.float32))


def figures(clips, logits, owners, temperature):
    """Of a set of `Clips`: all that a run's line says."""
    return figures_of(clips.labels, clips.speakers, logits, owners, temperature)


def figures_of(labels, speakers, logits, owners, temperature):
    posterior = clip_posteriors(logits, owners, len(labels), temperature)
    predicted = posterior.argmax(1)
    own = {name: uar(labels[speakers == name], predicted[speakers == name]) for name in np.unique(speakers)}
    confusion = np.zeros((len(LABELS), len(LABELS)), dtype=int)
    np.add.at(confusion, (labels, predicted), 1)
    return {
        "uar": uar(labels, predicted),
        "accuracy": float((predicted == labels).mean()),
        "macroF1": macro_f1(labels, predicted),
        "ece": calibration_error(labels, posterior),
        "eceOfWindows": calibration_error(labels[owners], softmax(logits / temperature)),
        "perClassRecall": recalls(labels, predicted),
        "speakerUar": {"least": min(own.values()), "median": float(np.median(list(own.values()))), "most": max(own.values())},
        "confusion": confusion.tolist(),
        "clips": len(labels),
        "windows": len(owners),
        "speakers": len(own),
        "temperature": temperature,
    }


def pooled(parts, name):
    """Over folds: the mean of their UARs, and figures over all clips with temperatures fitted on the other folds."""
    folds = []
    for number, part in enumerate(parts):
        others = [other for at, other in enumerate(parts) if at != number]
        offsets = np.cumsum([0, *[len(other["labels"]) for other in others[:-1]]])
        temperature = fit_temperature_of(
            np.concatenate([other["labels"] for other in others]),
            np.concatenate([other[f"logits_{name}"] for other in others]),
            np.concatenate([other[f"owners_{name}"] + offset for other, offset in zip(others, offsets)]),
        )
        folds.append((part["labels"], part["speakers"], part[f"logits_{name}"] / temperature, part[f"owners_{name}"], temperature))
    uars = [figures_of(*fold[:4], 1.0)["uar"] for fold in folds]
    offsets = np.cumsum([0, *[len(fold[0]) for fold in folds[:-1]]])
    everything = figures_of(
        np.concatenate([fold[0] for fold in folds]), np.concatenate([fold[1] for fold in folds]), np.concatenate([fold[2] for fold in folds]),
        np.concatenate([fold[3] + offset for fold, offset in zip(folds, offsets)]), 1.0,
    )
    return {"meanUar": float(np.mean(uars)), "foldUars": uars, "temperatures": [fold[4] for fold in folds], **everything}
