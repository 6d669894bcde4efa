"""Lists the clips of CREMA-D: a folder with `manifest.csv`, or the published layout `AudioWAV/*.wav`."""

import csv
from dataclasses import dataclass
from pathlib import Path

LABELS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness")
_CODES = dict(zip(("ANG", "DIS", "FEA", "HAP", "NEU", "SAD"), LABELS))
_SUFFIXES = (".wav", ".opus", ".ogg", ".flac")


@dataclass(frozen=True)
class Clip:
    """One recording. `name` is unique in the corpus, `label` an index into LABELS."""

    name: str
    path: Path
    speaker: str
    label: int


def read_corpus(folder):
    """All clips of `folder`, sorted by name. Without a manifest, file names such as 1001_DFA_ANG_XX.wav tell everything."""
    folder = Path(folder)
    manifest = folder / "manifest.csv"
    if manifest.is_file():
        with manifest.open(newline="") as file:
            clips = [_from_row(folder, row) for row in csv.DictReader(file)]
    else:
        inside = folder / "AudioWAV"
        files = (inside if inside.is_dir() else folder).glob("*")
        clips = [clip for clip in map(_from_file, files) if clip is not None]
    if not clips:
        raise ValueError(f"Expected CREMA-D in `{folder}` (manifest.csv, or AudioWAV/*.wav), got no clip")
    clips.sort(key=lambda clip: clip.name)
    for before, after in zip(clips, clips[1:]):
        if before.name == after.name:
            raise ValueError(f"Expected each clip once, got `{after.name}` twice")
    return clips


def _from_row(folder, row):
    if row["emotion"] not in LABELS:
        raise ValueError(f"Expected an emotion of CREMA-D for `{row['path']}`, got `{row['emotion']}`")
    path = folder / row["path"]
    return Clip(path.stem, path, row["speaker"], LABELS.index(row["emotion"]))


def _from_file(path):
    parts = path.stem.split("_")
    if path.suffix not in _SUFFIXES or len(parts) != 4 or parts[2] not in _CODES:
        return None
    return Clip(path.stem, path, parts[0], LABELS.index(_CODES[parts[2]]))
