"""Loads exported features and keeps speakers apart."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

LABELS = ["anger", "disgust", "fear", "happiness", "neutral", "sadness"]
MEL_BANDS = 64
FEATURES = 104
CEPSTRA = 40
# Flags of speech.npy; concealed frames were made up by loss concealment and are not the caller's voice.
HEARD = 1


@dataclass
class Clips:
    """Clips of one set. `features[i]` is `[frames, 104]` float32, `heard[i]` is `[frames]` of 0 and 1.

    `callers` names who played the clip: the speaker, or for an augmented copy the speaker as another caller. Features stay on
    disk, mapped, until they are used.
    """

    paths: list
    speakers: np.ndarray
    callers: np.ndarray
    copies: np.ndarray
    sexes: np.ndarray
    labels: np.ndarray
    votes: np.ndarray
    # Other speakers who are heard in a copy's background, by clip.
    voices: list
    features: list
    heard: list
    # Which sentence of the corpus each clip speaks, by the corpus's own code; empty where that is not known.
    sentences: np.ndarray
    # How many of a frame's features after the log-mel are cepstra; what follows them is the pitch.
    cepstra: int = CEPSTRA

    def __len__(self):
        return len(self.paths)

    def where(self, keep):
        """The clips of a boolean `[clips]`."""
        at = np.flatnonzero(keep)
        return Clips(
            [self.paths[i] for i in at], self.speakers[at], self.callers[at], self.copies[at], self.sexes[at],
            self.labels[at], self.votes[at], [self.voices[i] for i in at], [self.features[i] for i in at], [self.heard[i] for i in at],
            self.sentences[at], self.cepstra,
        )


def load(folder, split=None):
    """Loads the clips of `split` (all where None) from a folder that `npm run features` wrote.

    Clips whose emotion is not one of LABELS, and clips without any speech, are left out and counted on stdout.
    """
    folder = Path(folder)
    if not (folder / "clips.csv").exists():
        raise SystemExit(f"Expected a folder that `npm run features` wrote at {folder}, but it has no clips.csv")
    features = np.load(folder / "features.npy", mmap_mode="r")
    speech = np.load(folder / "speech.npy", mmap_mode="r")
    with open(folder / "clips.csv", newline="") as table:
        rows = list(csv.DictReader(table))
    if split is not None:
        rows = [row for row in rows if row["split"] == split]
    wanted = [row for row in rows if row["emotion"] in LABELS]
    kept, frames, flags = [], [], []
    for row in wanted:
        start, count = int(row["first_row"]), int(row["rows"])
        flag = (np.array(speech[start : start + count]).reshape(-1) == HEARD).astype(np.float32)
        if flag.sum() < 10:
            continue
        kept.append(row)
        frames.append(features[start : start + count])
        flags.append(flag)
    if not kept:
        raise SystemExit(f"Expected clips of split {split!r} with speech in {folder}, got none")
    if len(kept) < len(rows):
        print(f"{folder}: {len(rows)} clips, {len(rows) - len(wanted)} of other labels and "
              f"{len(wanted) - len(kept)} without speech left out")
    return Clips(
        paths=[row["path"] for row in kept],
        speakers=np.array([row["speaker"] for row in kept]),
        callers=np.array([row.get("caller") or row["speaker"] for row in kept]),
        copies=np.array([int(row.get("copy") or 0) for row in kept]),
        sexes=np.array([row["sex"] for row in kept]),
        labels=np.array([LABELS.index(row["emotion"]) for row in kept]),
        votes=np.array([[float(row[f"vote_{label}"]) for label in LABELS] for row in kept], dtype=np.float32),
        voices=[voices_of(row.get("condition") or "") for row in kept],
        features=frames,
        heard=flags,
        sentences=np.array([row.get("sentence") or "" for row in kept]),
        cepstra=cepstra_of(folder),
    )


def cepstra_of(folder):
    """How many cepstra a frame has in a folder that `npm run features` wrote; before there was pitch it did not say."""
    layout = Path(folder) / "features.json"
    return json.loads(layout.read_text())["mfccCount"] if layout.exists() else CEPSTRA


def voices_of(condition):
    """The speakers whom a copy's condition names as babble: `... voices:1001+1002 ...`."""
    named = [word[len("voices:") :] for word in condition.split() if word.startswith("voices:")]
    return frozenset(name for names in named for name in names.split("+"))


def assert_disjoint(train, test):
    """Stops the run if a speaker of `test` occurs in `train`."""
    shared = sorted(set(train.speakers) & set(test.speakers))
    if shared:
        raise SystemExit(f"Expected no speaker in both sets, but these are: {', '.join(shared)}")
    # A copy whose speaker was renamed still is a copy.
    copied = sorted(set(train.paths) & set(test.paths))
    if copied:
        raise SystemExit(f"Expected no clip in both sets, but these are, as themselves or as copies: {', '.join(copied[:5])}")


def folds_of(clips, count, seed=0):
    """Deals the speakers into `count` folds, women and men alike: a list of sorted lists of names."""
    rng = np.random.default_rng(seed)
    sex = dict(zip(clips.speakers, clips.sexes))
    names = sorted(sex)
    if len(names) < count:
        raise SystemExit(f"Expected at least {count} speakers for {count} folds, got {len(names)}")
    shuffled = [names[i] for i in rng.permutation(len(names))]
    dealt = [name for group in sorted(set(sex.values())) for name in shuffled if sex[name] == group]
    return [sorted(dealt[fold::count]) for fold in range(count)]


def split_by_speaker(clips, test_speakers):
    """(train, test): every clip of a test speaker, copies and all, is out of train; test has no copies.

    Copies in whose background a test speaker is heard are out of both.
    """
    is_test = np.isin(clips.speakers, list(test_speakers))
    overhears = np.array([not voices.isdisjoint(test_speakers) for voices in clips.voices])
    train, test = clips.where(~is_test & ~overhears), clips.where(is_test & (clips.copies == 0))
    assert_disjoint(train, test)
    return train, test


def soft_targets(clips, vote_share):
    """Intended emotion, mixed with the crowd's votes: `[clips, labels]`, rows sum to 1."""
    hard = np.eye(len(LABELS), dtype=np.float32)[clips.labels]
    total = clips.votes.sum(1, keepdims=True)
    crowd = np.where(total > 0, clips.votes / np.maximum(total, 1), hard)
    return (1 - vote_share) * hard + vote_share * crowd
