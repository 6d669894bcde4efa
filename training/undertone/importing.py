"""Takes an exported model back: its weights, so that training can go on from one that ships, or its answers, to learn from."""

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .data import CEPSTRA, FEATURES, MEL_BANDS
from .windows import WINDOW_FRAMES

EPSILON = 1e-5


class Exported:
    """An exported model as `score` wants a network: its graph over whole windows, whatever its inside. Needs the package `onnxruntime`."""

    def __init__(self, folder):
        try:
            import onnxruntime
        except ImportError as error:
            raise SystemExit("Expected the Python package onnxruntime, which runs an exported model, but it is not there") from error
        manifest = json.loads((Path(folder) / "manifest.json").read_text())
        self.mean, self.std = (np.array(manifest["normalization"][name], dtype=np.float32) for name in ("mean", "std"))
        self.context = manifest["contextFrames"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(Path(folder) / manifest["files"]["whole"]["path"]), options)

    def over(self, features, mask):
        """Of a call `[1, T, 104]`, `[1, T]`: a function from window ends (frames) to logits `[W, 6]`."""
        length = self.context + WINDOW_FRAMES
        x, heard = (np.concatenate([np.zeros((length, *part.shape[2:]), np.float32), part[0].numpy()]) for part in (features, mask))

        def logits_at(ends):
            windows = [np.stack([part[end : end + length] for end in ends]) for part in (x, heard)]
            return self.session.run(None, dict(zip(("features", "mask"), windows)))[0]

        return logits_at


def read_weights(model, path, cepstra=None):
    """Loads the weights of the whole-window graph at `path` into `model`, whose normalisations then do nothing.

    cepstra: see `deafened`; None where the graph hears what the model will. The exporter folds each convolution's batch norm into it: call `settle` before training goes on. Needs the package `onnx`.
    """
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as error:
        raise SystemExit("Expected the Python package onnx, which reads the weights of an exported model, but it is not there") from error
    graph = onnx.load(str(path)).graph
    values = {one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in graph.initializer}
    convolutions = iter([node for node in graph.node if node.op_type == "Conv" and not node.input[1].startswith("model.")])
    state = {name: values[f"model.{name}"] for name in model.state_dict() if f"model.{name}" in values}
    for conv, norm in folded(model):
        node = next(convolutions)
        state |= {f"{conv}.weight": values[node.input[1]], f"{norm}.bias": values[node.input[2]]}
        size = len(values[node.input[2]])
        state |= {f"{norm}.weight": torch.full((size,), (1 + EPSILON) ** 0.5)}
        state |= {f"{norm}.running_mean": torch.zeros(size), f"{norm}.running_var": torch.ones(size)}
    lstm = next(node for node in graph.node if node.op_type == "LSTM")
    state |= lstm_state(*(values[name] for name in lstm.input[1:4]))
    linear = iter([node for node in graph.node if node.op_type == "MatMul" and node.input[1] in values])
    for name in ("attention.0.weight", "attention.2.weight"):
        state[name] = values[next(linear).input[1]].T.contiguous()
    missing = [name for name in model.state_dict() if name not in state and not name.endswith("num_batches_tracked")]
    if missing:
        raise SystemExit(f"Expected the graph of an EmoNet of this shape at {path}, but it lacks {', '.join(missing)}")
    model.load_state_dict(state if cepstra is None else deafened(state, cepstra), strict=False)


def deafened(state, cepstra):
    """A network's state without a weight on what stands in the place of the cepstra from the `cepstra`-th on, for to the network it is new."""
    heard, joined = state["cepstrum.conv.weight"].clone(), state["head.2.weight"].clone()
    heard[:, cepstra:] = 0
    # The head hears the features themselves last: their means, then their deviations.
    joined[:, [-FEATURES * part + MEL_BANDS + i for part in (2, 1) for i in range(cepstra, FEATURES - MEL_BANDS)]] = 0
    return {**state, "cepstrum.conv.weight": heard, "head.2.weight": joined}


def folded(model):
    """(convolution, batch norm) by name, in the order in which the graph has them."""
    pairs = [(f"stem.{i}.conv", f"stem.{i}.norm") for i in range(len(model.stem))]
    pairs += [("cepstrum.conv", "cepstrum.norm"), ("join.0", "join.1")]
    return pairs + [(f"blocks.{i}.dilated.conv", f"blocks.{i}.dilated.norm") for i in range(len(model.blocks))]


def lstm_state(inputs, hidden, biases):
    """PyTorch's weights (gates i, f, g, o, two biases) of ONNX's (gates i, o, f, c, both biases in a row)."""
    state = {}
    for at, suffix in enumerate(("l0", "l0_reverse")):
        rows = {"weight_ih": inputs[at], "weight_hh": hidden[at]}
        rows |= dict(zip(("bias_ih", "bias_hh"), biases[at].chunk(2)))
        for name, value in rows.items():
            i, o, f, c = value.chunk(4)
            state[f"lstm.{name}_{suffix}"] = torch.cat([i, f, c, o])
    return state


@torch.no_grad()
def settle(model, batches):
    """Gives folded batch norms the statistics of what they really see, without changing what the network answers.

    batches: (features `[B, T, 104]`, mask `[B, T]`), as in training. Each filter is scaled to length 1, which a batch norm
    undoes, so that steps of the optimiser have their usual size.
    """
    model.eval()
    modules = dict(model.named_modules())
    pairs = [(modules[conv], modules[norm]) for conv, norm in folded(model)]
    for conv, norm in pairs:
        length = conv.weight.flatten(1).norm(dim=1).clamp(min=1e-6)
        conv.weight.div_(length.view(-1, *[1] * (conv.weight.ndim - 1)))
        norm.running_mean.div_(length)
        norm.running_var.copy_((norm.running_var + norm.eps) / length**2 - norm.eps)
    sums = {}
    hooks = [norm.register_forward_pre_hook(lambda module, inputs: add_moments(sums, module, inputs[0])) for _, norm in pairs]
    for features, mask in batches:
        model.trunk(features, mask)
    for hook in hooks:
        hook.remove()
    for _, norm in pairs:
        count, total, square = sums[norm]
        mean = total / count
        variance = (square / count - mean * mean).clamp(min=0)
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        norm.bias.add_(scale * (mean - norm.running_mean))
        norm.weight.copy_(scale * (variance + norm.eps).sqrt())
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)


def add_moments(sums, norm: nn.Module, x):
    """Adds count, sums and sums of squares by channel of `[B, C, ...]`."""
    over = [0, *range(2, x.ndim)]
    now = (x.numel() // x.shape[1], x.sum(over), x.square().sum(over))
    sums[norm] = now if norm not in sums else tuple(a + b for a, b in zip(sums[norm], now))


def assert_hears_alike(folder, clips, option):
    """A model that hears the pitch says nothing of cepstra that stand in its place, nor the other way round."""
    known = cepstra_heard_by(folder)
    if known != clips.cepstra:
        raise SystemExit(f"Expected {option} to hear {clips.cepstra} cepstra, as the features have, but {folder} hears {known}")


def cepstra_heard_by(folder):
    """How many cepstra a finished run or an exported model hears; what follows them is the pitch."""
    manifest = Path(folder) / "manifest.json"
    return json.loads(manifest.read_text()).get("mfccCount", CEPSTRA) if manifest.exists() else torch.load(Path(folder) / "final.pt").get("cepstra", CEPSTRA)
