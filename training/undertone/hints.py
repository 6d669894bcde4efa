"""What linear layers say of a clip along the way, in training alone: hints to the trunk, of which nothing is left in the network.

A window's logits tell the trunk little of where in a clip it went wrong. So after each step that is heard, a linear layer on
the mean and deviation of the trunk's steps so far says the emotion, and another one which of the corpus's sentences is spoken
("deep supervision", Lee et al. 2015; tasks beside the task, Caruana 1997): how something is said stands out from what is said.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .data import LABELS
from .layers import running_pool
from .windows import EARLIEST_FRAMES, STRIDE


class Hints(nn.Module):
    """Losses of both layers; their weights in the sum are `emotion` and `sentence`."""

    def __init__(self, channels, sentences, emotion, sentence):
        super().__init__()
        self.channels, self.sentences, self.weights = channels, sentences, (emotion, sentence)
        self.layers = nn.Sequential(nn.LayerNorm(2 * channels), nn.Linear(2 * channels, len(LABELS) + sentences))

    def forward(self, steps, emotions, sentences, smoothing):
        """steps: the trunk's `[B, N, step_size]`; what is so of each clip: emotions `[B, 6]`, sentences `[B, S]`, zeros where it is not known."""
        heard = (steps[..., -1:] > 0).float()
        said = (heard * (heard.cumsum(1) >= EARLIEST_FRAMES // STRIDE))[..., 0]
        logits = self.layers(running_pool(steps[..., : self.channels], heard))
        total = 0.0
        # A sentence that is not known must stay zeros, so there is no smoothing of sentences.
        layers = zip(self.weights, logits.split([len(LABELS), self.sentences], 2), (emotions, sentences), (smoothing, 0.0))
        for weight, own, target, smoothed in layers:
            if weight > 0:
                target = target[..., None].expand(-1, -1, own.shape[1])
                losses = F.cross_entropy(own.transpose(1, 2), target, label_smoothing=smoothed, reduction="none")
                total = total + weight * (losses * said).sum() / said.sum().clamp(min=1)
        return total


def sentences_of(clips):
    """Which sentence each clip speaks, `[clips, S]` of 1 and 0, S of them in alphabetical order; zeros where it is not known."""
    known = sorted(set(clips.sentences) - {""})
    return torch.from_numpy((np.array(clips.sentences)[:, None] == np.array(known)[None]).astype(np.float32)) if known else torch.zeros(len(clips), 0)
