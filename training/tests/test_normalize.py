"""The running normalisation over whole calls equals the frame-by-frame rule of src/pipeline/normalizer.ts."""

import unittest

import numpy as np
import torch

from undertone.normalize import CLIP_DEVIATIONS, MEAN_WEIGHT_FRAMES, STD_WEIGHT_FRAMES, centred, normalize


def frame_by_frame(x, heard, std, count=0.0, total=0.0, square=0.0):
    out = np.zeros_like(x)
    for t in range(len(x)):
        if not heard[t]:
            continue
        count, total, square = count + 1, total + x[t], square + x[t] ** 2
        variance = (STD_WEIGHT_FRAMES * std**2 + np.maximum(0, square - total**2 / count)) / (STD_WEIGHT_FRAMES + count)
        out[t] = np.clip((x[t] - total / (MEAN_WEIGHT_FRAMES + count)) / np.sqrt(variance), -CLIP_DEVIATIONS, CLIP_DEVIATIONS)
    return out


class Normalization(unittest.TestCase):
    def setUp(self):
        rng = np.random.default_rng(3)
        self.x = rng.normal(1, 2, (300, 104))
        self.heard = (rng.random(300) < 0.6).astype(float)
        self.std = rng.uniform(0.5, 2, 104)

    def run_on(self, x, heard, before=None):
        return normalize(torch.from_numpy(x)[None], torch.from_numpy(heard)[None], torch.from_numpy(self.std), before)[0].numpy()

    def test_equals_the_rule_frame_by_frame(self):
        np.testing.assert_allclose(self.run_on(self.x, self.heard), frame_by_frame(self.x, self.heard, self.std), atol=1e-9)

    def test_goes_on_from_earlier_speech(self):
        spoken = self.x[:200][self.heard[:200] > 0]
        before = [torch.from_numpy(v) for v in (np.array([[float(len(spoken))]]), spoken.sum(0)[None], (spoken**2).sum(0)[None])]
        whole = self.run_on(self.x, self.heard)
        np.testing.assert_allclose(self.run_on(self.x[200:], self.heard[200:], before), whole[200:], atol=1e-9)

    def test_later_frames_do_not_change_earlier_ones(self):
        whole, half = self.run_on(self.x, self.heard), self.run_on(self.x[:150], self.heard[:150])
        np.testing.assert_allclose(whole[:150], half, atol=1e-9)

    def test_centres_moments_about_the_prior(self):
        mean = np.full(104, 1.5, dtype=np.float32)
        moments = np.array([300.0]), self.x.sum(0)[None], (self.x**2).sum(0)[None]
        count, total, square = centred(moments, mean)
        np.testing.assert_allclose(total[0], (self.x - 1.5).sum(0), rtol=1e-3, atol=1e-2)
        np.testing.assert_allclose(square[0], ((self.x - 1.5) ** 2).sum(0), rtol=1e-4)
        self.assertEqual(float(count), 300.0)


if __name__ == "__main__":
    unittest.main()
