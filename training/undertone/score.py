"""Scores clips as the live stream would: a window each hop, the caller's statistics as they were by then."""

import numpy as np
import torch

from .metrics import softmax
from .normalize import normalize, running_history, sums_of, to_tensors
from .windows import cut, pad, window_ends


@torch.no_grad()
def score(model, clips, mean, std, seed=0, independent=False):
    """Logits of every live window: (`[W, 6]` logits, `[W]` index of the clip). Each speaker is one caller, clips in random order.

    With `independent`, each clip is a caller of whom nothing was heard before.
    """
    model.eval()
    sums = sums_of(clips, mean)
    before = running_history(clips, sums, seed)
    if independent:
        before = [np.zeros_like(values) for values in before]
    std = torch.from_numpy(std)
    order = np.argsort([len(frames) for frames in clips.features])
    logits, owners = [], []
    for start in range(0, len(order), 32):
        index = order[start : start + 32]
        x, speech = pad(clips, index, mean)
        z = normalize(x, speech, std, to_tensors(before, index))
        ends = [window_ends(clips.speech[i]) for i in index]
        rows = np.repeat(np.arange(len(index)), [len(e) for e in ends])
        window, mask = cut(z[rows], speech[rows], np.concatenate(ends))
        logits.append(model(window, mask).numpy())
        owners.append(index[rows])
    return np.concatenate(logits), np.concatenate(owners)


def clip_posteriors(logits, owners, count, temperature=1.0):
    """Mean posterior of each clip's windows, `[clips, 6]`."""
    total = np.zeros((count, logits.shape[1]))
    np.add.at(total, owners, softmax(logits / temperature))
    return total / total.sum(1, keepdims=True)
