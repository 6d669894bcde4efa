"""Scores demo clips with PyTorch the way training does, to hold the live TypeScript path against.

Each clip is a caller of whom nothing was heard before. Run it after a new model is exported:

    node ../../../tools/features/main.ts --data ../../../assets/demo --independent --out FEATURES
    /usr/bin/python3 make.py --features FEATURES --weights best.pt

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

from undertone import normalize, windows  # noqa: E402
from undertone.data import load  # noqa: E402
from undertone.model import EmoNet  # noqa: E402

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--features", required=True)
parser.add_argument("--weights", required=True)
options = parser.parse_args()

state = torch.load(options.weights)
model = EmoNet()
model.load_state_dict(state["model"])
model.eval()
mean, std = state["mean"], torch.from_numpy(state["std"])
clips = load(options.features)
fixture = []
for i in range(0, len(clips), 9):
    x, speech = windows.pad(clips, [i], mean)
    nothing = (torch.zeros(1, 1), torch.zeros(1, len(mean)), torch.zeros(1, len(mean)))
    z = normalize.normalize(x, speech, std, nothing)
    heard = speech[0].numpy()
    hop = windows.HOP_FRAMES
    ends = [e for e in range(hop, len(heard) + 1, hop)
            if heard[max(0, e - windows.WINDOW_FRAMES):e].sum() >= windows.MIN_SPEECH_FRAMES and heard[e - hop:e].any()]
    window, mask = windows.cut(z[[0] * len(ends)], speech[[0] * len(ends)], np.array(ends))
    with torch.no_grad():
        logits = model(window, mask).numpy()
    fixture.append({"file": clips.paths[i], "ends": ends, "logits": [[round(float(v), 5) for v in row] for row in logits]})
(HERE / "live.json").write_text(json.dumps(fixture) + "\n")
print(len(fixture), "clips,", sum(len(f["ends"]) for f in fixture), "windows")
