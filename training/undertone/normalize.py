"""The running normalisation of src/pipeline/normalizer.ts, for whole clips and whole calls at once."""

import numpy as np
import torch

CLIP_DEVIATIONS = 5.0
MEAN_WEIGHT_FRAMES = 30.0
STD_WEIGHT_FRAMES = 200.0
MEMORY_FRAMES = 12000


def prior_of(clips):
    """Mean over all speech frames, and the deviation within a caller (pooled): what a new caller starts from."""
    count, total, square = moments_of(clips)
    mean = total.sum(0) / count.sum()
    within = 0.0
    for caller in np.unique(clips.callers):
        own = clips.callers == caller
        n, s, q = count[own].sum(), total[own].sum(0), square[own].sum(0)
        within = within + q - s * s / n
    return mean.astype(np.float32), np.sqrt(within / count.sum()).astype(np.float32)


def moments_of(clips):
    """Per clip: heard frames `[n]`, sums and sums of squares of the raw features over them `[n, 104]`, float64."""
    count = np.array([flags.sum() for flags in clips.heard], dtype=np.float64)
    total = np.zeros((len(clips), clips.features[0].shape[1]))
    square = np.zeros_like(total)
    for i, (frames, flags) in enumerate(zip(clips.features, clips.heard)):
        heard = frames[flags > 0].astype(np.float64)
        total[i], square[i] = heard.sum(0), (heard * heard).sum(0)
    return count, total, square


def centred(moments, mean):
    """Moments about `mean`, as float32 tensors: what `normalize` takes as history."""
    count, total, square = moments
    mean = mean.astype(np.float64)
    values = count[:, None], total - count[:, None] * mean, square - 2 * mean * total + count[:, None] * mean * mean
    return [torch.from_numpy(v.astype(np.float32)) for v in values]


def normalize(x, heard, std, before=None):
    """Normalises centred features by the statistics of all speech so far.

    x: `[B, T, 104]`, raw features minus the prior mean. heard: `[B, T]` of 0 and 1. std: `[104]`, the prior's.
    before: (count `[B, 1]`, total `[B, 104]`, square `[B, 104]`) of the caller's earlier speech; None for a new caller.
    Returns `[B, T, 104]`, zero where not heard. Sums are taken in double precision where x is.
    """
    # Tensors of x's size are written in place: in training this is bound by memory, not by arithmetic.
    gate = heard[..., None]
    count = heard.cumsum(1)[..., None]
    gated = x * gate
    square = (gated * gated).cumsum_(1)
    total = gated.cumsum_(1)
    if before is not None:
        count = count + before[0][..., None]
        total += before[1][:, None]
        square += before[2][:, None]
    # In this order total and square are used up: variance from square, the mean from total.
    square.sub_((total * total).div_(count.clamp(min=1))).clamp_(min=0)
    inverse = square.add_(STD_WEIGHT_FRAMES * std * std).div_(STD_WEIGHT_FRAMES + count).rsqrt_()
    z = torch.sub(x, total.div_(MEAN_WEIGHT_FRAMES + count), out=total).mul_(inverse)
    return z.clamp_(-CLIP_DEVIATIONS, CLIP_DEVIATIONS).mul_(gate)
