"""Scores demo clips with PyTorch the way training does, to hold the live TypeScript path against.

Each clip is a caller of whom nothing was heard before. Each window is scored whole, with the frames before it that the
trunk looks back on; the server streams. Run it after a new model is exported:

    node ../../../tools/features/main.ts --data ../../../assets/demo --independent --out FEATURES
    /usr/bin/python3 make.py --features FEATURES --weights RUN/exported.pt

Writes live.json: for each clip, the frames (exclusive) at which windows end and the logits of each window.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2] / "training"))

from undertone.data import load  # noqa: E402
from undertone.model import STRIDE  # noqa: E402
from undertone.normalize import normalize  # noqa: E402
from undertone.recipe import Recipe  # noqa: E402
from undertone.windows import WINDOW_FRAMES, utterances, window_ends  # noqa: E402

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--features", required=True)
parser.add_argument("--weights", required=True)
options = parser.parse_args()

state = torch.load(options.weights)
model = Recipe(**state["recipe"]).network()
model.load_state_dict(state["model"])
model.eval()
context = -(-model.context // STRIDE) * STRIDE
mean, std = state["mean"].numpy(), state["std"].double()
clips = load(options.features)
fixture = []
for i in range(0, len(clips), 9):
    # In double precision, as the server keeps its running sums, and in its steps of 1/4096.
    x = torch.from_numpy(np.asarray(clips.features[i], dtype=np.float64) - mean)[None]
    heard = torch.from_numpy(np.asarray(clips.heard[i], dtype=np.float64))[None]
    z = (normalize(x, heard, std) * 4096).round().float() / 4096
    lead = context + WINDOW_FRAMES
    ends, features, masks = [], [], []
    for first, last in utterances(clips.heard[i]):
        # A window holds nothing of an earlier utterance; the lead makes up for what lies before the clip.
        own = torch.zeros_like(heard[0])
        own[first:last] = heard[0, first:last]
        mask = torch.nn.functional.pad(own.float(), (lead, 0))
        values = torch.nn.functional.pad(z[0] * own.float()[:, None], (0, 0, lead, 0))
        for end in map(int, window_ends(own.numpy())):
            ends.append(end)
            features.append(values[end : end + lead])
            masks.append(mask[end : end + lead])
    if not ends:
        continue
    with torch.no_grad():
        logits = model(torch.stack(features), torch.stack(masks), context)
    fixture.append({"file": clips.paths[i], "ends": ends, "logits": [[round(float(v), 5) for v in row] for row in logits]})
(HERE / "live.json").write_text(json.dumps(fixture) + "\n")
print(len(fixture), "clips,", sum(len(f["ends"]) for f in fixture), "windows")
