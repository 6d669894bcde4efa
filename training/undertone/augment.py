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


def jitter(z, amount):
    """Other statistics for each clip: normalised features stretched and shifted, neighbouring bands alike.

    What a caller's first seconds and an unheard microphone do to them; `amount` 1 is a standard deviation of about 0.3.
    """
    batch = len(z)
    shift = 0.25 * amount * channel(batch)
    stretch = torch.exp(0.12 * amount * torch.randn(batch, 1, 1))
    shift[:, MEL_BANDS:] = 0.25 * amount * torch.randn(batch, z.shape[2] - MEL_BANDS)
    return z.mul_(stretch).add_(shift[:, None])


def hide(z):
    """SpecAugment (Park et al. 2019) on normalised features: hides runs of bands, of cepstra and of time."""
    batch, frames, features = z.shape
    bands = spared(batch, MEL_BANDS, 9, 2)
    cepstra = spared(batch, features - MEL_BANDS, 6, 1)
    times = spared(batch, frames, 21, 2)
    return z.mul_(torch.cat([bands, cepstra], 1)[:, None]).mul_(times[..., None])


def spared(batch, length, widest, runs):
    """`[batch, length]` of 1, but 0 in so many runs, each shorter than `widest` and anywhere."""
    widths = np.random.randint(0, widest, (batch, runs, 1))
    starts = np.floor(np.random.random((batch, runs, 1)) * (length - widths + 1))
    at = np.arange(length)
    return torch.from_numpy(~((at >= starts) & (at < starts + widths)).any(1)).float()
