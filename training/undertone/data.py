"""Loads exported features and keeps speakers apart."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

LABELS = ["anger", "disgust", "fear", "happiness", "neutral", "sadness"]
MEL_BANDS = 64
FEATURES = 104


@dataclass
class Clips:
    """Clips of one set. `features[i]` is `[frames, 104]` float32, `speech[i]` is `[frames]` of 0 and 1."""

    paths: list
    speakers: np.ndarray
    sexes: np.ndarray
    labels: np.ndarray
    votes: np.ndarray
    features: list
    speech: list

    def __len__(self):
        return len(self.paths)


def load(folder, split=None):
    """Loads the clips of `split` (all where None) from a folder that `npm run features` wrote.

    Clips whose emotion is not one of LABELS, and clips without any speech, are left out and counted on stderr.
    """
    folder = Path(folder)
    features = np.load(folder / "features.npy", mmap_mode="r")
    speech = np.load(folder / "speech.npy", mmap_mode="r")
    rows = list(csv.DictReader(open(folder / "clips.csv", newline="")))
    if split is not None:
        rows = [row for row in rows if row["split"] == split]
    wanted = [row for row in rows if row["emotion"] in LABELS]
    kept, frames, flags = [], [], []
    for row in wanted:
        start, count = int(row["first_row"]), int(row["rows"])
        flag = np.array(speech[start : start + count], dtype=np.float32)
        if flag.sum() < 10:
            continue
        kept.append(row)
        frames.append(np.array(features[start : start + count], dtype=np.float32))
        flags.append(flag)
    if not kept:
        raise SystemExit(f"Expected clips of split {split!r} with speech in {folder}, got none")
    if len(kept) < len(rows):
        print(f"{folder}: {len(rows)} clips, {len(rows) - len(wanted)} of other labels and "
              f"{len(wanted) - len(kept)} without speech left out")
    return Clips(
        paths=[row["path"] for row in kept],
        speakers=np.array([row["speaker"] for row in kept]),
        sexes=np.array([row["sex"] for row in kept]),
        labels=np.array([LABELS.index(row["emotion"]) for row in kept]),
        votes=np.array([[float(row[f"vote_{label}"]) for label in LABELS] for row in kept], dtype=np.float32),
        features=frames,
        speech=flags,
    )


def assert_disjoint(train, test):
    """Stops the run if a speaker of `test` occurs in `train`."""
    shared = sorted(set(train.speakers) & set(test.speakers))
    if shared:
        raise SystemExit(f"Expected no speaker in both sets, but these are: {', '.join(shared)}")


def soft_targets(clips, vote_share):
    """Intended emotion, mixed with the crowd's votes: `[clips, labels]`, rows sum to 1."""
    hard = np.eye(len(LABELS), dtype=np.float32)[clips.labels]
    total = clips.votes.sum(1, keepdims=True)
    crowd = np.where(total > 0, clips.votes / np.maximum(total, 1), hard)
    return (1 - vote_share) * hard + vote_share * crowd
