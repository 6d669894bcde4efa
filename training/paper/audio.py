"""Decodes clips to mono samples with ffmpeg, many clips a process."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

CLIPS_A_PROCESS = 64


def decode(paths, rate_hz):
    """Yields one float32 array of samples in -1..1 for each of `paths`, in order, resampled to `rate_hz`."""
    if shutil.which("ffmpeg") is None:
        raise RuntimeError("Expected the program `ffmpeg` to read audio, found none; on Debian: apt-get install ffmpeg")
    paths = list(paths)
    for start in range(0, len(paths), CLIPS_A_PROCESS):
        yield from _decode_batch(paths[start : start + CLIPS_A_PROCESS], rate_hz)


def _decode_batch(paths, rate_hz):
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder) / f"{i}.f32" for i in range(len(paths))]
        command = ["ffmpeg", "-nostdin", "-v", "error", "-threads", "1"]
        for path in paths:
            command += ["-i", str(path)]
        for i, output in enumerate(outputs):
            command += ["-map", f"{i}:a:0", "-ac", "1", "-ar", str(rate_hz), "-f", "f32le", str(output)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"Expected ffmpeg to decode {len(paths)} clips from `{paths[0]}` on, got: {done.stderr.strip()}")
        for path, output in zip(paths, outputs):
            samples = np.fromfile(output, dtype="<f4")
            if len(samples) == 0:
                raise RuntimeError(f"Expected sound in `{path}`, got none")
            yield samples
