"""The two-path network of the paper, over a vector of time averages: a BiLSTM and a (dilated) CNN along the coefficients.

Read from the paper's text and from the notebook's count of parameters, 313,354 for 13 inputs and 10 classes, which this
network meets exactly. What the count settles: one coefficient is one step of the BiLSTM; a "3x3" kernel on an image one
column wide has three weights that count, not nine; a dense layer of 64 stands between the fused 256 numbers and the
softmax. Initial values and batch normalisation follow Keras, in which the notebook is written.
"""

import torch
from torch import nn

DILATION = {"emonet": 2, "emotech": 1}

_LSTM_UNITS = 64
_KERNELS = (32, 64, 128)
_DROPOUT = 0.2


class TwoPath(nn.Module):
    """`[batch, inputs]` to `[batch, classes]` logits."""

    def __init__(self, inputs, classes, dilation):
        super().__init__()
        self.lstm = nn.LSTM(1, _LSTM_UNITS, num_layers=2, batch_first=True, bidirectional=True)
        layers, channels, length = [], 1, inputs
        for kernels in _KERNELS:
            layers += [
                nn.Conv1d(channels, kernels, 3, padding=dilation, dilation=dilation),
                nn.ReLU(),
                nn.BatchNorm1d(kernels, eps=1e-3, momentum=0.01),
                nn.MaxPool1d(2),
            ]
            channels, length = kernels, length // 2
        self.convolutions = nn.Sequential(
            *layers,
            nn.Flatten(),
            nn.Linear(channels * length, 512),
            nn.ReLU(),
            nn.Dropout(_DROPOUT),
            nn.Linear(512, 128),
            nn.ReLU(),
            nn.Dropout(_DROPOUT),
        )
        self.head = nn.Sequential(nn.Linear(2 * _LSTM_UNITS + 128, 64), nn.ReLU(), nn.Linear(64, classes))
        self._initialise()

    def forward(self, x):
        _, (last, _) = self.lstm(x[:, :, None])
        both = torch.cat([last[-2], last[-1]], dim=1)
        return self.head(torch.cat([both, self.convolutions(x[:, None, :])], dim=1))

    def _initialise(self):
        for module in self.modules():
            if isinstance(module, (nn.Conv1d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        for name, value in self.lstm.named_parameters():
            if name.startswith("weight_ih"):
                nn.init.xavier_uniform_(value)
            elif name.startswith("weight_hh"):
                nn.init.orthogonal_(value)
            else:
                nn.init.zeros_(value)
            if name.startswith("bias_ih"):
                value.data[_LSTM_UNITS : 2 * _LSTM_UNITS] = 1  # the forget gate, open at first
            if name.startswith("bias_hh"):
                value.requires_grad_(False)  # Keras has one bias a gate


def count_parameters(network):
    """As Keras counts: weights that learn, and the running mean and variance of batch normalisation."""
    learnt = sum(value.numel() for value in network.parameters() if value.requires_grad)
    running = sum(value.numel() for name, value in network.named_buffers() if name.endswith(("running_mean", "running_var")))
    return learnt + running
