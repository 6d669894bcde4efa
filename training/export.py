"""Calibrates trained weights and exports them: ONNX, manifest, and a fixture by which every engine is checked."""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import torch

from undertone import normalize, windows
from undertone.data import LABELS, load
from undertone.metrics import calibration_error, fit_temperature, recalls, softmax, uar
from undertone.model import EmoNet
from undertone.score import clip_posteriors, score


class Served(torch.nn.Module):
    """What is exported: the network alone; temperature and softmax are the manifest's."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, features, mask):
        return self.model(features, mask)


def figures(model, clips, mean, std, temperature, independent):
    logits, owners = score(model, clips, mean, std, independent=independent)
    posterior = clip_posteriors(logits, owners, len(clips), temperature)
    predicted = posterior.argmax(1)
    speakers = {s: uar(clips.labels[clips.speakers == s], predicted[clips.speakers == s]) for s in np.unique(clips.speakers)}
    return {
        "uar": uar(clips.labels, predicted),
        "accuracy": float((predicted == clips.labels).mean()),
        "perClassRecall": recalls(clips.labels, predicted),
        "eceOfWindows": calibration_error(clips.labels[owners], softmax(logits / temperature)),
        "eceOfClips": calibration_error(clips.labels, posterior),
        "speakers": len(speakers),
        "worstSpeakerUar": min(speakers.values()),
        "bestSpeakerUar": max(speakers.values()),
        "clips": len(clips),
        "windows": len(owners),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True, help="best.pt of a training run")
    parser.add_argument("--features", required=True, help="features of the corpus that it was trained on")
    parser.add_argument("--other", help="features of another corpus, to be evaluated on only")
    parser.add_argument("--out", required=True, help="folder of the model, such as assets/models/emonet")
    parser.add_argument("--version", required=True)
    options = parser.parse_args()

    state = torch.load(options.weights)
    model = EmoNet()
    model.load_state_dict(state["model"])
    model.eval()
    mean, std = state["mean"], state["std"]
    validation = load(options.features, "validation")

    logits, owners = score(model, validation, mean, std)
    weight = 1.0 / np.bincount(owners)[owners]
    temperature = fit_temperature(validation.labels[owners], logits, weight.astype(np.float32))

    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    chosen = np.concatenate([np.flatnonzero(validation.labels == c)[:1] for c in (0, 3, 5)])
    std_tensor = torch.from_numpy(std)
    x, speech = windows.pad(validation, chosen, mean)
    nothing = [torch.zeros(len(chosen), 1), torch.zeros(len(chosen), len(mean)), torch.zeros(len(chosen), len(mean))]
    z = normalize.normalize(x, speech, std_tensor, nothing)
    features, mask = windows.cut(z, speech, windows.random_ends(speech, rng))
    onnx = out / "emonet.onnx"
    batch = {0: "batch"}
    # In eval mode as a whole: the exporter puts back the mode that it found.
    torch.onnx.export(Served(model).eval(), (features, mask), str(onnx), input_names=["features", "mask"], output_names=["logits"],
                      dynamic_axes={"features": batch, "mask": batch, "logits": batch}, opset_version=15)
    digest = hashlib.sha256(onnx.read_bytes()).hexdigest()

    # The fixture holds features of real speech as 16-bit steps of 1/4096: small, and exact in every reader.
    steps = np.round(features.numpy() * 4096).astype("<i2")
    with torch.no_grad():
        expected = model(torch.from_numpy(steps.astype(np.float32) / 4096), mask)
    steps.tofile(out / "parity-features.i16")
    parity = {"batch": len(chosen), "frameCount": windows.WINDOW_FRAMES, "featureCount": len(mean), "stepsPerUnit": 4096,
              "mask": ["".join(str(int(v)) for v in row) for row in mask], "logits": [[round(float(v), 6) for v in row] for row in expected]}
    (out / "parity.json").write_text(json.dumps(parity, indent=1) + "\n")

    manifest = {
        "format": "undertone-model/1", "name": "emonet", "version": options.version, "labels": LABELS,
        "sampleRateHz": 16000, "hopSamples": 160, "melBands": 64, "mfccCount": 40,
        "windowFrames": windows.WINDOW_FRAMES, "hopFrames": windows.HOP_FRAMES, "minSpeechFrames": windows.MIN_SPEECH_FRAMES,
        "normalization": {
            "mean": [round(float(v), 5) for v in mean], "std": [round(float(v), 5) for v in std],
            "meanWeightFrames": normalize.MEAN_WEIGHT_FRAMES, "stdWeightFrames": normalize.STD_WEIGHT_FRAMES,
            "memoryFrames": normalize.MEMORY_FRAMES,
        },
        "temperature": round(temperature, 4), "uncertainBelow": 0.4,
        "files": {"onnx": {"path": onnx.name, "sha256": digest}},
        "trainedOn": "CREMA-D, 63 actors of the train split of its TFDS partition; calibrated on the 9 validation actors",
        "license": "Weights: Apache-2.0; trained on CREMA-D (ODbL 1.0, DbCL 1.0), see MODEL_CARD.md",
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")

    report = {"epoch": state["epoch"], "parameters": sum(p.numel() for p in model.parameters()), "temperature": temperature}
    for name, clips in {"validation": validation, **({"other": load(options.other)} if options.other else {})}.items():
        for independent in (False, True):
            report[f"{name}{', each clip a new caller' if independent else ''}"] = figures(model, clips, mean, std, temperature, independent)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
