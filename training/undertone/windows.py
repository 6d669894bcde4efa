"""Cuts windows out of clips the way the live stream does: the window's end moves through the clip."""

import numpy as np
import torch

WINDOW_FRAMES = 240
HOP_FRAMES = 24
MIN_SPEECH_FRAMES = 48


def pad(clips, index, mean):
    """Clips of a batch as `[B, T, 104]` (minus the prior mean) and speech flags `[B, T]`, zero-padded to the longest."""
    frames = max(len(clips.features[i]) for i in index)
    x = np.zeros((len(index), frames, len(mean)), dtype=np.float32)
    speech = np.zeros((len(index), frames), dtype=np.float32)
    for row, i in enumerate(index):
        x[row, : len(clips.features[i])] = clips.features[i] - mean
        speech[row, : len(clips.speech[i])] = clips.speech[i]
    return torch.from_numpy(x), torch.from_numpy(speech)


def window_ends(speech):
    """Frames (exclusive) at which live windows of one clip end: from enough speech on to a hop past its last."""
    heard = np.flatnonzero(speech)
    enough = heard[min(len(heard), MIN_SPEECH_FRAMES) - 1] + 1
    last = heard[-1] + 1
    ends = np.arange(enough, last + HOP_FRAMES, HOP_FRAMES)
    return ends


def cut(z, speech, ends):
    """Windows of the last WINDOW_FRAMES frames before each end: `[B, 240, 104]`, `[B, 240]`."""
    index = torch.as_tensor(ends)[:, None] - WINDOW_FRAMES + torch.arange(WINDOW_FRAMES)[None]
    inside = (index >= 0) & (index < z.shape[1])
    index = index.clamp(0, z.shape[1] - 1)
    mask = speech.gather(1, index) * inside
    window = z.gather(1, index[..., None].expand(-1, -1, z.shape[2])) * mask[..., None]
    return window, mask


def random_ends(speech, rng):
    """One window end per clip: half of the time with the whole clip heard, else anywhere in it."""
    ends = []
    for flags in speech.numpy():
        heard = np.flatnonzero(flags)
        last = heard[-1] + 1
        enough = heard[min(len(heard), MIN_SPEECH_FRAMES) - 1] + 1
        whole = rng.random() < 0.6
        ends.append(last + rng.integers(0, 60) if whole else rng.integers(enough, last + HOP_FRAMES))
    return np.array(ends)
