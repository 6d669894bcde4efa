#!/usr/bin/env python3
"""Writes opus-levels.json: what an independent decoder makes of Opus files, as levels of 20 ms blocks at 16 kHz mono.

Independent: FFmpeg's own Opus decoder (not libopus) at 48 kHz, mixed down in float, resampled by SciPy's polyphase filter.
The tones are encoded here, by FFmpeg with libopus, into test/fixtures/opus. Needs ffmpeg, numpy and scipy; run by hand:

    python3 test/golden/opus_levels.py
"""
import json
import pathlib
import subprocess

import numpy as np
from scipy.signal import resample_poly

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "test/fixtures/opus"
CLIPS = ["assets/demo/1020_WSI_ANG_XX.opus", "assets/demo/1050_IWL_FEA_XX.opus"]
# Left, right, encoder options. Different tones left and right show whether stereo is mixed down rather than cut off.
TONES = {
    "stereo-celt.opus": ("0.4*sin(2*PI*440*t)", "0.2*sin(2*PI*1300*t)", "-application audio -b:a 64k -frame_duration 20"),
    "stereo-silk.opus": ("0.4*sin(2*PI*200*t)", "0.4*sin(2*PI*330*t)", "-application voip -b:a 24k -frame_duration 20 -cutoff 8000"),
    "mono-60ms.opus": ("0.3*sin(2*PI*300*t)", None, "-application voip -b:a 16k -frame_duration 60"),
    "mono-10ms.opus": ("0.3*sin(2*PI*700*t)", None, "-application lowdelay -b:a 32k -frame_duration 10"),
}


def encode(name, left, right, options):
    path = FIXTURES / name
    tone = left if right is None else f"{left}|{right}"
    source = f"aevalsrc={tone}:s=48000:d=0.6"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", source, "-c:a", "libopus", *options.split(), "-bitexact", str(path)], check=True
    )
    return str(path.relative_to(ROOT))


def levels(path):
    channels = int(
        subprocess.run(
            ["ffprobe", "-v", "error", "-show_entries", "stream=channels", "-of", "csv=p=0", path], cwd=ROOT, check=True, capture_output=True
        ).stdout
    )
    raw = subprocess.run(
        ["ffmpeg", "-v", "error", "-c:a", "opus", "-i", path, "-f", "f32le", "-c:a", "pcm_f32le", "-"], cwd=ROOT, check=True, capture_output=True
    ).stdout
    mono = np.frombuffer(raw, "<f4").reshape(-1, channels).astype(np.float64).mean(axis=1)
    wide = resample_poly(mono, 1, 3)
    blocks = wide[: len(wide) // 320 * 320].reshape(-1, 320)
    return {"samples": len(wide), "rmsDb": [round(float(x), 2) for x in 10 * np.log10(np.mean(blocks**2, axis=1) + 1e-10)]}


def main():
    FIXTURES.mkdir(parents=True, exist_ok=True)
    files = CLIPS + [encode(name, *tone) for name, tone in TONES.items()]
    golden = {path: levels(path) for path in files}
    (ROOT / "test/golden/opus-levels.json").write_text(json.dumps(golden, indent=1) + "\n")


main()
