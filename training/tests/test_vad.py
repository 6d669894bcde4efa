"""The voice-activity network: it streams, learns, and is written as it is read; none of it needs a corpus."""

import csv
import json
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch

from vad.data import NOT_ASKED, Tracks
from vad.exporting import ORDER, PARITY_STEPS, export, made_up
from vad.fit import EDGE_FRAMES, answers, auc, edge_weights, fit, recall_at
from vad.network import VoiceNetwork

INPUTS = 5

torch.set_num_threads(1)


def write_tracks(folder, seed=0, tracks=6, rows=400):
    """Callers whose speech raises the first input, as the feature command would write them; targets are of the pair before."""
    random = np.random.RandomState(seed)
    inputs, targets, table = [], [], []
    for number in range(tracks):
        speech = np.repeat(random.rand(rows // 20) < 0.5, 20)
        x = random.randn(rows, 2 * INPUTS).astype(np.float32)
        x[:, [0, INPUTS]] += 2.5 * speech[:, None]
        y = np.repeat(np.concatenate([[False], speech[:-1]])[:, None], 2, axis=1).astype(np.uint8)
        y[:3] = NOT_ASKED
        table.append([f"{number}#1", "train" if number < tracks - 2 else "validation", number * rows, rows, "white"])
        inputs.append(x)
        targets.append(y)
    np.save(folder / "inputs.npy", np.concatenate(inputs))
    np.save(folder / "targets.npy", np.concatenate(targets))
    with open(folder / "tracks.csv", "w", newline="") as file:
        csv.writer(file).writerows([["name", "split", "first_row", "rows", "condition"], *table])


class Voice(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)
        write_tracks(self.folder)

    @torch.no_grad()
    def test_streaming_equals_the_whole(self):
        torch.manual_seed(3)
        network = VoiceNetwork(INPUTS, 8, 8).eval()
        pairs = torch.randn(2, 30, 2 * INPUTS)
        whole, _ = network(pairs)
        state, parts = None, []
        for at in range(30):
            part, state = network(pairs[:, at : at + 1], state)
            parts.append(part)
        self.assertTrue(torch.allclose(torch.cat(parts, 1), whole, atol=1e-6))

    def test_stretches_lie_within_a_caller_and_splits_stay_apart(self):
        train, validation = Tracks(self.folder, "train"), Tracks(self.folder, "validation")
        self.assertFalse(set(train.names) & set(validation.names))
        places = train.stretches(150, torch.Generator().manual_seed(1))
        self.assertGreaterEqual(len(places), len(train.names))
        for at in places:
            self.assertTrue(any(first <= at and at + 150 <= first + count for first, count in train.spans))

    def test_learns_and_gives_the_same_from_the_same_seed(self):
        train, validation = Tracks(self.folder, "train"), Tracks(self.folder, "validation")
        losses = []
        networks = [fit(train, INPUTS, 6, 60, 4, 2e-2, 5, 8, 8, losses.append) for _ in range(2)]
        scores, labels = (np.concatenate(parts) for parts in zip(*answers(networks[0].eval(), validation)))
        self.assertGreater(auc(scores, labels), 0.95)
        self.assertGreater(recall_at(scores, labels, 0.2), 0.9)
        for name, value in networks[0].state_dict().items():
            self.assertTrue(torch.equal(value, networks[1].state_dict()[name]), name)

    def test_edges_of_speech_weigh_more(self):
        targets = torch.zeros(1, 100, 2, dtype=torch.uint8)
        targets[0, 40:70] = 1
        targets[0, 5] = NOT_ASKED
        weights = edge_weights(targets).flatten()
        self.assertEqual(weights.shape, (200,))
        for edge in (80, 140):
            self.assertTrue((weights[edge - EDGE_FRAMES : edge + EDGE_FRAMES + 1] == 2).all())
        self.assertTrue((weights[: 80 - EDGE_FRAMES] == 1).all())
        self.assertEqual(weights[110], 1)

    def test_area_under_the_curve(self):
        self.assertEqual(auc(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1])), 1.0)
        self.assertEqual(auc(np.array([0.5, 0.5, 0.5, 0.5]), np.array([0, 1, 0, 1])), 0.5)
        random = np.random.RandomState(1)
        scores, labels = random.randint(0, 9, 200) / 9, random.randint(0, 2, 200)
        pairs = [(a > b) + 0.5 * (a == b) for a in scores[labels == 1] for b in scores[labels == 0]]
        self.assertAlmostEqual(auc(scores, labels), np.mean(pairs))

    @torch.no_grad()
    def test_what_is_exported_is_the_network(self):
        torch.manual_seed(4)
        network = VoiceNetwork(INPUTS, 8, 16).eval()
        export(network, self.folder / "out", "0.0.1", "nothing", {"auc": 0.5})
        data = np.frombuffer((self.folder / "out" / "weights.f32").read_bytes(), "<f4")
        at, weights = 0, {}
        for name in ORDER:
            shape = network.state_dict()[name].shape
            weights[name] = torch.from_numpy(data[at : at + shape.numel()].reshape(shape).copy())
            at += shape.numel()
        self.assertEqual(at, len(data))
        again = VoiceNetwork(INPUTS, 8, 16)
        again.load_state_dict(weights)
        logits = json.loads((self.folder / "out" / "parity.json").read_text())["logits"]
        pairs = torch.from_numpy(made_up(PARITY_STEPS, 2 * INPUTS).astype(np.float32))[None]
        self.assertTrue(np.allclose(again(pairs)[0][0].numpy(), logits, atol=1e-5))


if __name__ == "__main__":
    unittest.main()
