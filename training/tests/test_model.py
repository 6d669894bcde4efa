"""The network streams: fed hop by hop it says what it says of whole windows, and silence is the same as nothing."""

import unittest

import torch

from undertone.model import DILATIONS, EmoNet
from undertone.serving import StreamingHead, StreamingTrunk
from undertone.windows import HOP_FRAMES, STRIDE, WINDOW_FRAMES


def trained_like(kind):
    """A network whose norms have seen data, so that a gate that is left out shows."""
    torch.manual_seed(5)
    model = EmoNet(kind)
    model.train()
    for _ in range(3):
        model(torch.randn(8, WINDOW_FRAMES, 104) + 0.3, (torch.rand(8, WINDOW_FRAMES) < 0.8).float())
    return model.eval()


class Streaming(unittest.TestCase):
    @torch.no_grad()
    def test_streaming_equals_whole_windows(self):
        for kind in DILATIONS:
            model = trained_like(kind)
            context = -(-model.context // STRIDE) * STRIDE
            mask = (torch.rand(2, 1200) < 0.9).float()
            mask[:, 300:500] = 0
            features = torch.randn(2, 1200, 104) * mask[..., None]
            trunk, head = StreamingTrunk(model), StreamingHead(model)
            state, ring = torch.zeros(2, trunk.state_size), []
            for at in range(0, 1200, HOP_FRAMES):
                steps, state = trunk(features[:, at : at + HOP_FRAMES], mask[:, at : at + HOP_FRAMES], state)
                ring.append(steps)
            ring = torch.cat(ring, 1)
            worst = 0.0
            for end in range(context + WINDOW_FRAMES + 8, 1200, HOP_FRAMES):
                end = end // STRIDE * STRIDE
                first = end - WINDOW_FRAMES - context
                whole = model(features[:, first:end], mask[:, first:end], context)
                stream = head(ring[:, (end - WINDOW_FRAMES) // STRIDE : end // STRIDE])
                worst = max(worst, float((whole - stream).abs().max()))
            self.assertLess(worst, 1e-4, kind)

    @torch.no_grad()
    def test_left_context_reaches_as_far_as_said_and_no_farther(self):
        for kind in DILATIONS:
            model = trained_like(kind)
            step, start = 48, 48 * STRIDE
            features, mask = torch.randn(1, start + 2 * STRIDE, 104), torch.ones(1, start + 2 * STRIDE)

            def changed_by(first, last):
                other = features.clone()
                other[:, first:last] += 3
                return not torch.equal(model.trunk(other, mask)[0][0, step], model.trunk(features, mask)[0][0, step])

            self.assertTrue(changed_by(start + STRIDE - 1, start + STRIDE))
            self.assertFalse(changed_by(start + STRIDE, start + 2 * STRIDE))
            self.assertTrue(changed_by(start - model.context, start - model.context + STRIDE))
            self.assertFalse(changed_by(0, start - model.context))

    @torch.no_grad()
    def test_silence_leaves_no_trace(self):
        model = trained_like("emonet")
        trunk = StreamingTrunk(model)
        _, state = trunk(torch.zeros(1, HOP_FRAMES, 104), torch.zeros(1, HOP_FRAMES), torch.zeros(1, trunk.state_size))
        self.assertEqual(float(state.abs().max()), 0.0)

    @torch.no_grad()
    def test_the_head_that_serves_is_the_head(self):
        model = trained_like("emonet")
        heard = torch.rand(6, 30, 1) < 0.7
        heard[0] = False
        heard[1, 3:] = False
        steps = torch.cat([torch.randn(6, 30, 144).relu(), torch.randn(6, 30, 104) * 8, torch.rand(6, 30, 104) * 16, torch.full((6, 30, 1), 8.0)], 2) * heard
        self.assertLess(float((StreamingHead(model)(steps) - model.score(steps)).abs().max()), 1e-5)

    def test_stays_within_a_million_parameters(self):
        for kind in DILATIONS:
            self.assertLessEqual(sum(p.numel() for p in EmoNet(kind).parameters()), 1_000_000)

    def test_differs_from_the_baseline_in_dilation_alone(self):
        shapes = [[tuple(p.shape) for p in EmoNet(kind).parameters()] for kind in ("emonet", "emotech")]
        self.assertEqual(*shapes)


if __name__ == "__main__":
    unittest.main()
