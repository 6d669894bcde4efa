"""The paper's features: 13 MFCCs and 128 mel bands, each averaged over time, 141 numbers a clip.

The paper names librosa and no settings, so these are librosa's defaults: clips resampled to 22.05 kHz, periodic Hann
window of 2048 samples, hop 512, frames centred on zero-padded signal, power spectrum, Slaney's mel scale with bands of
equal area; the MFCCs are the orthonormal DCT-II of those bands in decibels, floored 80 dB under the clip's maximum.
CREMA-D holds 16 kHz, so the bands above 8 kHz are all but empty: a quirk of the defaults, kept.
"""

import functools

import numpy as np
from scipy.fft import dct, irfft, rfft

RATE_HZ = 22_050
WINDOW_SAMPLES = 2048
HOP_SAMPLES = 512
MEL_BANDS = 128
MFCCS = 13
FEATURES = MFCCS + MEL_BANDS

_FLOOR_POWER = 1e-10
_RANGE_DB = 80.0


def clip_features(samples):
    """`[141]` float32: the time averages of the MFCCs, then of the mel bands' power."""
    power = np.abs(spectrum(samples)) ** 2
    mel = power @ mel_filters().T
    decibels = 10 * np.log10(np.maximum(mel, _FLOOR_POWER))
    decibels = np.maximum(decibels, decibels.max() - _RANGE_DB)
    mfcc = dct(decibels, type=2, norm="ortho", axis=1)[:, :MFCCS]
    return np.concatenate([mfcc.mean(0), mel.mean(0)]).astype(np.float32)


def spectrum(samples):
    """`[frames, 1025]` complex: frame k is centred on sample 512 k."""
    half = WINDOW_SAMPLES // 2
    padded = np.pad(np.asarray(samples, dtype=np.float64), half)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW_SAMPLES)[::HOP_SAMPLES]
    return rfft(frames * hann(), axis=1)


def signal(spectra, length):
    """The inverse of `spectrum`: overlap-add, divided by the summed squares of the window; `[length]` samples."""
    frames = irfft(spectra, n=WINDOW_SAMPLES, axis=1) * hann()
    total = WINDOW_SAMPLES + HOP_SAMPLES * (len(frames) - 1)
    out, weight = np.zeros(total), np.zeros(total)
    square = hann() ** 2
    for k, frame in enumerate(frames):
        at = slice(k * HOP_SAMPLES, k * HOP_SAMPLES + WINDOW_SAMPLES)
        out[at] += frame
        weight[at] += square
    out = out / np.where(weight > 1e-8, weight, 1)
    out = out[WINDOW_SAMPLES // 2 :][:length]
    return np.pad(out, (0, length - len(out)))


@functools.lru_cache(maxsize=None)
def hann():
    """Periodic Hann window, `[2048]`."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES)


@functools.lru_cache(maxsize=None)
def mel_filters():
    """`[128, 1025]`: triangles between 0 Hz and half the rate, equally spaced in mel (Slaney, Auditory Toolbox), area 1."""
    bins_hz = np.arange(WINDOW_SAMPLES // 2 + 1) * RATE_HZ / WINDOW_SAMPLES
    edges_hz = _mel_to_hz(np.linspace(0, _hz_to_mel(RATE_HZ / 2), MEL_BANDS + 2))
    low, peak, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    triangles = np.minimum((bins_hz - low) / (peak - low), (high - bins_hz) / (high - peak))
    return np.maximum(triangles, 0) * 2 / (high - low)


_LINEAR_HZ_A_MEL = 200 / 3
_KNEE_HZ = 1000.0
_KNEE_MEL = _KNEE_HZ / _LINEAR_HZ_A_MEL
_LOG_STEP = np.log(6.4) / 27


def _hz_to_mel(hz):
    return hz / _LINEAR_HZ_A_MEL if hz < _KNEE_HZ else _KNEE_MEL + np.log(hz / _KNEE_HZ) / _LOG_STEP


def _mel_to_hz(mel):
    return np.where(mel < _KNEE_MEL, mel * _LINEAR_HZ_A_MEL, _KNEE_HZ * np.exp((mel - _KNEE_MEL) * _LOG_STEP))
