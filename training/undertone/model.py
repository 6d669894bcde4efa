"""EmoNet: a dilated convolutional trunk that is causal in time, and over its last steps a BiLSTM and attentive pooling.

After "Revamping EmoTech" (Alam, Mobassara, Mamun; ECCE 2025), whose two ideas are kept, the dilated CNN and the BiLSTM,
over log-mel and MFCC; unlike there the time axis is kept. The trunk runs once over a caller's frames, whatever windows are
cut later, and never changes what it said of a frame. Its first block works on steps of 40 ms, all else on steps of 80. The head works on the trunk's steps in a window. Three poolings are
fused: the BiLSTM's, by attention; the trunk's; and that of the features themselves, the one thing that the paper's
time-averaged features had. EmoTech, the paper's baseline, is the same network with plain convolutions.
"""

import torch
import torch.nn.functional as F
from torch import nn

from .data import FEATURES, LABELS, MEL_BANDS
from .layers import CausalConv1d, CausalConv2d, DilatedBlock, coarser, gated, halved, pool
from .windows import STRIDE, cut

# Frames of a step of the first block; the others see two such steps as one, which is a step of the head.
FINE = STRIDE // 2
DILATIONS = {"emonet": (1, 1, 2, 4), "emotech": (1, 1, 1, 1)}


class EmoNet(nn.Module):
    """Whole windows: features `[B, T, 104]` (normalised, zero where not heard), mask `[B, T]` to logits `[B, 6]`.

    T is a multiple of 8: the trunk's steps are 80 ms. The first `context` frames serve the trunk alone.
    """

    def __init__(self, kind="emonet", stem=(16, 32, 48), channels=144, lstm=96, hidden=160, dropout=0.2, head_dropout=0.4):
        super().__init__()
        self.kind = kind
        self.stem = nn.ModuleList(
            [
                CausalConv2d(1, stem[0], 64, (5, 3), (2, 2)),
                CausalConv2d(stem[0], stem[1], 32, (3, 3), (2, 2)),
                CausalConv2d(stem[1], stem[2], 16, (3, 3), (2, 1)),
            ]
        )
        self.cepstrum = CausalConv1d(FEATURES - MEL_BANDS, 32, 8, stride=FINE)
        self.join = nn.Sequential(nn.Conv1d(stem[2] * MEL_BANDS // 8 + 32, channels, 1, bias=False), nn.BatchNorm1d(channels), nn.ReLU())
        self.blocks = nn.ModuleList([DilatedBlock(channels, d, dropout / 2) for d in DILATIONS[kind]])
        self.channels = channels
        self.step_size = channels + 2 * FEATURES + 1
        self.lstm = nn.LSTM(channels, lstm, batch_first=True, bidirectional=True)
        self.attention = nn.Sequential(nn.Linear(2 * lstm, 64), nn.Tanh(), nn.Linear(64, 1))
        pooled = 4 * lstm + 2 * channels + 2 * FEATURES
        self.head = nn.Sequential(
            nn.BatchNorm1d(pooled), nn.Dropout(head_dropout), nn.Linear(pooled, hidden), nn.ReLU(), nn.Dropout(head_dropout), nn.Linear(hidden, len(LABELS))
        )

    @property
    def stateful(self):
        """The layers that remember, in the order of the state."""
        return [*self.stem, self.cepstrum, *self.blocks]

    @property
    def context(self):
        """Frames before a step's own that can change it."""
        past, rate = 0, 1
        for layer in self.stem:
            past, rate = past + rate * layer.past_shape[-1], rate * layer.conv.stride[1]
        first, *others = [block.past_shape[-1] for block in self.blocks]
        return max(past, self.cepstrum.past_shape[-1]) + FINE * first + STRIDE * sum(others)

    def trunk(self, features, mask, pasts=None):
        """features `[B, T, 104]`, mask `[B, T]`, what the layers remember or None for silence.

        Returns steps `[B, T / 8, step_size]` (channels, sums and sums of squares of the features heard in the step, their
        count) and what the layers remember now.
        """
        pasts = iter([None] * len(self.stateful) if pasts is None else pasts)
        kept = []
        heard = mask
        x = features[:, :, :MEL_BANDS].transpose(1, 2).unsqueeze(1)
        for layer in self.stem:
            heard = coarser(heard) if layer.conv.stride[1] == 2 else heard
            x, past = layer(x, heard, next(pasts))
            kept.append(past)
        cepstrum, past = self.cepstrum(features[:, :, MEL_BANDS:].transpose(1, 2), heard, next(pasts))
        kept.append(past)
        x = self.join(torch.cat([x.flatten(1, 2), cepstrum], 1))
        x = gated(x, heard[:, None])
        for block in self.blocks:
            x, past = block(x, heard, next(pasts))
            kept.append(past)
            if block is self.blocks[0]:
                x, heard = halved(x, heard)
        own = features * mask[..., None]
        sums = torch.cat([own, own * own, mask[..., None]], 2)
        sums = sums.reshape(features.shape[0], -1, STRIDE, 2 * FEATURES + 1).sum(2)
        return torch.cat([x.transpose(1, 2), sums], 2), kept

    def score(self, steps):
        """The head: a window's steps `[B, N, step_size]` to logits `[B, 6]`."""
        trunk, sums, squares, count = steps.split([self.channels, FEATURES, FEATURES, 1], 2)
        total = count.sum(1).clamp(min=1)
        mean = sums.sum(1) / total
        deviation = ((squares.sum(1) / total - mean * mean).clamp(min=0) + 1e-3).sqrt()
        heard = (count > 0).to(steps.dtype)
        outputs, _ = self.lstm(trunk)
        attention = torch.softmax(self.attention(outputs) + (heard - 1) * 1e4, 1)
        even = heard / heard.sum(1, keepdim=True).clamp(min=1)
        return self.head(torch.cat([pool(outputs, attention), pool(trunk, even), mean, deviation], 1))

    def over(self, features, mask):
        """Of a call `[1, T, 104]`, `[1, T]`, in evaluation: a function from window ends (frames) to logits `[W, 6]`."""
        steps, _ = self.eval().trunk(features, mask)
        return lambda ends: self.score(cut(steps, ends[None])).float().numpy()

    def forward(self, features, mask, context=0):
        steps, _ = self.trunk(features, mask)
        return self.score(steps[:, context // STRIDE :])


class WholeWindow(nn.Module):
    """The network over a window and its left context: the reference that streaming must equal."""

    def __init__(self, model, context):
        super().__init__()
        self.model, self.context = model, context

    def forward(self, features, mask):
        return self.model(features, mask, self.context)
