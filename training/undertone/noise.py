"""Steady noise, added to features: always another one, where copies are the same few again and again."""

import numpy as np
import torch

from .augment import DCT, HIGHEST_HZ, LOWEST_HZ, band_centres
from .data import MEL_BANDS

BIN_HZ = 16000 / 512
# Of the noise's power in a band over frames: as of so many independent values for each bin that a filter covers.
VALUES_PER_BIN = 0.6
# Frames so far below the noise are not heard any more, dB.
DROWNED_DB = -18.0
# Gauss and Hermite's quadrature for a normal distribution.
NODES, WEIGHTS = (torch.from_numpy(values.astype(np.float32)) for values in np.polynomial.hermite_e.hermegauss(7))
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def _filters():
    """Of each mel filter: its area in bins, and the width in bins that is nearest to it."""
    edges = np.concatenate([[LOWEST_HZ], band_centres(), [HIGHEST_HZ]])
    return (edges[2:] - edges[:-2]) / 2 / BIN_HZ, np.diff((edges[1:] + edges[:-1]) / 2) / BIN_HZ


AREA, WIDTH = (torch.from_numpy(values.astype(np.float32)) for values in _filters())
OCTAVE = torch.from_numpy(np.log2(band_centres() / 1000).astype(np.float32))


def spectra(ratios_db, speech):
    """Noises of random colour, `[B, 64]`, natural logarithm of a band's mean energy: so many dB below `speech` `[B]` (see `power`).

    From white (0 dB an octave) to brown (-6), with bumps of 3 dB.
    """
    batch = len(speech)
    colour = -torch.rand(batch, 1) * 6 * OCTAVE
    at = torch.linspace(0, np.pi, MEL_BANDS)
    bumps = sum(1.5 * torch.randn(batch, 1) * torch.cos(k * at + 2 * np.pi * torch.rand(batch, 1)) for k in range(1, 5))
    bins = (colour + (torch.rand(batch, 1) < 0.5) * bumps) * (np.log(10) / 10)
    loudness = torch.logsumexp(bins + WIDTH.log(), 1, keepdim=True)
    level = speech.log() - torch.as_tensor(ratios_db, dtype=torch.float32) * (np.log(10) / 10)
    return bins + AREA.log() + level[:, None] - loudness


def power(mel):
    """Power of frames from their log-mel `[..., 64]`, up to a factor: each band's density times its width."""
    return torch.exp(mel + (WIDTH / AREA).log()).sum(-1)


def add(x, heard, before, mean, ratios_db):
    """Centred features `[B, T, 104]`, flags and a caller's earlier moments, had there been noise all the time.

    ratios_db: `[B]`, how far the noise lies below the mean power of what is heard of the clip; infinite for none. Powers add up;
    the noise's own fluctuates as a filtered noise's does (log-normally, which is nearly so). The cepstrum follows from the
    log-mel. Earlier moments are those of normally distributed bands with the noise added, by quadrature; those of the cepstrum
    follow nearly.
    """
    noisy = torch.from_numpy(np.flatnonzero(np.isfinite(ratios_db)))
    if not len(noisy):
        return x, heard, before
    mean = torch.from_numpy(mean)[:MEL_BANDS]
    mel, flags = x[noisy, :, :MEL_BANDS] + mean, heard[noisy]
    frames = power(mel)
    speech = (frames * flags).sum(1) / flags.sum(1).clamp(min=1)
    level = spectra(np.asarray(ratios_db)[noisy], speech.clamp(min=1e-12))
    spread = (VALUES_PER_BIN * AREA).clamp(min=1).rsqrt()
    noise = level[:, None] + spread * torch.randn_like(mel) - spread * spread / 2
    moved = torch.logaddexp(mel, noise) - mel
    x, heard = x.clone(), heard.clone()
    x[noisy] += torch.cat([moved, moved @ DCT], -1)
    heard[noisy] = flags * (frames > power(level)[:, None] * 10 ** (DROWNED_DB / 10))
    return x, heard, drowned(before, noisy, level, spread, mean)


def drowned(before, noisy, level, spread, mean):
    """Moments with the noise `level` `[N, 64]` added, for the rows `noisy`."""
    count, total, square = (values.clone() for values in before)
    n = count[noisy].clamp(min=1)
    middle = total[noisy] / n
    variance = (square[noisy] / n - middle * middle).clamp(min=0)
    bands, old = middle[:, :MEL_BANDS] + mean, variance[:, :MEL_BANDS]
    values = bands[..., None] + old.sqrt()[..., None] * NODES
    with_noise = torch.logaddexp(values, level[..., None])
    expected = (with_noise * WEIGHTS).sum(-1)
    # The noise's own fluctuation counts as far as the noise is what is heard.
    share = torch.exp(level[..., None] - with_noise)
    fluctuation = spread * spread * (share * share * WEIGHTS).sum(-1)
    new = ((with_noise - expected[..., None]) ** 2 * WEIGHTS).sum(-1) + fluctuation
    moved = expected - bands
    middle = middle + torch.cat([moved, moved @ DCT], 1)
    # Of the cepstrum nearly: bands move by what the noise leaves of their own moves. The first coefficient, which is the loudness, is so
    # to the first order; the others, which are made by the bands that stand out, lose less (measured on CREMA-D's training clips).
    gain = 1 - (share * WEIGHTS).sum(-1) @ (DCT * DCT)
    gain[:, 0] *= gain[:, 0]
    cepstral = variance[:, MEL_BANDS:] * gain + fluctuation @ (DCT * DCT)
    known = count[noisy] > 0
    total[noisy] = torch.where(known, count[noisy] * middle, total[noisy])
    square[noisy] = torch.where(known, count[noisy] * (torch.cat([new, cepstral], 1) + middle * middle), square[noisy])
    return count, total, square
