"""Reads what `npm run features:vad` wrote, and cuts it into stretches."""

import csv
from pathlib import Path

import numpy as np
import torch

NOT_ASKED = 2


class Tracks:
    """Callers of one split: each is a stretch of rows of `inputs` `[rows, 2 * inputs]` and `targets` `[rows, 2]`."""

    def __init__(self, folder, split):
        folder = Path(folder)
        if not (folder / "tracks.csv").exists():
            raise SystemExit(f"Expected a folder that `npm run features:vad` wrote at {folder}, but it has no tracks.csv")
        self.inputs = np.load(folder / "inputs.npy", mmap_mode="r")
        self.targets = np.load(folder / "targets.npy")
        with open(folder / "tracks.csv", newline="") as table:
            rows = [row for row in csv.DictReader(table) if row["split"] == split]
        self.names = [row["name"] for row in rows]
        self.conditions = [row["condition"] for row in rows]
        self.spans = [(int(row["first_row"]), int(row["rows"])) for row in rows]
        if not rows:
            raise SystemExit(f"Expected tracks of the split {split} in {folder}, got none")

    def stretches(self, steps, generator):
        """Places of stretches of `steps` pairs, about as many as it takes to hear everything once, in a random order."""
        places = []
        for first, count in self.spans:
            if count < steps:
                continue
            offset = int(torch.randint(min(steps, count - steps + 1), (1,), generator=generator))
            places += range(first + offset, first + count - steps + 1, steps)
        order = torch.randperm(len(places), generator=generator)
        return [places[i] for i in order]

    def batch(self, places, steps):
        """Inputs `[B, steps, 2 * inputs]` and targets `[B, steps, 2]` of stretches that begin at `places`."""
        inputs = np.stack([self.inputs[at : at + steps] for at in places])
        targets = np.stack([self.targets[at : at + steps] for at in places])
        return torch.from_numpy(inputs), torch.from_numpy(targets)
