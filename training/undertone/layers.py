"""Causal layers whose output stays zero where nothing is heard, so that silence before a window equals zero padding.

Each layer keeps, besides its output, what it needs of the past to go on: `past` in, `past` out. Fed frame by frame or all
at once, the outputs are the same.
"""

import torch
import torch.nn.functional as F
from torch import nn


class CausalConv2d(nn.Module):
    """Convolution over (band, time), batch norm, ReLU, gate. Output j sees time steps up to the newest of its stride.

    `past_shape` is `[inputs, bands, kernel - stride]`.
    """

    def __init__(self, inputs, outputs, bands, kernel, stride):
        super().__init__()
        self.past_shape = (inputs, bands, kernel[1] - stride[1])
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=(kernel[0] // 2, 0), bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x, heard, past):
        """x: `[B, inputs, bands, T]`; heard: `[B, T / stride]`; past: `[B, *past_shape]` or None for silence."""
        x, past = convolved(self.conv, x, past, self.past_shape[-1])
        return gated(F.relu(self.norm(x)), heard[:, None, None]), past


class CausalConv1d(nn.Module):
    """Convolution over time, batch norm, ReLU, gate. `past_shape` is `[inputs, dilation * (kernel - 1) + 1 - stride]`."""

    def __init__(self, inputs, outputs, kernel, stride=1, dilation=1):
        super().__init__()
        self.past_shape = (inputs, dilation * (kernel - 1) + 1 - stride)
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride=stride, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, x, heard, past):
        x, past = convolved(self.conv, x, past, self.past_shape[-1])
        return gated(F.relu(self.norm(x)), heard[:, None]), past


class DilatedBlock(nn.Module):
    """Residual block: dilated convolution, pointwise convolution, dropout of channels."""

    def __init__(self, channels, dilation, dropout):
        super().__init__()
        self.dilated = CausalConv1d(channels, channels, 3, dilation=dilation)
        self.mix = nn.Conv1d(channels, channels, 1)
        self.dropout = nn.Dropout1d(dropout)
        self.past_shape = self.dilated.past_shape

    def forward(self, x, heard, past):
        y, past = self.dilated(x, heard, past)
        return gated(x + self.dropout(self.mix(y)), heard[:, None]), past


def gated(x, heard):
    """x where it is heard, in the precision of x: a product with float32 would undo autocast."""
    return x * heard.to(x.dtype)


def convolved(conv, x, past, length):
    """The convolution of x with the `length` time steps before it, and the last `length` of the two together.

    In training the convolution pads by itself, on both sides because it cannot on one, which is faster than to pad x; what it
    adds at the end is cut off. Graphs are made the plain way, so that a batch norm is folded into its convolution.
    """
    if past is not None or not conv.training or x.shape[-1] < length:
        x, past = with_past(x, past, length)
        return conv(x), past
    spare = x.shape[-1] // conv.stride[-1]
    call, one = (F.conv2d, (conv.padding[0], length)) if x.ndim == 4 else (F.conv1d, length)
    y = call(x, conv.weight, conv.bias, conv.stride, one, conv.dilation)
    return y[..., :spare], x[..., x.shape[-1] - length :]


def with_past(x, past, length):
    """x with the `length` time steps before it, and the last `length` of the two together."""
    joined = F.pad(x, (length, 0)) if past is None else torch.cat([past, x], -1)
    return joined, joined[..., joined.shape[-1] - length :]


def coarser(mask):
    """Mask `[B, T]` at half the rate: a step is heard if one of its two is."""
    return F.max_pool1d(mask[:, None], 2)[:, 0]


def halved(x, heard):
    """x `[B, C, T]` at half the rate: the mean of what is heard of each two steps, zero where nothing is; and what is heard then."""
    share = 1 / heard.reshape(heard.shape[0], -1, 2).sum(2).clamp(min=1)
    return gated(x.reshape(x.shape[0], x.shape[1], -1, 2).sum(3), share[:, None]), coarser(heard)


def pool(values, weight):
    """Weighted mean and standard deviation over time: `[B, T, C]`, `[B, T, 1]` to `[B, 2 C]`."""
    mean = (weight * values).sum(1)
    variance = (weight * (values - mean.unsqueeze(1)).square()).sum(1)
    return torch.cat([mean, (variance + 1e-3).sqrt()], 1)


def running_pool(values, heard):
    """Mean and standard deviation of what was heard so far, after each step: `[B, T, C]`, `[B, T, 1]` to `[B, T, 2 C]`."""
    count = heard.cumsum(1).clamp(min=1)
    mean = (values * heard).cumsum(1) / count
    square = (values * values * heard).cumsum(1) / count
    return torch.cat([mean, ((square - mean * mean).clamp(min=0) + 1e-3).sqrt()], 2)
