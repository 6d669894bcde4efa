"""The network: a dense layer a frame, a GRU a pair of frames, two logits of the pair before."""

import torch
from torch import nn

PAIR = 2


class VoiceNetwork(nn.Module):
    """Causal: at each pair of frames it says whether the two frames before them are speech, having heard two or three later ones."""

    def __init__(self, inputs, dense=24, hidden=24):
        super().__init__()
        self.inputs, self.hidden = inputs, hidden
        self.dense = nn.Linear(inputs, dense)
        self.gru = nn.GRU(PAIR * dense, hidden, batch_first=True)
        self.out = nn.Linear(hidden, PAIR)

    def forward(self, pairs, state=None):
        """`pairs`: `[B, T, 2 * inputs]`; returns logits `[B, T, 2]` and the state `[1, B, hidden]` to go on from."""
        batch, steps, _ = pairs.shape
        frames = torch.relu(self.dense(pairs.reshape(batch, steps, PAIR, self.inputs)))
        heard, state = self.gru(frames.reshape(batch, steps, -1), state)
        return self.out(heard), state
