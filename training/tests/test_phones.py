"""What the hint of phones holds the trunk to, by hand."""

import itertools
import unittest

import numpy as np
import torch

from undertone.phones import INVENTORY, PHONES, RATE, Phones, phones_of


class Said:
    """As many clips as codes."""

    def __init__(self, *codes):
        self.sentences = np.array(codes)


def by_hand(said, phones):
    """Minus the logarithm of the sum over all ways to say the phones in order, `[T, P]` log-probabilities with 0 for nothing."""
    total = 0.0
    for path in itertools.product(range(said.shape[1]), repeat=len(said)):
        if [one for one, _ in itertools.groupby(path) if one] == phones:
            total += float(said[range(len(said)), list(path)].sum().exp())
    return -np.log(total)


class PhonesTest(unittest.TestCase):
    def test_every_sentence_is_of_the_corpus_and_short_enough_for_its_clips(self):
        self.assertEqual(sorted(PHONES), ["DFA", "IEO", "IOM", "ITH", "ITS", "IWL", "IWW", "MTI", "TAI", "TIE", "TSI", "WSI"])
        self.assertEqual(len(INVENTORY), len(set(INVENTORY)))
        # What is spoken twice in a row needs a pause between: the shortest clips speak for little more than a second.
        for said in PHONES.values():
            phones = said.split()
            self.assertLess(len(phones) + sum(a == b for a, b in zip(phones, phones[1:])), 13 * RATE)

    def test_numbers_the_phones_of_known_sentences_alone(self):
        phones, lengths = phones_of(Said("TSI", "", "DFA"))
        self.assertEqual(lengths.tolist(), [13, 0, 15])
        self.assertEqual([INVENTORY[i - 1] for i in phones[0, :13]], PHONES["TSI"].split())
        self.assertEqual(phones[1].tolist(), [0] * 15)
        self.assertFalse(phones_of(Said("", "kids"))[1].any())

    def test_the_loss_is_of_all_ways_to_say_it_in_what_was_heard(self):
        torch.manual_seed(3)
        hint = Phones(4, 0.5)
        # Two clips of two steps; of the second, nothing of its last step is heard.
        steps = torch.cat([torch.randn(2, 2, 4), torch.tensor([[1.0, 2], [1, 0]])[..., None]], 2)
        spoken = (torch.tensor([[2, 1], [3, 0]]), torch.tensor([2, 1]))
        said = hint.layers(steps[..., :4]).reshape(2, 2 * RATE, -1).log_softmax(2).detach()
        # The others of the inventory have no part in it.
        first, second = by_hand(said[0][:, :3], [2, 1]), by_hand(said[1][:RATE, :4], [3])
        expected = 0.5 * (0.75 * first / 2 + second) / 2
        self.assertAlmostEqual(float(hint(steps, spoken, torch.tensor([0.75, 1.0]))), expected, places=5)
        # Nothing is known of the second, and then it counts nothing.
        alone = hint(steps, (spoken[0], torch.tensor([2, 0])), torch.ones(2))
        self.assertAlmostEqual(float(alone), 0.5 * first / 2 / 2, places=5)

    def test_a_clip_too_short_for_what_is_spoken_counts_nothing(self):
        steps = torch.cat([torch.randn(1, 1, 4), torch.ones(1, 1, 1)], 2).requires_grad_()
        hint = Phones(4, 1.0)
        loss = hint(steps, (torch.tensor([[1, 2, 3, 4]]), torch.tensor([4])), torch.ones(1))
        loss.backward()
        self.assertEqual(float(loss.detach()), 0.0)
        self.assertFalse(steps.grad.isnan().any())
