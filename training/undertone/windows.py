"""Where windows lie, in training and in a call, and how a call is made of a caller's clips."""

import numpy as np
import torch

WINDOW_FRAMES = 240
HOP_FRAMES = 24
MIN_SPEECH_FRAMES = 32
# Fewest frames of speech that an early window of training holds.
EARLIEST_FRAMES = 24
# Frames of a step of the head.
STRIDE = 8
# A window weighs in the verdict on its utterance as its share of speech to this power.
VERDICT_POWER = 6
# Frames not marked as speech after which the next ones are another utterance: src/pipeline/speech-detector.ts ends one
# 40 frames after its last active frame, of which it marks 12, and marks up to 6 before an onset.
PAUSE_BETWEEN_UTTERANCES = 25
# Pauses between the clips of a call, frames: longer than a window and its context, because the live pipeline forgets what
# was said before an utterance, and normalisation does not hear pauses.
PAUSE_FRAMES = (380, 400)


def pad(clips, index, mean, lead=None, rates=None, before=None):
    """Clips of a batch, minus the prior mean: `[B, T, 104]`, heard `[B, T]`, first frame of each clip `[B]`.

    lead: for each row None, or (clip, frames, pause): that many last frames of an earlier clip and a pause before it.
    rates: for each row how fast it is played, by picking the nearest frame. before: for each row how many frames at most before
    the first that is heard; those after the last are left out too. The network sees zeros there either way, and they cost as
    much as speech; None leaves clips whole. T is a multiple of 8.
    """
    leads = [None] * len(index) if lead is None else lead
    rates = np.ones(len(index)) if rates is None else rates
    rows, starts = [], []
    for row, (i, one, rate) in enumerate(zip(index, leads, rates)):
        picked = played(len(clips.heard[i]), rate)
        if before is not None:
            first, last = np.flatnonzero(clips.heard[i][picked])[[0, -1]]
            picked = picked[max(0, first - before[row]) : last + 1]
        parts = [(clips.features[i][picked] - mean, clips.heard[i][picked])]
        if one is not None:
            other, frames, pause = one
            picked = played(len(clips.heard[other]), rate)[-frames:]
            parts = [(clips.features[other][picked] - mean, clips.heard[other][picked]), (np.zeros((pause, len(mean))), np.zeros(pause)), *parts]
        starts.append(sum(len(flags) for _, flags in parts[:-1]))
        rows.append(parts)
    frames = max(start + len(parts[-1][1]) for start, parts in zip(starts, rows))
    frames = -(-frames // STRIDE) * STRIDE
    x = np.zeros((len(index), frames, len(mean)), dtype=np.float32)
    heard = np.zeros((len(index), frames), dtype=np.float32)
    for row, parts in enumerate(rows):
        at = 0
        for features, flags in parts:
            x[row, at : at + len(flags)], heard[row, at : at + len(flags)] = features, flags
            at += len(flags)
    return torch.from_numpy(x), torch.from_numpy(heard), np.array(starts)


def played(frames, rate):
    """Which of `frames` frames are heard when they are played `rate` times as fast."""
    return np.minimum(np.round(np.arange(int(frames / rate)) * rate).astype(np.int64), frames - 1)


def random_ends(heard, starts, rng, count, early_share=0.0):
    """`[B, count]` window ends on the trunk's grid: the first after the whole clip, but for `early_share`; the others anywhere in it."""
    ends = np.zeros((len(heard), count), dtype=np.int64)
    for row, (flags, start) in enumerate(zip(heard.numpy(), starts)):
        spoken = start + np.flatnonzero(flags[start:])
        if not len(spoken):
            spoken = np.array([start])
        first, last = spoken[min(len(spoken), EARLIEST_FRAMES) - 1] + 1, spoken[-1] + 1
        early = early_share > 0 and rng.random() < early_share
        ends[row, 0] = rng.integers(first, last + HOP_FRAMES) if early else last + rng.integers(0, HOP_FRAMES)
        ends[row, 1:] = rng.integers(first, last + HOP_FRAMES, count - 1)
    return -(-ends // STRIDE) * STRIDE


def cut(steps, ends):
    """Windows of trunk steps `[B, N, D]` before each end (frames, `[B, W]`): `[B W, 30, D]`, zeros before the start."""
    length = WINDOW_FRAMES // STRIDE
    batch, _, size = steps.shape
    index = torch.from_numpy(ends // STRIDE)[..., None] + torch.arange(-length, 0)
    inside = (index >= 0) & (index < steps.shape[1])
    rows = index.clamp(0, steps.shape[1] - 1) + torch.arange(batch).view(-1, 1, 1) * steps.shape[1]
    windows = steps.reshape(-1, size).index_select(0, rows.reshape(-1)) * inside.reshape(-1, 1)
    return windows.view(-1, length, size)


def call_of(clips, order, rng):
    """One caller's clips in an order, with pauses: where each begins (frames) and how long the call is (whole hops)."""
    starts, at = [], 0
    for i in order:
        starts.append(at)
        at += len(clips.heard[i]) + int(rng.integers(*PAUSE_FRAMES))
    return np.array(starts), -(-at // HOP_FRAMES) * HOP_FRAMES


def utterances(heard):
    """(first, end) of each utterance: speech without so long a pause that the live detector ends it."""
    at = np.flatnonzero(heard)
    breaks = np.flatnonzero(np.diff(at) > PAUSE_BETWEEN_UTTERANCES)
    return list(zip(at[np.concatenate([[0], breaks + 1]).astype(int)], at[np.concatenate([breaks, [len(at) - 1]]).astype(int)] + 1)) if len(at) else []


def window_ends(heard):
    """Frames (exclusive) at which a live call is scored: on the hop's grid, enough heard, and lately."""
    sums = np.concatenate([[0], np.cumsum(heard)])
    ends = np.arange(HOP_FRAMES, len(heard) + 1, HOP_FRAMES)
    enough = sums[ends] - sums[np.maximum(0, ends - WINDOW_FRAMES)] >= MIN_SPEECH_FRAMES
    return ends[enough & (sums[ends] > sums[ends - HOP_FRAMES])]
