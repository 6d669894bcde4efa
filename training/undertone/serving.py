"""The trunk as it serves: its layers over whole steps as products of matrices, one row a step, batch norms folded in.

A hop brings a few steps, too few for a convolution to be quick with: the same sums as one product over all callers of a batch
take a third of the time. What the layers remember is `[time, channels]` here, and `[channels, time]` in `EmoNet.trunk`.
"""

import torch
import torch.nn.functional as F
from torch import nn

from .data import FEATURES, MEL_BANDS
from .layers import coarser
from .model import STRIDE


class StreamingTrunk(nn.Module):
    """What a server runs on each hop's frames, with what its layers remember packed in one row a caller.

    features `[B, T, 104]`, mask `[B, T]`, state `[B, state_size]` (zeros at first) to steps `[B, T / 8, step_size]` and the next state.
    """

    def __init__(self, model):
        super().__init__()
        self.stem = model.stem
        self.cepstrum = Unrolled(model.cepstrum.conv, model.cepstrum.norm)
        self.join = Unrolled(model.join[0], model.join[1])
        self.blocks = nn.ModuleList([Block(block) for block in model.blocks])
        self.shapes = [layer.past_shape for layer in [*model.stem, self.cepstrum, *self.blocks]]
        self.sizes = [int(torch.Size(shape).numel()) for shape in self.shapes]
        self.state_size = sum(self.sizes)

    def forward(self, features, mask, state):
        pasts = iter([part.view(-1, *shape) for part, shape in zip(state.split(self.sizes, 1), self.shapes)])
        kept = []
        heard = mask
        x = features[:, :, :MEL_BANDS].transpose(1, 2).unsqueeze(1)
        for layer in self.stem:
            heard = coarser(heard) if layer.conv.stride[1] == 2 else heard
            x, past = layer(x, heard, next(pasts))
            kept.append(past)
        gate = heard[:, :, None]
        cepstrum, past = self.cepstrum(features[:, :, MEL_BANDS:], next(pasts))
        kept.append(past)
        x = x.permute(0, 3, 1, 2).flatten(2)
        x = F.relu(self.join(torch.cat([x, F.relu(cepstrum) * gate], 2))[0]) * gate
        for block in self.blocks:
            x, past = block(x, gate, next(pasts))
            kept.append(past)
            if block is self.blocks[0]:
                share = 1 / gate.reshape(gate.shape[0], -1, 2, 1).sum(2).clamp(min=1)
                x = x.reshape(x.shape[0], -1, 2, x.shape[2]).sum(2) * share
                gate = coarser(heard)[:, :, None]
        own = features * mask[..., None]
        sums = torch.cat([own, own * own, mask[..., None]], 2)
        sums = sums.reshape(features.shape[0], -1, STRIDE, 2 * FEATURES + 1).sum(2)
        return torch.cat([x, sums], 2), torch.cat([past.flatten(1) for past in kept], 1)


class Unrolled(nn.Module):
    """A causal convolution over time and its batch norm: `[B, T, inputs]` and the past to `[B, T / stride, outputs]` and the past.

    `past_shape` is `[dilation * (kernel - 1) + 1 - stride, inputs]`; empty where the convolution sees one step at a time.
    """

    def __init__(self, conv, norm=None):
        super().__init__()
        (kernel,), (self.stride,), (self.dilation,) = conv.kernel_size, conv.stride, conv.dilation
        self.kernel = kernel
        self.past_shape = (self.dilation * (kernel - 1) + 1 - self.stride, conv.in_channels)
        with torch.no_grad():
            weight, bias = folded(conv, norm)
        # Rows in the order in which the taps lie in a row of the input: tap, then channel.
        self.register_buffer("weight", weight.permute(2, 1, 0).reshape(kernel * conv.in_channels, -1).contiguous())
        self.register_buffer("bias", bias)

    def forward(self, x, past=None):
        if past is not None:
            x = torch.cat([past, x], 1)
            past = x[:, x.shape[1] - self.past_shape[0] :]
        return torch.matmul(self.taps(x), self.weight) + self.bias, past

    def taps(self, x):
        """Beside one another, what each output sees."""
        if self.kernel == 1:
            return x
        if self.stride > 1:
            # Two strides see a kernel: whole strides are rows already.
            rows = x.reshape(x.shape[0], -1, self.stride * x.shape[2])
            return torch.cat([rows[:, :-1], rows[:, 1:]], 2)
        last = self.dilation * (self.kernel - 1)
        return torch.cat([x[:, i * self.dilation : x.shape[1] - last + i * self.dilation] for i in range(self.kernel)], 2)


class Block(nn.Module):
    """A residual block of the trunk: `[B, T, channels]`, gate `[B, T, 1]`."""

    def __init__(self, block):
        super().__init__()
        self.dilated = Unrolled(block.dilated.conv, block.dilated.norm)
        self.mix = Unrolled(block.mix)
        self.past_shape = self.dilated.past_shape

    def forward(self, x, gate, past):
        y, past = self.dilated(x, past)
        # A gate of the inner output would be undone by the outer one: `mix` sees one step at a time.
        return (x + self.mix(F.relu(y))[0]) * gate, past


def folded(conv, norm):
    """Weight `[outputs, inputs, kernel]` and bias of a convolution followed by a batch norm in evaluation, or by none."""
    bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias
    if norm is None:
        return conv.weight, bias
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return conv.weight * scale[:, None, None], norm.bias + scale * (bias - norm.running_mean)
