"""What Muon's steps are, and which weights are its own."""

import unittest
from dataclasses import replace

import torch

from undertone.model import EmoNet
from undertone.optimizing import ADAM_RMS, LAST, Muon, Optimizing, muons_of, orthogonal
from undertone.recipe import Recipe


class OptimizingTest(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(5)

    def test_keeps_singular_vectors_and_makes_all_singular_values_about_one(self):
        for shape in ((3, 8, 40), (2, 30, 12), (1, 16, 16)):
            matrices = torch.randn(shape)
            # As ill-conditioned as gradients are.
            u, s, v = torch.linalg.svd(matrices, full_matrices=False)
            matrices = (u * torch.linspace(1, 0.1, s.shape[-1])) @ v
            inside = u.transpose(1, 2) @ orthogonal(matrices) @ v.transpose(1, 2)
            values = inside.diagonal(dim1=1, dim2=2)
            self.assertGreater(float(values.min()), 0.6)
            self.assertLess(float(values.max()), 1.25)
            self.assertLess(float((inside - torch.diag_embed(values)).abs().max()), 1e-3)

    def test_a_step_is_as_large_as_adamws_against_the_gradient_whatever_its_size(self):
        weights = [torch.nn.Parameter(torch.zeros(24, 5, 3)) for _ in range(2)]
        gradient = torch.randn(24, 5, 3)
        for weight, scale in zip(weights, (1e-4, 100.0)):
            weight.grad = scale * gradient
        Muon([{"params": weights}], lr=0.01, weight_decay=0.0).step()
        torch.testing.assert_close(weights[0], weights[1], rtol=1e-3, atol=1e-6)
        self.assertAlmostEqual(float(weights[0].detach().square().mean().sqrt()), 0.01 * ADAM_RMS, delta=0.2 * 0.01 * ADAM_RMS)
        self.assertLess(float((weights[0].detach() * gradient).sum()), 0)

    def test_gates_are_matrices_by_themselves_and_weights_decay(self):
        gates = torch.nn.Parameter(torch.randn(32, 6))
        parts = [torch.nn.Parameter(part.clone()) for part in gates.detach().chunk(4)]
        gates.grad = torch.randn(32, 6) * torch.tensor([1e-3, 1, 10, 1]).repeat_interleave(8)[:, None]
        for part, gradient in zip(parts, gates.grad.chunk(4)):
            part.grad = gradient.clone()
        before = gates.detach().clone()
        Muon([{"params": [gates], "parts": 4}], lr=0.1, weight_decay=0.5).step()
        for part in parts:
            Muon([{"params": [part]}], lr=0.1, weight_decay=0.5).step()
        torch.testing.assert_close(gates.detach(), torch.cat([part.detach() for part in parts]))
        gates.grad = None
        untouched = gates.detach().clone()
        Muon([{"params": [gates], "parts": 4}], lr=0.1, weight_decay=0.5).step()
        self.assertTrue(torch.equal(gates, untouched))
        # Without its step, what is left is what decayed.
        still = torch.nn.Parameter(before.clone())
        still.grad = torch.zeros_like(before)
        Muon([{"params": [still]}], lr=0.1, weight_decay=0.5).step()
        torch.testing.assert_close(still.detach(), before * 0.95)

    def test_every_weight_is_moved_by_one_of_the_two(self):
        network = EmoNet(channels=16, lstm=8)
        names = {id(p): name for name, p in network.named_parameters()}
        for name in LAST:
            self.assertIn(name, names.values())
        own = [names[id(p)] for group in muons_of(network) for p in group["params"]]
        self.assertEqual(len(own), len(set(own)))
        self.assertEqual({name for name in names.values() if name not in own}, {name for name, p in network.named_parameters() if p.ndim == 1} | set(LAST))
        beside = torch.nn.Linear(3, 2)
        for muon in (0.0, 2.0):
            optimizing = Optimizing(replace(Recipe(), lr=1e-2, muon=muon), network, [beside], total=4)
            before = [p.detach().clone() for p in (*network.parameters(), *beside.parameters())]
            for p in (*network.parameters(), *beside.parameters()):
                p.grad = torch.randn_like(p)
            optimizing.step()
            self.assertEqual(optimizing.taken, 1)
            for p, was in zip((*network.parameters(), *beside.parameters()), before):
                self.assertFalse(torch.equal(p, was))
            optimizing.zero_grad()
            self.assertTrue(all(p.grad is None for p in network.parameters()))

    def test_muons_rate_rises_and_falls_with_adamws(self):
        optimizing = Optimizing(replace(Recipe(), lr=1e-3, muon=2.5), EmoNet(channels=16, lstm=8), [], total=40)
        rates = []
        for _ in range(40):
            rates.append([optimizer.param_groups[0]["lr"] for optimizer in optimizing.optimizers])
            optimizing.step()
        for adam, muon in rates:
            self.assertAlmostEqual(muon, 2.5 * adam, places=9)
        self.assertAlmostEqual(max(adam for adam, _ in rates), 1e-3, places=5)
        self.assertLess(rates[-1][0], 5e-5)


if __name__ == "__main__":
    unittest.main()
