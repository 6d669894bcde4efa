"""Writes a trained network as the graphs that serve and check it, with a fixture by which every engine is held to it."""

import copy
import hashlib
import importlib.util
import json

import numpy as np
import torch

from . import normalize, windows
from .data import CEPSTRA, FEATURES, LABELS, MEL_BANDS
from .model import WholeWindow
from .quantizing import write_int8_head
from .serving import StreamingHead, StreamingTrunk

OPSET = 15
#: What the serving graphs are, operator by operator, and how their weights are named: the server has code of its own for it.
NETWORK = "emonet/1"
# Clips that tell how large the trunk's outputs get, and how much larger they may be in service before they are clipped.
RANGE_CLIPS = 128
HEADROOM = 1.25
# PyTorch 2 has another exporter, which wants packages of its own; the one of 1.13 is still there and makes the same graphs.
TRACED = {"dynamo": False} if int(torch.__version__.split(".")[0]) >= 2 else {}


def context_of(model):
    """Left context of a whole window: the trunk's receptive field in whole steps."""
    return -(-model.context // windows.STRIDE) * windows.STRIDE


@torch.no_grad()
def settled(model, calibration):
    """A copy of the network that has the calibration's bias in its last layer, and the calibration that is left to do."""
    model = copy.deepcopy(model)
    model.head[-1].bias += calibration.temperature * torch.from_numpy(calibration.bias)
    return model, calibration._replace(bias=np.zeros_like(calibration.bias))


def write_graphs(model, out):
    """`trunk`, `head` and `whole` as ONNX; returns what the manifest says of the files."""
    model.eval()
    trunk, context = StreamingTrunk(model).eval(), context_of(model)
    batch = {0: "batch"}
    hop, whole = windows.HOP_FRAMES, context + windows.WINDOW_FRAMES
    features = (model.step_size - model.channels - 1) // 2
    graphs = {
        "trunk": (
            trunk, (torch.randn(2, hop, features), torch.ones(2, hop), torch.zeros(2, trunk.state_size)),
            ["features", "mask", "state"], ["steps", "next"],
            {"features": batch, "mask": batch, "state": batch, "steps": batch, "next": batch},
        ),
        "head": (
            StreamingHead(model).eval(), (torch.randn(2, windows.WINDOW_FRAMES // windows.STRIDE, model.step_size),),
            ["steps"], ["logits"], {"steps": batch, "logits": batch},
        ),
        "whole": (
            WholeWindow(model, context).eval(), (torch.randn(2, whole, features), torch.ones(2, whole)),
            ["features", "mask"], ["logits"], {"features": batch, "mask": batch, "logits": batch},
        ),
    }
    files = {}
    for name, (module, example, inputs, outputs, axes) in graphs.items():
        path = out / ("emonet.onnx" if name == "whole" else f"emonet-{name}.onnx")
        torch.onnx.export(
            module, example, str(path), input_names=inputs, output_names=outputs, dynamic_axes=axes, opset_version=OPSET, **TRACED
        )
        files[name] = file_of(path)
    return files


@torch.no_grad()
def write_int8(model, clips, mean, std, out):
    """The head of `write_graphs` in 8-bit integers; returns what the manifest says of it, nothing where the package `onnx` is missing."""
    if importlib.util.find_spec("onnx") is None:
        return {}
    features, mask = whole_windows(model, clips, np.arange(min(len(clips.labels), RANGE_CLIPS)), mean, std)
    greatest = float(model.trunk(features, mask)[0][:, :, : model.channels].abs().max())
    path = out / "emonet-head-int8.onnx"
    write_int8_head(out / "emonet-head.onnx", path, HEADROOM * greatest)
    return {"headInt8": file_of(path)}


def file_of(path):
    return {"path": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def whole_windows(model, clips, chosen, mean, std):
    """The last whole window of speech of each chosen clip and its context: features `[clips, T, 104]`, mask `[clips, T]`."""
    length = context_of(model) + windows.WINDOW_FRAMES
    x, heard, _ = windows.pad(clips, chosen, mean)
    z = normalize.normalize(x, heard, torch.from_numpy(std))
    features, mask = torch.zeros(len(chosen), length, len(mean)), torch.zeros(len(chosen), length)
    for row, flags in enumerate(heard.numpy()):
        end = min(-(-(int(np.flatnonzero(flags)[-1]) + 1) // windows.STRIDE) * windows.STRIDE, z.shape[1])
        taken = min(end, length)
        features[row, length - taken :], mask[row, length - taken :] = z[row, end - taken : end], heard[row, end - taken : end]
    return features, mask


@torch.no_grad()
def write_parity(model, clips, mean, std, out):
    """Whole windows of real speech and PyTorch's logits of them; features as 16-bit steps of 1/4096, exact in every reader."""
    context = context_of(model)
    chosen = np.concatenate([np.flatnonzero(clips.labels == label)[:1] for label in (0, 3, 5)])
    features, mask = whole_windows(model, clips, chosen, mean, std)
    steps = np.round(features.numpy() * 4096).astype("<i2")
    expected = model(torch.from_numpy(steps.astype(np.float32) / 4096), mask, context)
    steps.tofile(out / "parity-features.i16")
    parity = {
        "batch": len(chosen), "frameCount": features.shape[1], "contextFrames": context, "featureCount": len(mean), "stepsPerUnit": 4096,
        "mask": ["".join(str(int(v)) for v in row) for row in mask], "logits": [[round(float(v), 6) for v in row] for row in expected],
    }
    (out / "parity.json").write_text(json.dumps(parity, indent=1) + "\n")


def write_manifest(model, files, mean, std, cepstra, calibration, version, trained_on, out):
    manifest = {
        "format": "undertone-model/2", "name": "emonet", "version": version, **({"network": NETWORK} if model.kind == "emonet" else {}), "labels": LABELS,
        "sampleRateHz": 16000, "hopSamples": 160, "melBands": MEL_BANDS, "mfccCount": cepstra, **({"pitchCount": FEATURES - MEL_BANDS - cepstra} if cepstra < CEPSTRA else {}),
        "windowFrames": windows.WINDOW_FRAMES, "contextFrames": context_of(model), "hopFrames": windows.HOP_FRAMES,
        "minSpeechFrames": windows.MIN_SPEECH_FRAMES,
        "streaming": {"strideFrames": windows.STRIDE, "stepSize": model.step_size, "stateSize": StreamingTrunk(model).state_size},
        "normalization": {
            "mean": [round(float(v), 5) for v in mean], "std": [round(float(v), 5) for v in std],
            "meanWeightFrames": normalize.MEAN_WEIGHT_FRAMES, "stdWeightFrames": normalize.STD_WEIGHT_FRAMES,
            "memoryFrames": normalize.MEMORY_FRAMES,
        },
        "temperature": round(calibration.temperature, 4), "verdictTemperature": round(calibration.verdict, 4), "verdictPower": windows.VERDICT_POWER, "uncertainBelow": 0.4,
        "files": files, "trainedOn": trained_on,
        "license": "Weights: Apache-2.0; trained on CREMA-D (ODbL 1.0, DbCL 1.0), see MODEL_CARD.md",
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
