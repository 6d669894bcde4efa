"""Noise that is added to features, held against noise that is added to samples."""

import unittest
from unittest import mock

import numpy as np
import torch

from undertone import augment, noise

SAMPLES = 80_000


def log_mel(samples):
    """As src/pipeline/feature-extractor.ts, but for its floor."""
    edges = np.concatenate([[augment.LOWEST_HZ], augment.band_centres(), [augment.HIGHEST_HZ]])
    hz = np.arange(257) * noise.BIN_HZ
    filters = np.stack([np.interp(hz, edges[band : band + 3], [0, 1, 0], left=0, right=0) for band in range(64)])
    at = np.arange(0, len(samples) - 400, 160)[:, None] + np.arange(400)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    return torch.from_numpy(np.log(np.abs(np.fft.rfft(samples[at] * window, 512)) ** 2 @ filters.T + 1e-9).astype(np.float32))


def features(mel):
    return torch.cat([mel, mel @ augment.DCT], -1)


def voice(rng):
    """Not a voice, but as coloured and as changing as one: 20 dB up and down, once in 0.6 s."""
    loudness = 10 ** (0.5 * np.sin(np.arange(SAMPLES) / 1500) - 0.5)
    return np.convolve(rng.standard_normal(SAMPLES), np.exp(-np.arange(60) / 8), "same") * loudness


def pitch(samples):
    """The pitch of src/pipeline/feature-extractor.ts, frame by frame of `log_mel`, but for its interpolation, its memory and its glide."""
    taps = np.hamming(64) * np.sinc(2 * 900 / 16000 * (np.arange(64) - 31.5))
    low = np.convolve(samples, taps / taps.sum())[: len(samples)][::4]
    ends = np.arange(0, len(samples) - 400, 160) // 4 + 100
    span = np.pad(low, (198, 0))[ends[:, None] + np.arange(198)]
    own, lags = span[:, 70:], np.arange(8, 69)
    other = np.stack([span[:, 70 - lag : 198 - lag] for lag in lags], 1)
    correlation = (own[:, None] * other).sum(2) / np.sqrt((own**2).sum(1)[:, None] * (other**2).sum(2) + 1e-8)
    edges = 4000 / 480 * 2 ** (np.arange(25) / 8)
    bands = [np.flatnonzero((lags >= np.floor(low)) & (lags < np.ceil(high))) for low, high in zip(edges[:-1], edges[1:])]
    best = correlation.argmax(1)
    track = np.stack([np.log2(4000 / lags[best] / 150), correlation.max(1), np.zeros(len(best))])
    return torch.from_numpy(np.concatenate([track, [correlation[:, band].max(1) for band in bands]]).T.astype(np.float32))


def hum(rng):
    """Pulses of 100 to 140 Hz, 20 dB up and down as `voice`, and a breath beside them."""
    loudness = 10 ** (0.5 * np.sin(np.arange(SAMPLES) / 1500) - 0.5)
    phase = np.cumsum(120 + 20 * np.sin(np.arange(SAMPLES) / 9000)) / 16000
    pulses = np.diff(np.floor(phase), prepend=0)
    return np.convolve(pulses, np.exp(-np.arange(60) / 8), "same") * loudness + 0.01 * rng.standard_normal(SAMPLES)


def white(ratios_db, speech, spectra=noise.spectra):
    """Of the noises that may be drawn the one without colour and bumps."""
    with mock.patch.object(torch, "rand", torch.zeros), mock.patch.object(torch, "randn", torch.zeros):
        return spectra(ratios_db, speech)


class Noise(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(1)
        rng = np.random.default_rng(1)
        self.clean = voice(rng)
        self.white = rng.standard_normal(SAMPLES) * np.sqrt(np.mean(self.clean**2) / 10)
        self.x = features(log_mel(self.clean))[None]
        self.mean = features(torch.randn(64)).numpy()
        self.heard = torch.ones(1, self.x.shape[1])
        centred = self.x - torch.from_numpy(self.mean)
        self.before = torch.full((1, 1), float(self.x.shape[1])), centred.sum(1), (centred * centred).sum(1)
        self.centred = centred

    def add(self, ratios_db):
        return noise.add(self.centred, self.heard, self.before, self.mean, ratios_db)

    def test_sounds_as_it_does_when_it_is_added_to_the_samples(self):
        with mock.patch.object(noise, "spectra", white):
            x, heard, (count, total, square) = self.add([10.0])
        really = features(log_mel(self.clean + self.white))
        x = x[0] + torch.from_numpy(self.mean)
        self.assertLess(float((x - really).mean(0).abs().max()), 0.35)
        self.assertLess(float((x - really)[:, :64].mean(0).abs().mean()), 0.08)
        self.assertGreater(float((self.x[0] - really)[:, :64].mean(0).abs().mean()), 0.6)
        # It fluctuates as much as filtered noise does, most in the narrow bands.
        spread = really[:, :64].std(0)
        self.assertLess(float((x[:, :64].std(0) / spread - 1).abs().max()), 0.2)
        # So do the statistics of what was said before.
        middle = total / count
        self.assertLess(float((middle + torch.from_numpy(self.mean) - really.mean(0))[0, :64].abs().max()), 0.2)
        deviation = (square / count - middle * middle).sqrt()[0]
        self.assertLess(float((deviation[:64] / spread - 1).abs().mean()), 0.25)
        self.assertGreater(float(heard.mean()), 0.9)

    def test_lies_as_far_below_the_speech_as_it_is_told_whatever_its_colour(self):
        for ratio in (0.0, 10.0, 20.0):
            level = noise.spectra([ratio] * 50, torch.full((50,), 3.0))
            self.assertTrue(torch.allclose(10 * torch.log10(3.0 / noise.power(level)), torch.tensor(ratio), atol=0.01))
            # Some fall towards higher bands by 6 dB an octave, some do not.
            falls = (level - noise.AREA.log())[:, 10] - (level - noise.AREA.log())[:, 60]
            self.assertGreater(float(falls.max() - falls.min()), 1)

    def test_drowns_what_lies_far_below_it_and_hears_nothing_that_was_not_heard(self):
        self.heard[0, :50] = 0
        heard = self.add([-5.0])[1]
        self.assertEqual(float(heard[0, :50].sum()), 0)
        self.assertLess(float(heard.mean()), float(self.heard.mean()))
        lost = (self.heard - heard)[0] > 0
        loudness = noise.power(self.x[0, :, :64])
        self.assertLess(float(loudness[lost].max()), float(loudness[heard[0] > 0].min()))

    def test_leaves_alone_what_is_to_have_none(self):
        x, heard, before = self.add([np.inf])
        self.assertIs(x, self.centred)
        self.assertIs(heard, self.heard)
        self.assertIs(before, self.before)
        both = noise.add(self.centred.repeat(2, 1, 1), self.heard.repeat(2, 1), [v.repeat(2, 1) for v in self.before], self.mean, [np.inf, 10.0])
        self.assertTrue(torch.equal(both[0][0], self.centred[0]) and torch.equal(both[2][1][0], self.before[1][0]))
        self.assertFalse(torch.equal(both[0][1], self.centred[0]))
        # Nothing was said before: nothing was said before in noise.
        none = [torch.zeros_like(v) for v in self.before]
        after = noise.add(self.centred, self.heard, none, self.mean, [10.0])[2]
        self.assertTrue(all(torch.equal(a, b) for a, b in zip(after, none)))


class NoiseBesidePitch(unittest.TestCase):
    """Features of 64 bands, 13 cepstra and 27 of the pitch."""

    def setUp(self):
        torch.manual_seed(2)
        rng = np.random.default_rng(2)
        clean = hum(rng)
        self.noisy = clean + rng.standard_normal(SAMPLES) * np.sqrt(np.mean(clean**2) / 10)
        self.clean = self.features(clean)[None]
        self.mean = (self.clean[0].mean(0) + torch.randn(104)).numpy()
        self.heard = torch.ones(1, self.clean.shape[1])
        self.centred = self.clean - torch.from_numpy(self.mean)
        self.before = torch.full((1, 1), float(self.clean.shape[1])), self.centred.sum(1), (self.centred * self.centred).sum(1)

    @staticmethod
    def features(samples):
        mel = log_mel(samples)
        return torch.cat([mel, mel @ augment.DCT[:, :13], pitch(samples)], 1)

    def test_shrinks_it_as_noise_in_the_samples_does(self):
        with mock.patch.object(noise, "spectra", white):
            x, _, (count, total, square) = noise.add(self.centred, self.heard, self.before, self.mean, [10.0], 13)
        columns = [78, *range(80, 104)]
        real, ours = self.features(self.noisy)[:, columns], (x[0] + torch.from_numpy(self.mean))[:, columns]
        clean = self.clean[0][:, columns]

        def smooth(values):
            return values.unfold(0, 10, 5).mean(2)

        # Over a tenth of a second, for the noise is another one.
        error, without = (smooth(ours) - smooth(real)).square().mean().sqrt(), (smooth(clean) - smooth(real)).square().mean().sqrt()
        self.assertLess(float(error), 0.09)
        self.assertLess(float(error), 0.6 * float(without))
        mean = total[0] / count[0]
        deviation = (square[0] / count[0] - mean * mean).sqrt()[columns]
        self.assertLess(float(((mean + torch.from_numpy(self.mean))[columns] - real.mean(0)).abs().mean()), 0.05)
        self.assertLess(float((deviation - real.std(0)).abs().mean()), 0.06)

    def test_holds_the_pitch_where_noise_drowns_the_voice(self):
        with mock.patch.object(noise, "spectra", white):
            x, _, _ = noise.add(self.centred, self.heard, self.before, self.mean, [0.0], 13)
        pitch, voicing, glide = ((x[0] + torch.from_numpy(self.mean))[:, at] for at in (77, 78, 79))
        clean = self.clean[0, :, 77]
        voiced = voicing > 0.5
        self.assertTrue(0.1 < float(voiced.float().mean()) < 0.9)
        self.assertTrue(torch.allclose(pitch[voiced], clean[voiced], atol=1e-5))
        lost = ~voiced[1:]
        self.assertTrue(torch.allclose(pitch[1:][lost], pitch[:-1][lost], atol=1e-5))
        rise = pitch[2:] - pitch[:-2]
        self.assertTrue(torch.allclose(glide[2:], 5 * rise * (rise.abs() <= 0.4), atol=1e-4))

    def test_leaves_pitch_alone_where_there_is_no_noise_and_in_other_vocal_tracts(self):
        x, _, before = noise.add(self.centred, self.heard, self.before, self.mean, [np.inf], 13)
        self.assertTrue(torch.equal(x, self.centred))
        warped, after = augment.warp(self.centred, before, self.mean, [1.1], 13)
        self.assertTrue(torch.equal(warped[..., 77:], self.centred[..., 77:]))
        self.assertTrue(torch.equal(after[1][:, 77:], before[1][:, 77:]))
        self.assertFalse(torch.equal(warped[..., 64:77], self.centred[..., 64:77]))
        self.assertTrue((augment.channel(3, 13)[:, 77:] == 0).all())
        self.assertTrue((augment.channel(3, 13)[:, 64:77] != 0).all())


if __name__ == "__main__":
    unittest.main()
