"""Trains one network on one split the way the paper does, and reports its best epoch."""

import sys
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from .corpus import LABELS
from .network import DILATION, TwoPath

BATCH = 32
LEARNING_RATE = 1e-3
FLAT_EPOCHS_TO_SLOW = 5
SLOWDOWN = 0.2
FLAT_EPOCHS_TO_STOP = 10


@dataclass
class Tables:
    """Features `[items, 141]` and label indices of both sides of a split."""

    train: np.ndarray
    train_labels: np.ndarray
    validation: np.ndarray
    validation_labels: np.ndarray


def fit(tables, network, epochs, seed, bfloat16=False, title="", progress=sys.stderr):
    """Returns `{accuracy, macroF1, epoch, epochsRun, seconds}` of the epoch with the highest validation accuracy.

    The paper has no test set: the validation clips choose the epoch and give the figure, which is optimistic by itself.
    With `bfloat16` products are computed in that precision: half the time on processors that have it.
    """
    started = time.monotonic()
    torch.manual_seed(seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    mean, deviation = tables.train.mean(0), tables.train.std(0)
    x, x_judged = [
        torch.from_numpy((part - mean) / np.maximum(deviation, 1e-9)).float().to(device) for part in (tables.train, tables.validation)
    ]
    y = torch.from_numpy(tables.train_labels).long().to(device)
    model = TwoPath(x.shape[1], len(LABELS), DILATION[network]).to(device)
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=LEARNING_RATE, eps=1e-7)
    best = {"accuracy": -1.0}
    flat = flat_at_this_rate = 0
    for epoch in range(1, epochs + 1):
        model.train()
        for index in torch.randperm(len(x)).to(device).split(BATCH):
            optimiser.zero_grad()
            with torch.autocast(device, dtype=torch.bfloat16, enabled=bfloat16):
                loss = cross_entropy(model(x[index]), y[index])
            loss.backward()
            optimiser.step()
        with torch.autocast(device, dtype=torch.bfloat16, enabled=bfloat16):
            said = predict(model, x_judged)
        accuracy, f1 = score(said, tables.validation_labels)
        if accuracy > best["accuracy"]:
            best = {"accuracy": accuracy, "macroF1": f1, "epoch": epoch}
            flat = flat_at_this_rate = 0
        else:
            flat, flat_at_this_rate = flat + 1, flat_at_this_rate + 1
        seconds = time.monotonic() - started
        left = seconds / epoch * min(epochs - epoch, FLAT_EPOCHS_TO_STOP - flat if flat else epochs)
        print(f"{title}: epoch {epoch}, accuracy {accuracy:.3f}, best {best['accuracy']:.3f}, "
              f"at least {left / 60:.0f} min left" if flat else
              f"{title}: epoch {epoch}, accuracy {accuracy:.3f}, best so far, at most {left / 60:.0f} min left",
              file=progress, flush=True)
        if flat == FLAT_EPOCHS_TO_STOP:
            break
        if flat_at_this_rate == FLAT_EPOCHS_TO_SLOW:
            flat_at_this_rate = 0
            for group in optimiser.param_groups:
                group["lr"] *= SLOWDOWN
    return {**best, "epochsRun": epoch, "seconds": round(seconds, 1)}


def predict(model, x):
    """Label indices, `[items]`."""
    model.eval()
    with torch.no_grad():
        return torch.cat([model(part).argmax(1) for part in x.split(512)]).cpu().numpy()


def score(said, true):
    """Accuracy and macro-F1 over the classes of LABELS."""
    scores = []
    for label in range(len(LABELS)):
        hits = np.sum((said == label) & (true == label))
        involved = np.sum(said == label) + np.sum(true == label)
        scores.append(2 * hits / involved if involved else 0.0)
    return float(np.mean(said == true)), float(np.mean(scores))
