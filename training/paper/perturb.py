"""The augmentation: each clip gains three altered copies. Ranges are the paper's; noise and shift, named without one, are guesses."""

import zlib

import numpy as np
from scipy.signal import resample

from .features import HOP_SAMPLES, signal, spectrum

PLAIN = "plain"
ALTERATIONS = ("pitch", "stretch", "noise")

PITCH_SEMITONES = 2.0
STRETCH_RATIO = (0.8, 1.2)
NOISE_RATIO = 0.035
SHIFT_SAMPLES = 5000


def alter(samples, kind, name, copy):
    """One altered copy. What is drawn depends on the clip's name, the kind and the number of the copy alone."""
    rng = np.random.default_rng(zlib.crc32(f"{name}/{kind}/{copy}".encode()))
    if kind == PLAIN:
        return samples
    if kind == "pitch":
        return shift_pitch(samples, rng.uniform(-PITCH_SEMITONES, PITCH_SEMITONES))
    if kind == "stretch":
        return stretch(samples, rng.uniform(*STRETCH_RATIO))
    if kind == "noise":
        level = NOISE_RATIO * rng.uniform() * np.abs(samples).max()
        noisy = samples + level * rng.standard_normal(len(samples))
        return np.roll(noisy, int(rng.integers(-SHIFT_SAMPLES, SHIFT_SAMPLES + 1)))
    raise ValueError(f"Expected one of {(PLAIN, *ALTERATIONS)}, got `{kind}`")


def stretch(samples, speed):
    """Faster (above 1) or slower at the same pitch: a phase vocoder (Flanagan and Golden, 1966)."""
    spectra = spectrum(samples)
    steps = np.arange(0, len(spectra), speed)
    at = steps.astype(int)
    part = (steps - at)[:, None]
    padded = np.concatenate([spectra, np.zeros((2, spectra.shape[1]))])
    size = (1 - part) * np.abs(padded[at]) + part * np.abs(padded[at + 1])
    due = np.pi * HOP_SAMPLES * np.arange(spectra.shape[1]) / (spectra.shape[1] - 1)
    advance = np.angle(padded[at + 1]) - np.angle(padded[at]) - due
    advance = due + advance - 2 * np.pi * np.round(advance / (2 * np.pi))
    phase = np.angle(padded[0]) + np.concatenate([np.zeros((1, len(due))), np.cumsum(advance[:-1], axis=0)])
    return signal(size * np.exp(1j * phase), int(round(len(samples) / speed)))


def shift_pitch(samples, semitones):
    """Higher (above 0) or lower at the same length: stretched, then resampled back."""
    return resample(stretch(samples, 2.0 ** (-semitones / 12)), len(samples))
