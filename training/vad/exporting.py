"""Writes the weights as the server reads them, with their manifest and what the network says of a made-up input."""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch

# The order in the file; all row-major, float32, little-endian. As in PyTorch a GRU's rows are reset, update, new.
ORDER = ["dense.weight", "dense.bias", "gru.weight_ih_l0", "gru.bias_ih_l0", "gru.weight_hh_l0", "gru.bias_hh_l0", "out.weight", "out.bias"]
PARITY_STEPS = 24


def made_up(steps, width):
    """An input that any language can make: `[steps, width]`."""
    i = np.arange(steps * width, dtype=np.float64)
    return (1.5 * np.sin(0.37 * i + 0.011 * (i % 97) ** 2)).reshape(steps, width)


@torch.no_grad()
def export(network, folder, version, trained_on, figures):
    """Writes weights.f32, manifest.json and parity.json into `folder`."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    weights = network.state_dict()
    data = b"".join(weights[name].numpy().astype("<f4").tobytes() for name in ORDER)
    (folder / "weights.f32").write_bytes(data)
    manifest = {
        "format": "undertone-vad/1",
        "version": version,
        "inputs": network.inputs,
        "dense": network.dense.out_features,
        "hidden": network.hidden,
        "weights": {"path": "weights.f32", "sha256": hashlib.sha256(data).hexdigest()},
        "trainedOn": trained_on,
        "validation": figures,
        "license": "Apache-2.0",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    pairs = torch.from_numpy(made_up(PARITY_STEPS, 2 * network.inputs).astype(np.float32))[None]
    logits = [[round(float(v), 6) for v in pair] for pair in network(pairs)[0][0]]
    (folder / "parity.json").write_text(json.dumps({"logits": logits}) + "\n")
