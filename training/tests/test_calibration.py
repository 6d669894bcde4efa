"""Temperatures and biases: that they make a network as sure as it is right, whatever it says."""

import unittest

import numpy as np

from undertone.metrics import fit_temperature
from undertone.report import calibrated, sharpened, verdict_temperature_of


class CalibrationTest(unittest.TestCase):
    def test_sharpens_verdicts_that_are_less_sure_than_they_are_right(self):
        rng = np.random.default_rng(1)
        labels = rng.integers(0, 6, 2000)
        posterior = np.full((2000, 6), 0.14)
        said = np.where(rng.random(2000) < 0.8, labels, rng.integers(0, 6, 2000))
        posterior[np.arange(2000), said] = 0.3
        sharp = sharpened(posterior, verdict_temperature_of(labels, posterior))
        np.testing.assert_allclose(sharp.sum(1), 1)
        np.testing.assert_array_equal(sharp.argmax(1), said)
        self.assertAlmostEqual(float(sharp.max(1).mean()), float((said == labels).mean()), delta=0.01)
        np.testing.assert_array_equal(sharpened(np.zeros((1, 6)), 0.5), np.zeros((1, 6)))

    def test_a_bias_undoes_a_leaning(self):
        rng = np.random.default_rng(3)
        labels = rng.integers(0, 6, 6000)
        logits = (2 * np.eye(6)[labels] + rng.gumbel(size=(6000, 6))).astype(np.float32)
        leaning = np.array([0, 0, 0, 0, 1.5, -0.5], dtype=np.float32)
        everyone = np.arange(6000)
        calibration = calibrated(labels, 3 * (logits + leaning), everyone, np.ones(6000), biased=True)
        # Not all of it: a bias has its price.
        whole = (leaning.mean() - leaning) * 3 / calibration.temperature
        self.assertTrue((np.sign(calibration.bias) == np.sign(whole)).all() and (np.abs(calibration.bias) < np.abs(whole)).all(), calibration.bias)
        plain = calibrated(labels, 3 * (logits + leaning), everyone, np.ones(6000))
        np.testing.assert_array_equal(plain.bias, np.zeros(6))
        right = [(each.of(3 * (logits + leaning)).argmax(1) == labels).mean() for each in (plain, calibration)]
        self.assertGreater(right[1], right[0] + 0.02)

    def test_a_network_that_knows_nothing_gets_a_temperature_all_the_same(self):
        rng = np.random.default_rng(2)
        labels = rng.integers(0, 6, 30)
        for scale in (1e-4, 1, 1e4):
            temperature = fit_temperature(labels, rng.normal(0, scale, (30, 6)).astype(np.float32), np.ones(30, dtype=np.float32))
            self.assertTrue(1 / 20.001 < temperature < 20.001, temperature)


if __name__ == "__main__":
    unittest.main()
