"""Augmentation on features: other microphones, other voices, other speeds, missing parts."""

import numpy as np
import torch

from .data import MEL_BANDS

BAND_POSITION = torch.linspace(-1, 1, MEL_BANDS)


def cosine_transform(bands=MEL_BANDS, count=40):
    """The orthonormal DCT-II of src/pipeline/mel.ts, `[bands, count]`."""
    k, n = np.arange(count)[None], np.arange(bands)[:, None]
    scale = np.where(k == 0, np.sqrt(1 / bands), np.sqrt(2 / bands))
    return torch.from_numpy((scale * np.cos(np.pi * k * (n + 0.5) / bands)).astype(np.float32))


DCT = cosine_transform()


def channel(batch):
    """A microphone's response for each caller: gain, tilt and bumps in nepers, `[B, 104]` to add to raw features."""
    gain = 1.0 * torch.randn(batch, 1)
    tilt = 0.4 * torch.randn(batch, 1) * BAND_POSITION
    bumps = sum(
        0.25 * torch.randn(batch, 1) * torch.cos(np.pi * k * (BAND_POSITION + 1) / 2 + 2 * np.pi * torch.rand(batch, 1))
        for k in range(2, 6)
    )
    mel = gain + tilt + bumps
    return torch.cat([mel, mel @ DCT], 1)


def shift_history(before, offset):
    """The statistics of a caller's earlier speech, had it gone through the channel `offset` `[B, 104]`."""
    count, total, square = before
    return count, total + count * offset, square + 2 * offset * total + count * offset * offset


def hide(z):
    """SpecAugment (Park et al. 2019) on normalised features: hides runs of bands, of cepstra and of time."""
    batch, frames, _ = z.shape
    keep = torch.ones_like(z)
    for b in range(batch):
        for _ in range(2):
            width = np.random.randint(0, 9)
            start = np.random.randint(0, MEL_BANDS - width + 1)
            keep[b, :, start : start + width] = 0
        start = MEL_BANDS + np.random.randint(0, 36)
        keep[b, :, start : start + np.random.randint(0, 6)] = 0
        for _ in range(2):
            width = np.random.randint(0, 21)
            start = np.random.randint(0, frames - width + 1)
            keep[b, start : start + width] = 0
    return z * keep
