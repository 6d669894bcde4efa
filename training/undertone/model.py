"""EmoNet: a dilated convolutional trunk that is causal in time, a BiLSTM over the window, attentive pooling.

After "Revamping EmoTech" (Alam, Mobassara, Mamun; ECCE 2025), whose two ideas are kept, the dilated CNN and the
BiLSTM, over log-mel and MFCC; unlike there the time axis is kept. Every convolution looks only to the past, so the
trunk's output at a frame never changes once computed. Three poolings are fused: the BiLSTM's, by attention; the
trunk's; and that of the features themselves, the one thing that the paper's time-averaged features had.
"""

import torch
import torch.nn.functional as F
from torch import nn

from .data import FEATURES, LABELS, MEL_BANDS

STRIDE = 4


class CausalConv2d(nn.Module):
    """Convolution over (band, time): bands padded on both sides, time on the left alone."""

    def __init__(self, inputs, outputs, kernel, stride):
        super().__init__()
        self.pad = (kernel[1] - 1, 0, kernel[0] // 2, kernel[0] // 2)
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return F.relu(self.norm(self.conv(F.pad(x, self.pad))))


class CausalConv1d(nn.Module):
    """Convolution over time, padded on the left alone."""

    def __init__(self, inputs, outputs, kernel, stride=1, dilation=1):
        super().__init__()
        self.left = (kernel - 1) * dilation
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride=stride, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, x):
        return F.relu(self.norm(self.conv(F.pad(x, (self.left, 0)))))


class DilatedBlock(nn.Module):
    """Residual block: dilated convolution, pointwise convolution, dropout."""

    def __init__(self, channels, dilation, dropout):
        super().__init__()
        self.dilated = CausalConv1d(channels, channels, 3, dilation=dilation)
        self.mix = nn.Conv1d(channels, channels, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return x + self.dropout(self.mix(self.dilated(x)))


class EmoNet(nn.Module):
    """Input: features `[B, T, 104]` (normalised, zero outside speech) and mask `[B, T]`; output: logits `[B, 6]`.

    T is a multiple of 4; the trunk works at a quarter of the frame rate (40 ms).
    """

    def __init__(self, channels=128, lstm=96, dilations=(1, 2, 4, 8, 16), dropout=0.2):
        super().__init__()
        self.stem = nn.Sequential(
            CausalConv2d(1, 16, (5, 3), (2, 2)),
            CausalConv2d(16, 32, (3, 3), (2, 2)),
            CausalConv2d(32, 48, (3, 3), (2, 1)),
        )
        self.cepstrum = CausalConv1d(FEATURES - MEL_BANDS, 32, 8, stride=STRIDE)
        self.join = nn.Sequential(nn.Conv1d(48 * MEL_BANDS // 8 + 32, channels, 1, bias=False), nn.BatchNorm1d(channels), nn.ReLU())
        self.blocks = nn.Sequential(*[DilatedBlock(channels, d, dropout / 2) for d in dilations])
        self.lstm = nn.LSTM(channels, lstm, batch_first=True, bidirectional=True)
        self.attention = nn.Sequential(nn.Linear(2 * lstm, 64), nn.Tanh(), nn.Linear(64, 1))
        pooled = 4 * lstm + 2 * channels + 2 * FEATURES
        self.head = nn.Sequential(
            nn.BatchNorm1d(pooled),
            nn.Dropout(2 * dropout),
            nn.Linear(pooled, 160),
            nn.ReLU(),
            nn.Dropout(2 * dropout),
            nn.Linear(160, len(LABELS)),
        )

    def trunk(self, features):
        """`[B, T, 104]` to `[B, T / 4, channels]`."""
        mel = features[:, :, :MEL_BANDS].transpose(1, 2).unsqueeze(1)
        mel = self.stem(mel).flatten(1, 2)
        cepstrum = self.cepstrum(features[:, :, MEL_BANDS:].transpose(1, 2))
        return self.blocks(self.join(torch.cat([mel, cepstrum], 1))).transpose(1, 2)

    def forward(self, features, mask):
        trunk = self.trunk(features)
        steps, _ = self.lstm(trunk)
        # A step counts if the newest frame that it sees is speech.
        heard = mask[:, ::STRIDE].unsqueeze(2)
        attention = torch.softmax(self.attention(steps) + (heard - 1) * 1e4, 1)
        even = heard / heard.sum(1, keepdim=True).clamp(min=1)
        spoken = mask.unsqueeze(2) / mask.sum(1).clamp(min=1)[:, None, None]
        return self.head(torch.cat([pool(steps, attention), pool(trunk, even), pool(features, spoken)], 1))


def pool(values, weight):
    """Weighted mean and standard deviation over time: `[B, T, C]`, `[B, T, 1]` to `[B, 2 C]`."""
    mean = (weight * values).sum(1)
    variance = (weight * (values - mean.unsqueeze(1)).square()).sum(1)
    return torch.cat([mean, (variance + 1e-3).sqrt()], 1)
