"""The network as it serves: the trunk on one hop of each caller, the head on a window's steps, in as few operators as can be.

A hop brings a few steps, too few for a convolution to be quick with: the same sums as one product over all callers of a batch
take a third of the time. And a server that carries many callers comes back to each operator with cold caches, so that one
costs it many times what a benchmark shows: everything here has the size of a hop, batch norms are folded in, and no gate is
computed whose zeros another one makes again. What the layers remember is `[time, channels]` here, and `[channels, time]` in
`EmoNet.trunk`.
"""

import torch
import torch.nn.functional as F
from torch import nn

from .data import FEATURES, MEL_BANDS
from .model import FINE, STRIDE
from .windows import HOP_FRAMES, WINDOW_FRAMES

#: Steps of a hop: those of the first block, and those of the others and the head.
FINE_STEPS, STEPS = HOP_FRAMES // FINE, HOP_FRAMES // STRIDE
WINDOW_STEPS = WINDOW_FRAMES // STRIDE


class StreamingTrunk(nn.Module):
    """What a server runs on a hop of frames, with what its layers remember packed in one row a caller.

    features `[B, 24, 104]`, mask `[B, 24]`, state `[B, state_size]` (zeros at first) to steps `[B, 3, step_size]` and the next state.
    """

    def __init__(self, model):
        super().__init__()
        self.stem = nn.ModuleList([Stem(layer) for layer in model.stem])
        self.cepstrum = Product(model.cepstrum.conv, FINE_STEPS, model.cepstrum.norm)
        self.join = Product(model.join[0], FINE_STEPS, model.join[1])
        first, *others = model.blocks
        self.first, self.others = Block(first, FINE_STEPS), nn.ModuleList([Block(block, STEPS) for block in others])
        self.channels = model.channels
        self.shapes = [layer.past_shape for layer in [*self.stem, self.cepstrum, self.first, *self.others]]
        self.sizes = [int(torch.Size(shape).numel()) for shape in self.shapes]
        self.state_size = sum(self.sizes)

    def forward(self, features, mask, state):
        pasts = iter([part.reshape(-1, *shape) for part, shape in zip(state.split(self.sizes, 1), self.shapes)])
        kept = []

        def remembering(layer, *inputs):
            output, past = layer(*inputs, next(pasts))
            kept.append(past)
            return output

        fine, heard = heard_in(mask, FINE), heard_in(mask, STRIDE)
        mel, cepstra = features.split([MEL_BANDS, FEATURES - MEL_BANDS], 2)
        x = mel.reshape(-1, 1, HOP_FRAMES, MEL_BANDS)
        frames = 1
        for i, layer in enumerate(self.stem):
            x = remembering(layer, x)
            frames *= layer.stride[0]
            # The last one's are gated behind `join`, which sees one step at a time.
            if i < len(self.stem) - 1:
                x = x * heard_in(mask, frames).reshape(-1, 1, HOP_FRAMES // frames, 1)
        x = x.permute(0, 2, 1, 3).reshape(-1, self.join.width - self.cepstrum.outputs)
        x = torch.cat([x, F.relu(remembering(self.cepstrum, cepstra))], 1)
        x = F.relu(self.join(x)) * fine.reshape(-1, 1)
        x = remembering(self.first, x, fine.reshape(-1, 1))
        # The mean of what is heard of each two steps.
        share = 1 / fine.reshape(-1, 2).sum(1, keepdim=True).clamp(min=1)
        x = x.reshape(-1, 2, self.channels).sum(1) * share
        for block in self.others:
            x = remembering(block, x, heard.reshape(-1, 1))
        own = features * mask.unsqueeze(2)
        sums = [values.reshape(-1, STEPS, STRIDE, FEATURES).sum(2) for values in (own, own * own)]
        count = mask.reshape(-1, STEPS, STRIDE).sum(2, keepdim=True)
        return torch.cat([x.reshape(-1, STEPS, self.channels), *sums, count], 2), torch.cat([past.reshape(-1, size) for past, size in zip(kept, self.sizes)], 1)


def heard_in(mask, frames):
    """Mask `[B, 24]` to `[B, 24 / frames]`: a step is heard if one of its frames is."""
    return mask.reshape(-1, HOP_FRAMES // frames, frames).amax(2)


class Stem(nn.Module):
    """A convolution of the stem with its batch norm and ReLU, over `[B, inputs, T, bands]`, and `past_shape` `[inputs, kernel - stride, bands]`."""

    def __init__(self, layer):
        super().__init__()
        inputs, bands, self.past = layer.past_shape
        self.past_shape = (inputs, self.past, bands)
        self.stride, self.padding = layer.conv.stride[::-1], layer.conv.padding[::-1]
        with torch.no_grad():
            weight, bias = folded(layer.conv, layer.norm)
        self.register_buffer("weight", weight.transpose(2, 3).contiguous())
        self.register_buffer("bias", bias)

    def forward(self, x, past):
        x = torch.cat([past, x], 2)
        return F.relu(F.conv2d(x, self.weight, self.bias, self.stride, self.padding)), x[:, :, -self.past :]


class Product(nn.Module):
    """A causal convolution over time and its batch norm, as a product: to rows `[B * steps, outputs]`.

    Of a kernel of one step x is rows as well. Of others it is `[B, T, inputs]` or rows, and comes with the past, of `past_shape`
    `[dilation * (kernel - 1) + 1 - stride, inputs]`; then it returns the next past, too.
    """

    def __init__(self, conv, steps, norm=None):
        super().__init__()
        (kernel,), (stride,), (dilation,) = conv.kernel_size, conv.stride, conv.dilation
        self.past = dilation * (kernel - 1) + 1 - stride
        self.past_shape = (self.past, conv.in_channels)
        self.frames, self.inputs, self.outputs = steps * stride, conv.in_channels, conv.out_channels
        self.width = kernel * conv.in_channels
        # Taps that are neighbours in time are one row: of a stride that is longer than its dilation, whole strides.
        self.row = stride * conv.in_channels
        taps = range(0, kernel // stride) if stride > 1 else range(0, dilation * kernel, dilation)
        self.register_buffer("taps", torch.tensor([step + tap for step in range(steps) for tap in taps]))
        with torch.no_grad():
            weight, bias = folded(conv, norm)
        # Rows in the order in which the taps lie in a row of the input: tap, then channel.
        self.register_buffer("weight", weight.permute(2, 1, 0).reshape(self.width, -1).contiguous())
        self.register_buffer("bias", bias)

    def forward(self, x, past=None):
        if past is None:
            return torch.addmm(self.bias, x, self.weight)
        x = torch.cat([past, x.reshape(-1, self.frames, self.inputs)], 1)
        rows = x.reshape(-1, (self.past + self.frames) * self.inputs // self.row, self.row).index_select(1, self.taps)
        return torch.addmm(self.bias, rows.reshape(-1, self.width), self.weight), x[:, -self.past :]


class Block(nn.Module):
    """A residual block of the trunk over rows: `[B * steps, channels]`, gate `[B * steps, 1]`."""

    def __init__(self, block, steps):
        super().__init__()
        self.dilated, self.mix = Product(block.dilated.conv, steps, block.dilated.norm), Product(block.mix, steps)
        self.past_shape = self.dilated.past_shape

    def forward(self, x, gate, past):
        y, past = self.dilated(x, past)
        # A gate of the inner output would be undone by the outer one: `mix` sees one step at a time.
        return (torch.addmm(x, F.relu(y), self.mix.weight) + self.mix.bias) * gate, past


class StreamingHead(nn.Module):
    """The head over a window's steps `[B, 30, step_size]` to logits `[B, 6]`: `EmoNet.score`."""

    def __init__(self, model):
        super().__init__()
        self.sizes = [model.channels, FEATURES, FEATURES, 1]
        self.lstm, self.attention, self.output = model.lstm, model.attention[0], model.head[-1]
        norm, linear = model.head[0], model.head[2]
        outputs, channels = 2 * model.lstm.hidden_size, model.channels
        with torch.no_grad():
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            weight, bias = linear.weight * scale, linear.bias + linear.weight @ (norm.bias - norm.running_mean * scale)
            # Means before deviations, and of those all together, so that one square root serves them.
            parts = weight.split([outputs, outputs, channels, channels, FEATURES, FEATURES], 1)
            self.register_buffer("weight", torch.cat([*parts[::2], *parts[1::2]], 1).t().contiguous())
            self.register_buffer("bias", bias)
            # Its bias is left out: the softmax would take it off again.
            self.register_buffer("scores", model.attention[2].weight.t().contiguous())

    def forward(self, steps):
        totals = steps.sum(1)
        trunk, sums, squares, count = totals.split(self.sizes, 1)
        total = count.clamp(min=1)
        mean = sums / total
        heard = (steps[:, :, -1] > 0).to(steps.dtype)
        # Trunk is zero where nothing is heard, so that its sum is the sum of what is.
        even = heard / heard.sum(1, keepdim=True).clamp(min=1)
        x = steps[:, :, : self.sizes[0]]
        outputs, _ = self.lstm(x)
        attention = torch.tanh(self.attention(outputs.reshape(-1, 2 * self.lstm.hidden_size)))
        attention = (attention @ self.scores).reshape(-1, WINDOW_STEPS) + (heard - 1) * 1e4
        pooled = [pool(outputs, torch.softmax(attention, 1)), pool(x, even)]
        means = [*(value for value, _ in pooled), mean]
        variances = [*(value for _, value in pooled), (squares / total - mean * mean).clamp(min=0)]
        joined = torch.cat([*means, (torch.cat(variances, 1) + 1e-3).sqrt()], 1)
        return self.output(F.relu(torch.addmm(self.bias, joined, self.weight)))


def pool(values, weight):
    """Weighted mean and variance over time: `[B, T, C]`, `[B, T]` to `[B, C]` each."""
    weight = weight.unsqueeze(1)
    mean = weight @ values
    off = values - mean
    return mean.squeeze(1), (weight @ (off * off)).squeeze(1)


def folded(conv, norm):
    """Weight `[outputs, inputs, *kernel]` and bias of a convolution followed by a batch norm in evaluation, or by none."""
    bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias
    if norm is None:
        return conv.weight, bias
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    shape = [-1, *[1] * (conv.weight.dim() - 1)]
    return conv.weight * scale.reshape(shape), norm.bias + scale * (bias - norm.running_mean)
