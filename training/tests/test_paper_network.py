"""The two-path network, its training, and the printed table."""

import io
import sys
import unittest
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from paper import report
from paper.corpus import Clip
from paper.fit import Tables, fit, score
from paper.network import TwoPath, count_parameters
from paper.protocol import PROTOCOLS

COEFFICIENTS = 8


def memorable_clips(rng, speakers=10, clips_a_label=2):
    """Clips whose features tell which clip it is, and nothing about its label."""
    clips = [Clip(f"{s}_{e}_{i}", Path("none"), str(s), e) for s in range(speakers) for e in range(6) for i in range(clips_a_label)]
    return clips, {clip.name: rng.standard_normal(COEFFICIENTS) for clip in clips}


def tables_of(split, vectors, rng):
    def table(items):
        alteration = 0.1 * rng.standard_normal((len(items), COEFFICIENTS))
        return (np.stack([vectors[item.clip.name] for item in items]) + alteration).astype(np.float32)

    def labels(items):
        return np.array([item.clip.label for item in items])

    return Tables(table(split.train), labels(split.train), table(split.validation), labels(split.validation))


class Network(unittest.TestCase):
    def test_has_the_notebooks_number_of_parameters(self):
        for dilation in (1, 2):
            self.assertEqual(count_parameters(TwoPath(13, 10, dilation)), 313_354)

    def test_gives_a_logit_a_class(self):
        self.assertEqual(TwoPath(141, 6, 2)(torch.zeros(3, 141)).shape, (3, 6))

    def test_dilated_kernels_look_two_coefficients_away(self):
        for dilation in (1, 2):
            first = TwoPath(13, 6, dilation).convolutions[0]
            x = torch.zeros(1, 1, 13, requires_grad=True)
            first(x)[0, :, 6].sum().backward()
            self.assertEqual(x.grad[0, 0].nonzero()[:, 0].tolist(), [6 - dilation, 6, 6 + dilation])


class Training(unittest.TestCase):
    def setUp(self):
        torch.set_num_threads(1)

    def test_repeats_with_its_seed(self):
        rng = np.random.default_rng(1)
        clips, vectors = memorable_clips(rng)
        tables = tables_of(PROTOCOLS["split first"](clips, False, rng), vectors, rng)
        results = [fit(tables, "emonet", 2, seed, progress=io.StringIO()) for seed in (4, 4)]
        for result in results:
            result.pop("seconds")
        self.assertEqual(*results)

    def test_copies_in_training_look_like_skill_where_none_is_possible(self):
        accuracy = {}
        for name, split in PROTOCOLS.items():
            rng = np.random.default_rng(2)
            clips, vectors = memorable_clips(rng)
            tables = tables_of(split(clips, True, rng), vectors, rng)
            accuracy[name] = fit(tables, "emonet", 20, 1, progress=io.StringIO())["accuracy"]
        self.assertGreater(accuracy["copies first"], 0.6)
        self.assertLess(accuracy["split first"], 0.45)
        self.assertLess(accuracy["by speaker"], 0.45)

    def test_stops_after_ten_flat_epochs(self):
        features, labels = np.zeros((40, COEFFICIENTS), dtype=np.float32), np.arange(40) % 6
        result = fit(Tables(features, labels, features[:6], np.zeros(6)), "emotech", 30, 1, progress=io.StringIO())
        self.assertEqual(result["epochsRun"], result["epoch"] + 10)
        self.assertLess(result["epochsRun"], 30)
        self.assertNotIn("epochs", result, "the number asked for tells one run from another")

    def test_scores_by_hand(self):
        said, true = np.array([0, 0, 1, 2, 3, 4]), np.array([0, 1, 1, 2, 3, 5])
        accuracy, f1 = score(said, true)
        self.assertAlmostEqual(accuracy, 4 / 6)
        self.assertAlmostEqual(f1, (2 / 3 + 2 / 3 + 1 + 1 + 0 + 0) / 6)


class Report(unittest.TestCase):
    def test_puts_the_papers_figures_beside_ours(self):
        rows = [
            {"network": "emonet", "augmented": True, "protocol": "copies first", "accuracy": value, "macroF1": value, "share": 0.99}
            for value in (0.8, 0.9)
        ]
        lines = report.table(rows, ["emonet"]).splitlines()
        self.assertIn("| EmoNet, accuracy after augmentation | 86 | 85.0 ± 7.1 | not run | not run |", lines)
        self.assertIn("| EmoNet, accuracy before augmentation | 49 | not run | not run | not run |", lines)


if __name__ == "__main__":
    unittest.main()
