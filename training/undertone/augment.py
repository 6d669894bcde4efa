"""Augmentation on features: other microphones, other voices, other speeds, missing parts."""

import numpy as np
import torch

from .data import CEPSTRA, FEATURES, MEL_BANDS

# Of the mel filters: src/pipeline/feature-extractor.ts.
LOWEST_HZ, HIGHEST_HZ = 40.0, 7800.0
BAND_POSITION = torch.linspace(-1, 1, MEL_BANDS)


def cosine_transform(bands=MEL_BANDS, count=CEPSTRA):
    """The orthonormal DCT-II of src/pipeline/mel.ts, `[bands, count]`."""
    k, n = np.arange(count)[None], np.arange(bands)[:, None]
    scale = np.where(k == 0, np.sqrt(1 / bands), np.sqrt(2 / bands))
    return torch.from_numpy((scale * np.cos(np.pi * k * (n + 0.5) / bands)).astype(np.float32))


DCT = cosine_transform()


def moved(mel, cepstra=CEPSTRA):
    """What bands that move by `mel` `[..., 64]` do to all features `[..., 104]`: the cepstra move with them, and the pitch stays."""
    return torch.cat([mel, mel @ DCT[:, :cepstra], mel.new_zeros(*mel.shape[:-1], FEATURES - MEL_BANDS - cepstra)], -1)


def band_centres(bands=MEL_BANDS, low_hz=LOWEST_HZ, high_hz=HIGHEST_HZ):
    """Centres of the filters of src/pipeline/mel.ts, Hz: even on Slaney's mel scale."""
    break_mel, log_step = 15.0, np.log(6.4) / 27
    mel = np.linspace(*(hz * 3 / 200 if hz < 1000 else break_mel + np.log(hz / 1000) / log_step for hz in (low_hz, high_hz)), bands + 2)[1:-1]
    return np.where(mel < break_mel, mel * 200 / 3, 1000 * np.exp(log_step * (mel - break_mel)))


def warps(factors):
    """Vocal tracts `factors` times as long, `[B]`: matrices `[B, 64, 64]` from log-mel bands to those of the other voice.

    VTLP (Jaitly and Hinton 2013) on the log-mel: a band hears what lay at its frequency times the factor, between bands by
    linear interpolation; above 4.8 kHz the axis bends towards the end, as there, so that the upper edge stays.
    """
    centres = band_centres()
    knee = 4800 / np.maximum(np.asarray(factors)[:, None], 1)
    slope = (HIGHEST_HZ - np.asarray(factors)[:, None] * knee) / (HIGHEST_HZ - knee)
    heard = np.where(centres < knee, centres * np.asarray(factors)[:, None], HIGHEST_HZ - slope * (HIGHEST_HZ - centres))
    position = np.interp(heard, centres, np.arange(len(centres)))
    band = np.minimum(position.astype(int), len(centres) - 2)
    matrix = np.zeros((len(heard), len(centres), len(centres)), dtype=np.float32)
    rows, columns = np.arange(len(heard))[:, None], np.arange(len(centres))
    matrix[rows, band, columns] = 1 - (position - band)
    matrix[rows, band + 1, columns] = position - band
    return torch.from_numpy(matrix)


def warp(x, before, mean, factors, cepstra=CEPSTRA):
    """Centred features `[B, T, 104]` and a caller's earlier moments, had the caller another vocal tract (see `warps`).

    The cepstrum follows from the log-mel. Of the moments the variances are interpolated as the bands are, and those of the
    cepstrum stay: what normalises the features, not quite what would be measured. Where a factor is 1 all stays; so does the pitch.
    """
    matrix, mean = warps(factors), torch.from_numpy(mean)
    same = torch.from_numpy(np.asarray(factors) == 1)[:, None]
    shift = mean[:MEL_BANDS] @ matrix - mean[:MEL_BANDS]

    def warped(values, scale):
        """Of sums over `scale` frames, or of frames where it is 1."""
        mel = values[..., :MEL_BANDS] @ matrix + scale * shift[:, None]
        # A cepstrum minus its mean is the transform of the bands minus theirs.
        return torch.where(same[..., None], values, torch.cat([mel, mel @ DCT[:, :cepstra], values[..., MEL_BANDS + cepstra :]], -1))

    count, total, square = before
    spread = square - total * total / count.clamp(min=1)
    spread_mel = (spread[:, None, :MEL_BANDS] @ matrix)[:, 0]
    total_after = warped(total[:, None], count[..., None])[:, 0]
    square_after = torch.cat([spread_mel, spread[:, MEL_BANDS:]], 1) + total_after * total_after / count.clamp(min=1)
    return warped(x, 1.0), (count, total_after, torch.where(same, square, square_after))


def channel(batch, cepstra=CEPSTRA):
    """A microphone's response for each caller: gain, tilt and bumps in nepers, `[B, 104]` to add to raw features."""
    gain = 1.0 * torch.randn(batch, 1)
    tilt = 0.4 * torch.randn(batch, 1) * BAND_POSITION
    bumps = sum(
        0.25 * torch.randn(batch, 1) * torch.cos(np.pi * k * (BAND_POSITION + 1) / 2 + 2 * np.pi * torch.rand(batch, 1))
        for k in range(2, 6)
    )
    return moved(gain + tilt + bumps, cepstra)


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


def arrived(batch, frames, share):
    """Which frames of `share` of the clips come through a line that loses packets of 20 ms: `[B, T]` of 1 and 0.

    Gilbert and Elliott's line with 2 to 25 % of loss in bursts of 1 to 3 packets on average. What was lost is concealed, and a
    concealed frame is not heard (docs/adr/0005): the caller sets to zero what is 0 here, in features and flags.
    """
    packets = frames // 2 + 2
    loss = np.random.uniform(0.02, 0.25, batch) * (np.random.random(batch) < share)
    ends = 1 / np.random.uniform(1, 3, batch)
    begins = loss * ends / (1 - loss)
    chance = np.random.random((packets, batch))
    lost = np.zeros((packets, batch), dtype=bool)
    bad = np.random.random(batch) < loss
    for at in range(packets):
        bad = np.where(bad, chance[at] >= ends, chance[at] < begins)
        lost[at] = bad
    phases = np.random.randint(0, 2, (batch, 1))
    return torch.from_numpy(~np.repeat(lost.T, 2, 1)[np.arange(batch)[:, None], phases + np.arange(frames)]).float()


def spared(batch, length, widest, runs):
    """`[batch, length]` of 1, but 0 in so many runs, each shorter than `widest` and anywhere."""
    widths = np.random.randint(0, widest, (batch, runs, 1))
    starts = np.floor(np.random.random((batch, runs, 1)) * (length - widths + 1))
    at = np.arange(length)
    return torch.from_numpy(~((at >= starts) & (at < starts + widths)).any(1)).float()
