"""The running normalisation of src/pipeline/normalizer.ts, for whole clips at once."""

import numpy as np
import torch

CLIP_DEVIATIONS = 5.0
MEAN_WEIGHT_FRAMES = 30.0
STD_WEIGHT_FRAMES = 200.0
MEMORY_FRAMES = 12000


def prior_of(clips):
    """Mean over all speech frames, and the deviation within a speaker (pooled): what a new caller starts from."""
    total, mean = 0.0, 0.0
    for frames, speech in zip(clips.features, clips.speech):
        mean = mean + (frames * speech[:, None]).sum(0, dtype=np.float64)
        total += speech.sum()
    mean = mean / total
    within = 0.0
    for speaker in np.unique(clips.speakers):
        of_speaker = [i for i in range(len(clips)) if clips.speakers[i] == speaker]
        frames = np.concatenate([clips.features[i][clips.speech[i] > 0] for i in of_speaker]).astype(np.float64)
        within = within + frames.var(0) * len(frames)
    return mean.astype(np.float32), np.sqrt(within / total).astype(np.float32)


def sums_of(clips, mean):
    """Per clip: speech frames `[n]`, sums and sums of squares of (x - mean) over them `[n, 104]`."""
    count = np.array([speech.sum() for speech in clips.speech], dtype=np.float32)
    total = np.stack([((f - mean) * s[:, None]).sum(0) for f, s in zip(clips.features, clips.speech)])
    square = np.stack([(((f - mean) ** 2) * s[:, None]).sum(0) for f, s in zip(clips.features, clips.speech)])
    return count, total.astype(np.float32), square.astype(np.float32)


def normalize(x, speech, std, before):
    """Normalises centred features by the statistics of all speech so far.

    x: `[B, T, 104]`, raw features minus the prior mean. speech: `[B, T]` of 0 and 1. std: `[104]`, the prior's.
    before: (count `[B, 1]`, total `[B, 104]`, square `[B, 104]`) of the caller's speech before this clip.
    Returns `[B, T, 104]`, zero outside speech.
    """
    count0, total0, square0 = before
    gated = x * speech[..., None]
    count = count0[..., None] + speech.cumsum(1)[..., None]
    total = total0[:, None] + gated.cumsum(1)
    square = square0[:, None] + (gated * gated).cumsum(1)
    deviations = (square - total * total / count.clamp(min=1)).clamp(min=0)
    variance = (STD_WEIGHT_FRAMES * std * std + deviations) / (STD_WEIGHT_FRAMES + count)
    z = (x - total / (MEAN_WEIGHT_FRAMES + count)) / variance.sqrt()
    return z.clamp(-CLIP_DEVIATIONS, CLIP_DEVIATIONS) * speech[..., None]


def running_history(clips, sums, seed):
    """What each clip's caller has said before it, when each speaker's clips are played in a seeded random order."""
    count, total, square = sums
    rng = np.random.default_rng(seed)
    before = [np.zeros_like(count), np.zeros_like(total), np.zeros_like(square)]
    for speaker in np.unique(clips.speakers):
        order = rng.permutation(np.flatnonzero(clips.speakers == speaker))
        for name, values in enumerate((count, total, square)):
            before[name][order[1:]] = np.cumsum(values[order[:-1]], 0)
    return before


def to_tensors(before, index):
    """Picks the rows of `index` from a history as tensors for `normalize`."""
    count, total, square = before
    return torch.from_numpy(count[index][:, None]), torch.from_numpy(total[index]), torch.from_numpy(square[index])
