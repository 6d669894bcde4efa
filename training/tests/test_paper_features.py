"""The paper's 141 features and its augmentation, against direct formulas and against librosa's own output."""

import json
import sys
import unittest
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE / "fixtures")]

from known_signal import known_signal
from paper import features, perturb

EXPECTED = json.loads((HERE / "fixtures" / "librosa.json").read_text())


def slow_features(samples):
    """The definition, term by term: no FFT, no matrix of filters."""
    half, bins = features.WINDOW_SAMPLES // 2, np.arange(features.WINDOW_SAMPLES // 2 + 1)
    padded = np.concatenate([np.zeros(half), samples, np.zeros(half)])
    n = np.arange(features.WINDOW_SAMPLES)
    window = 0.5 * (1 - np.cos(2 * np.pi * n / features.WINDOW_SAMPLES))
    waves = np.exp(-2j * np.pi * np.outer(bins, n) / features.WINDOW_SAMPLES)

    def hz(mel):
        return 200 * mel / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)

    top_mel = 15 + 27 * np.log(features.RATE_HZ / 2 / 1000) / np.log(6.4)
    edges_hz = [hz(top_mel * i / 129) for i in range(130)]
    mels = []
    for start in range(0, len(samples) + 1, features.HOP_SAMPLES):
        power = np.abs(waves @ (padded[start : start + features.WINDOW_SAMPLES] * window)) ** 2
        bands = []
        for low, peak, high in zip(edges_hz, edges_hz[1:], edges_hz[2:]):
            total = 0.0
            for k in bins:
                f = k * features.RATE_HZ / features.WINDOW_SAMPLES
                if low < f < high:
                    total += power[k] * ((f - low) / (peak - low) if f <= peak else (high - f) / (high - peak)) * 2 / (high - low)
            bands.append(total)
        mels.append(bands)
    decibels = [[10 * np.log10(max(value, 1e-10)) for value in bands] for bands in mels]
    floor = max(max(bands) for bands in decibels) - 80
    cepstra = []
    for bands in decibels:
        row = []
        for q in range(13):
            total = sum(max(value, floor) * np.cos(np.pi * q * (2 * m + 1) / 256) for m, value in enumerate(bands))
            row.append(total * np.sqrt((1 if q == 0 else 2) / 128))
        cepstra.append(row)
    return np.concatenate([np.mean(cepstra, axis=0), np.mean(mels, axis=0)])


class Features(unittest.TestCase):
    def test_follow_the_definition(self):
        samples = np.random.RandomState(3).uniform(-0.5, 0.5, 1500)
        fast, slow = features.clip_features(samples), slow_features(samples)
        self.assertEqual(fast.shape, (141,))
        np.testing.assert_allclose(fast, slow, rtol=1e-5, atol=1e-6)

    def test_equal_librosa(self):
        found, expected = features.clip_features(known_signal()), np.array(EXPECTED["features"])
        np.testing.assert_allclose(found[:13], expected[:13], atol=2e-3)
        np.testing.assert_allclose(found[13:], expected[13:], rtol=1e-3, atol=1e-6)

    def test_are_finite_for_silence(self):
        self.assertTrue(np.isfinite(features.clip_features(np.zeros(4000))).all())

    def test_spectrum_is_inverted(self):
        samples = np.random.RandomState(5).uniform(-1, 1, 9000)
        np.testing.assert_allclose(features.signal(features.spectrum(samples), len(samples)), samples, atol=1e-9)


class Alterations(unittest.TestCase):
    def test_stretching_equals_librosa(self):
        expected = EXPECTED["stretchedBy1.13"]
        found = perturb.stretch(known_signal(), 1.13)
        self.assertEqual(len(found), expected["length"])
        np.testing.assert_allclose(found[::100], expected["every100th"], atol=1e-3)

    def test_pitch_moves_by_semitones_and_length_stays(self):
        tone = np.sin(2 * np.pi * 440 * np.arange(22_050) / features.RATE_HZ)
        for semitones in (-2, 2):
            shifted = perturb.shift_pitch(tone, semitones)
            self.assertEqual(len(shifted), len(tone))
            peak_hz = np.argmax(np.abs(np.fft.rfft(shifted))) * features.RATE_HZ / len(shifted)
            self.assertAlmostEqual(peak_hz, 440 * 2 ** (semitones / 12), delta=6)

    def test_each_copy_is_drawn_anew_and_repeatably(self):
        samples = known_signal()
        for kind in perturb.ALTERATIONS:
            first = perturb.alter(samples, kind, "a", 0)
            np.testing.assert_array_equal(first, perturb.alter(samples, kind, "a", 0))
            for other in (perturb.alter(samples, kind, "a", 1), perturb.alter(samples, kind, "b", 0)):
                self.assertFalse(np.array_equal(first, other), kind)

    def test_unknown_kinds_are_refused(self):
        with self.assertRaisesRegex(ValueError, "got `echo`"):
            perturb.alter(known_signal(), "echo", "a", 0)


if __name__ == "__main__":
    unittest.main()
