"""Figures of a scored set: by clip, by speaker, calibrated, and pooled over folds."""

from typing import NamedTuple

import numpy as np

from .data import LABELS
from .metrics import calibration_error, fit, fit_temperature, macro_f1, recalls, softmax, uar
from .score import weighted_mean


class Calibration(NamedTuple):
    """A window's posterior is `softmax(logits / temperature + bias)`; a verdict is the windows' mean to the power of 1 / `verdict`."""

    temperature: float
    verdict: float
    bias: np.ndarray

    def of(self, logits):
        """Posteriors of windows."""
        return softmax(logits / self.temperature + self.bias)


def verdict_temperature_of(labels, posterior):
    """The temperature of clips' mean posteriors: a mean over windows that agree is less sure than it could be."""
    scored = posterior.sum(1) > 0
    logits = np.log(np.maximum(posterior[scored], 1e-9)).astype(np.float32)
    return fit_temperature(labels[scored], logits, np.ones(len(logits), dtype=np.float32))


def sharpened(posterior, temperature):
    """Posteriors to the power of 1 / temperature, again summing to 1; rows of zeros stay."""
    powers = posterior ** (1 / temperature)
    return powers / np.maximum(powers.sum(1, keepdims=True), 1e-9)


def calibrated(labels, logits, owners, weights, biased=False):
    """Fitted on this set, each clip weighing the same. With `biased` it moves UARs too: those of this set are then too good."""
    weight = (1.0 / np.bincount(owners, minlength=len(labels))[owners]).astype(np.float32)
    temperature, bias = fit(labels[owners], logits, weight, biased)
    windows = Calibration(temperature, 1.0, bias)
    return windows._replace(verdict=verdict_temperature_of(labels, weighted_mean(windows.of(logits), owners, weights, len(labels))))


def figures(clips, logits, owners, weights, calibration):
    """Of a set of `Clips`: all that a run's line says; a clip's verdict is the weighted mean of its windows, sharpened."""
    labels, windows = clips.labels, calibration.of(logits)
    posterior = sharpened(weighted_mean(windows, owners, weights, len(labels)), calibration.verdict)
    return figures_of_verdicts(labels, clips.speakers, posterior) | {
        "eceOfWindows": calibration_error(labels[owners], windows),
        "windows": len(owners),
        "temperature": calibration.temperature,
        "verdictTemperature": calibration.verdict,
    }


def figures_of_verdicts(labels, speakers, posterior):
    predicted = posterior.argmax(1)
    own = {name: uar(labels[speakers == name], predicted[speakers == name]) for name in np.unique(speakers)}
    confusion = np.zeros((len(LABELS), len(LABELS)), dtype=int)
    np.add.at(confusion, (labels, predicted), 1)
    return {
        "uar": uar(labels, predicted),
        "accuracy": float((predicted == labels).mean()),
        "macroF1": macro_f1(labels, predicted),
        "ece": calibration_error(labels, posterior),
        "perClassRecall": recalls(labels, predicted),
        "speakerUar": {"least": min(own.values()), "median": float(np.median(list(own.values()))), "most": max(own.values())},
        "confusion": confusion.tolist(),
        "clips": len(labels),
        "speakers": len(own),
    }


def pooled(parts, name):
    """Over folds: the mean of their UARs, and figures over all clips; each fold is calibrated on the other folds alone."""
    folds = []
    for number, part in enumerate(parts):
        others = [other for at, other in enumerate(parts) if at != number]
        calibration = calibrated(*joined(others, name)[:4], biased=True)
        windows = calibration.of(part[f"logits_{name}"])
        mean = weighted_mean(windows, part[f"owners_{name}"], part[f"weights_{name}"], len(part["labels"]))
        folds.append({"windows": windows, "posterior": sharpened(mean, calibration.verdict), "calibration": calibration})
    labels, _, owners, _, speakers = joined(parts, name)
    everything = figures_of_verdicts(labels, speakers, np.concatenate([fold["posterior"] for fold in folds]))
    uars = [uar(part["labels"], fold["posterior"].argmax(1)) for part, fold in zip(parts, folds)]
    return {
        "meanUar": float(np.mean(uars)), "foldUars": uars, "temperatures": [fold["calibration"][:2] for fold in folds],
        "biases": [fold["calibration"].bias.tolist() for fold in folds], **everything,
        "eceOfWindows": calibration_error(labels[owners], np.concatenate([fold["windows"] for fold in folds])),
    }


def joined(parts, name):
    """Labels, windows' logits, the clips that own them, their weights, and speakers of several scored sets as one."""
    offsets = np.cumsum([0, *[len(part["labels"]) for part in parts[:-1]]])
    owners = np.concatenate([part[f"owners_{name}"] + offset for part, offset in zip(parts, offsets)])
    labels, speakers = (np.concatenate([part[key] for part in parts]) for key in ("labels", "speakers"))
    logits, weights = (np.concatenate([part[f"{kind}_{name}"] for part in parts]) for kind in ("logits", "weights"))
    return labels, logits, owners, weights, speakers
