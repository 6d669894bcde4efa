"""What hints hold the trunk to, by hand."""

import unittest

import torch

from undertone.hints import Hints
from undertone.layers import running_pool


class HintsTest(unittest.TestCase):
    def test_a_hint_is_of_what_was_heard_so_far(self):
        torch.manual_seed(3)
        hints = Hints(4, 2, 1.0, 1.0)
        trunk, heard = torch.randn(1, 10, 4), torch.tensor([0, 1, 1, 0, 1, 1, 1, 1, 0, 0.0])[None, :, None]
        pooled = running_pool(trunk, heard)
        so_far = trunk[0, [1, 2, 4, 5]]
        self.assertTrue(torch.allclose(pooled[0, 5, :4], so_far.mean(0), atol=1e-5))
        self.assertTrue(torch.allclose(pooled[0, 5, 4:], (so_far.var(0, unbiased=False) + 1e-3).sqrt(), atol=1e-4))
        steps = torch.cat([trunk, torch.zeros(1, 10, 3), heard], 2)
        emotions, sentences = torch.eye(6)[:1], torch.tensor([[0.0, 1.0]])
        loss = hints(steps, emotions, sentences, 0.0)
        logits = hints.layers(pooled)[0, [4, 5, 6, 7]]
        expected = -(logits[:, :6].log_softmax(1)[:, 0].mean() + logits[:, 6:].log_softmax(1)[:, 1].mean())
        self.assertAlmostEqual(float(loss), float(expected), places=5)
        # A clip whose sentence is not known is no hint.
        without = hints(steps, emotions, torch.zeros(1, 2), 0.0)
        self.assertAlmostEqual(float(without), float(-logits[:, :6].log_softmax(1)[:, 0].mean()), places=5)

    def test_smooths_emotions_and_never_sentences_however_many_there_are(self):
        torch.manual_seed(4)
        steps = torch.cat([torch.randn(1, 6, 4), torch.ones(1, 6, 1)], 2)
        emotions, unknown = torch.eye(6)[:1], torch.zeros(1, 6)
        alone, both = Hints(4, 6, 1.0, 0.0), Hints(4, 6, 1.0, 1.0)
        both.load_state_dict(alone.state_dict())
        self.assertAlmostEqual(float(alone(steps, emotions, unknown, 0.1)), float(both(steps, emotions, unknown, 0.1)), places=5)
        self.assertNotAlmostEqual(float(alone(steps, emotions, unknown, 0.1)), float(alone(steps, emotions, unknown, 0.0)), places=3)
