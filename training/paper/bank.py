"""Features of clips and of their altered copies, computed once and kept in a folder."""

import hashlib
import inspect
import sys
import time
from pathlib import Path

import numpy as np

from . import features, perturb
from .audio import decode

_SAVE_EVERY_S = 60


class Bank:
    """Feature vectors by (clip name, kind, copy). The file's name tells the code that made them, so old ones are never mixed in."""

    def __init__(self, folder):
        source = inspect.getsource(features) + inspect.getsource(perturb)
        self._file = Path(folder) / f"features-{hashlib.sha256(source.encode()).hexdigest()[:12]}.npz"
        self._vectors = {}
        if self._file.is_file():
            with np.load(self._file) as stored:
                self._vectors = dict(zip(map(str, stored["keys"]), stored["vectors"]))

    def fill(self, items, progress=sys.stderr):
        """Computes what is missing of `items`; an interrupted run goes on where it was."""
        missing = {}
        for item in items:
            if item.key not in self._vectors:
                missing.setdefault(item.clip.name, (item.clip, {}))[1][item.key] = item
        if not missing:
            return
        started = saved = time.monotonic()
        clips = list(missing.values())
        for done, ((clip, wanted), samples) in enumerate(zip(clips, decode([clip.path for clip, _ in clips], features.RATE_HZ)), 1):
            for key, item in wanted.items():
                self._vectors[key] = features.clip_features(perturb.alter(samples, item.kind, clip.name, item.copy))
            now = time.monotonic()
            if now - saved > _SAVE_EVERY_S or done == len(clips):
                self._save()
                saved = now
                left = (now - started) / done * (len(clips) - done)
                print(f"features: {done} of {len(clips)} clips, {left / 60:.0f} min left", file=progress, flush=True)

    def table(self, items):
        """`[items, 141]` float32."""
        return np.stack([self._vectors[item.key] for item in items])

    def _save(self):
        self._file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._file.with_suffix(".partial.npz")
        np.savez(partial, keys=np.array(list(self._vectors)), vectors=np.stack(list(self._vectors.values())))
        partial.replace(self._file)

