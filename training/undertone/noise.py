"""Steady noise, added to features: always another one, where copies are the same few again and again."""

import numpy as np
import torch

from .augment import DCT, HIGHEST_HZ, LOWEST_HZ, band_centres, moved
from .data import CEPSTRA, MEL_BANDS

BIN_HZ = 16000 / 512
# Of the noise's power in a band over frames: as of so many independent values for each bin that a filter covers.
VALUES_PER_BIN = 0.6
# Frames so far below the noise are not heard any more, dB.
DROWNED_DB = -18.0
# What the bands of the pitch and the voicing say of noise, mean and deviation, measured on white noise.
NOISE_PITCH, NOISE_PITCH_SPREAD = 0.07, 0.12
NOISE_VOICING, NOISE_VOICING_SPREAD = 0.27, 0.07
# Of the pitch, src/pipeline/feature-extractor.ts: numbers before its bands, voicing of a voice, octaves that are no glide any more.
TRACK, VOICED_FROM, GREATEST_GLIDE = 3, 0.5, 0.4
# Bands that the pitch is heard in: src/pipeline/pitch.ts.
PITCH_HZ = 900.0
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
    """Power of frames from their log-mel `[..., bands]`, up to a factor: each band's density times its width."""
    return torch.exp(mel + (WIDTH / AREA).log()[: mel.shape[-1]]).sum(-1)


def add(x, heard, before, mean, ratios_db, cepstra=CEPSTRA):
    """Centred features `[B, T, 104]`, flags and a caller's earlier moments, had there been noise all the time.

    ratios_db: `[B]`, how far the noise lies below the mean power of what is heard of the clip; infinite for none. Powers add up;
    the noise's own fluctuates as a filtered noise's does (log-normally, which is nearly so). The cepstrum follows from the
    log-mel; of the pitch see `blur`, with the share of the power below 900 Hz that is not noise. Earlier moments are those of normally distributed bands with the noise added, by quadrature; those of the cepstrum
    follow nearly.
    """
    noisy = torch.from_numpy(np.flatnonzero(np.isfinite(ratios_db)))
    if not len(noisy):
        return x, heard, before
    means = torch.from_numpy(mean)
    mean = means[:MEL_BANDS]
    mel, flags = x[noisy, :, :MEL_BANDS] + mean, heard[noisy]
    frames = power(mel)
    speech = (frames * flags).sum(1) / flags.sum(1).clamp(min=1)
    level = spectra(np.asarray(ratios_db)[noisy], speech.clamp(min=1e-12))
    spread = (VALUES_PER_BIN * AREA).clamp(min=1).rsqrt()
    noise = level[:, None] + spread * torch.randn_like(mel) - spread * spread / 2
    x, heard, before = x.clone(), heard.clone(), drowned(before, noisy, level, spread, mean, cepstra)
    x[noisy] += moved(torch.logaddexp(mel, noise) - mel, cepstra)
    if MEL_BANDS + cepstra < x.shape[2]:
        blur(x, flags, before, noisy, share_below(mel, noise), means.numpy(), MEL_BANDS + cepstra)
    heard[noisy] = flags * (frames > power(level)[:, None] * 10 ** (DROWNED_DB / 10))
    return x, heard, before


def share_below(mel, noise):
    """Of the power below PITCH_HZ the share that is not noise: `[B, T]`."""
    low = int((band_centres() < PITCH_HZ).sum())
    speech = power(mel[..., :low])
    return speech / (speech + power(noise[..., :low])).clamp(min=1e-12)


def blur(x, flags, before, noisy, share, mean, first):
    """The pitch, from feature `first` on, with noise beside what is periodic; in place, in features and moments.

    Correlations shrink to the share and get the noise's own beside them; where then no voice is left, the pitch is what it was
    before. Of a caller's earlier moments those of the pitch and its glide stay.
    """
    voicing, bands = first + 1, first + TRACK
    shrunk = torch.tensor([voicing, *range(bands, x.shape[2])])
    own = torch.full((len(shrunk),), NOISE_PITCH), torch.full((len(shrunk),), NOISE_PITCH_SPREAD)
    own[0][0], own[1][0] = NOISE_VOICING, NOISE_VOICING_SPREAD
    rows, middle, share = noisy[:, None, None], torch.from_numpy(mean)[shrunk], share[..., None]
    times = torch.arange(x.shape[1])
    clean = x[rows, times[:, None], shrunk] + middle
    x[rows, times[:, None], shrunk] = torch.lerp(own[0] + own[1] * torch.randn_like(clean), clean, share) - middle
    steady(x, noisy, torch.from_numpy(mean), first)
    # Of the moments as if what was heard before had been as loud as this is.
    count, total, square = before
    weight = flags[..., None] / flags.sum(1).clamp(min=1)[:, None, None]
    mean_share, mean_square = (weight * share).sum(1), (weight * share * share).sum(1)
    n, at = count[noisy].clamp(min=1), (noisy[:, None], shrunk)
    old = total[at] / n
    raw, power_of = old + middle, (square[at] / n - old * old).clamp(min=0) + (old + middle) ** 2
    new = mean_share * raw + (1 - mean_share) * own[0]
    both, apart = mean_share - mean_square, 1 - 2 * mean_share + mean_square
    new_power = mean_square * power_of + 2 * both * raw * own[0] + apart * (own[0] ** 2 + own[1] ** 2)
    variance = (new_power - new * new).clamp(min=0)
    known = count[noisy] > 0
    total[at] = torch.where(known, count[noisy] * (new - middle), total[at])
    square[at] = torch.where(known, count[noisy] * (variance + (new - middle) ** 2), square[at])


def steady(x, noisy, mean, first):
    """Holds the pitch of the rows `noisy` over what is not voiced any more, and takes its glide anew; in place."""
    pitch, voicing = x[noisy, :, first], x[noisy, :, first + 1] + mean[first + 1]
    last = torch.where(voicing > VOICED_FROM, torch.arange(x.shape[1]), 0).cummax(1).values
    held = pitch.gather(1, last)
    glide = torch.zeros_like(held)
    glide[:, 2:] = held[:, 2:] - held[:, :-2]
    x[noisy, :, first] = held
    x[noisy, :, first + 2] = 5 * glide * (glide.abs() <= GREATEST_GLIDE) - mean[first + 2]


def drowned(before, noisy, level, spread, mean, cepstra):
    """Moments with the noise `level` `[N, 64]` added, for the rows `noisy`; those of pitch bands stay."""
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
    middle = middle + moved(expected - bands, cepstra)
    transform = DCT[:, :cepstra] * DCT[:, :cepstra]
    # Of the cepstrum nearly: bands move by what the noise leaves of their own moves. The first coefficient, which is the loudness, is so
    # to the first order; the others, which are made by the bands that stand out, lose less (measured on CREMA-D's training clips).
    gain = 1 - (share * WEIGHTS).sum(-1) @ transform
    gain[:, 0] *= gain[:, 0]
    last = MEL_BANDS + cepstra
    cepstral = variance[:, MEL_BANDS:last] * gain + fluctuation @ transform
    known = count[noisy] > 0
    total[noisy] = torch.where(known, count[noisy] * middle, total[noisy])
    square[noisy] = torch.where(known, count[noisy] * (torch.cat([new, cepstral, variance[:, last:]], 1) + middle * middle), square[noisy])
    return count, total, square
