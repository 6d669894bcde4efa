"""Scores clips as a live call would: each speaker one caller, clips in random order with pauses, one running stream."""

import numpy as np
import torch

from .metrics import softmax
from .normalize import normalize
from .windows import VERDICT_POWER, WINDOW_FRAMES, call_of, window_ends


@torch.no_grad()
def score(model, clips, mean, std, seed=0, independent=False, batch=256):
    """Every live window of an `EmoNet` or an `importing.Exported`: (`[W, 6]` logits, `[W]` index of the clip that it ends in or after, `[W]` what it weighs in the verdict).

    With `independent`, each clip is a caller of whom nothing was heard before.
    """
    rng = np.random.default_rng(seed)
    groups = [np.array([i]) for i in range(len(clips))] if independent else [
        rng.permutation(np.flatnonzero(clips.callers == caller)) for caller in np.unique(clips.callers)
    ]
    logits, owners, weights = [], [], []
    std = torch.from_numpy(std).double()
    for order in groups:
        starts, length = call_of(clips, order, rng)
        x = np.zeros((1, length, len(mean)))
        heard = np.zeros((1, length))
        for i, start in zip(order, starts):
            x[0, start : start + len(clips.heard[i])] = clips.features[i] - mean
            heard[0, start : start + len(clips.heard[i])] = clips.heard[i]
        x, heard = torch.from_numpy(x), torch.from_numpy(heard)
        z = normalize(x, heard, std).float()
        logits_at = model.over(z, heard.float())
        ends = window_ends(heard[0].numpy())
        sums = np.concatenate([[0], np.cumsum(heard[0].numpy())])
        weights.append(((sums[ends] - sums[np.maximum(0, ends - WINDOW_FRAMES)]) / WINDOW_FRAMES) ** VERDICT_POWER)
        for at in range(0, len(ends), batch):
            logits.append(logits_at(ends[at : at + batch]))
        owners.append(order[np.searchsorted(starts, ends - 1, side="right") - 1])
    return np.concatenate(logits), np.concatenate(owners), np.concatenate(weights)


def clip_posteriors(logits, owners, weights, count):
    """Mean posterior of each clip's windows, `[clips, 6]`; zeros for a clip in which nothing was scored."""
    return weighted_mean(softmax(logits), owners, weights, count)


def weighted_mean(posteriors, owners, weights, count):
    """Of windows' posteriors, by clip: src/models/smoother.ts weighs them so."""
    total = np.zeros((count, posteriors.shape[1]))
    np.add.at(total, owners, posteriors * weights[:, None])
    return total / np.maximum(total.sum(1, keepdims=True), 1e-9)


def teach(model, clips, mean, std):
    """Posteriors of the verdicts on clean clips, by path: what a network says that learns from this one; zeros where it said nothing."""
    clean = clips.where(clips.copies == 0)
    return dict(zip(clean.paths, clip_posteriors(*score(model, clean, mean, std), len(clean))))
