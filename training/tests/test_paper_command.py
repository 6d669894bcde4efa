"""Reading CREMA-D in either layout, decoding, the store of features, and the whole command on the demo's few clips."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

TRAINING = Path(__file__).resolve().parent.parent
DEMO = TRAINING.parent / "assets" / "demo"
sys.path.insert(0, str(TRAINING))

from paper.audio import decode
from paper.bank import Bank
from paper.corpus import LABELS, read_corpus
from paper.protocol import Item

needs_ffmpeg = unittest.skipUnless(shutil.which("ffmpeg"), "ffmpeg is not installed")


class InFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)


class Corpus(InFolder):
    def test_reads_the_published_layout_by_file_name(self):
        (self.folder / "AudioWAV").mkdir()
        for name in ("1002_DFA_SAD_XX.wav", "1001_IEO_ANG_HI.wav", "notes.txt", "1001_IEO_XXX_HI.wav"):
            (self.folder / "AudioWAV" / name).touch()
        clips = read_corpus(self.folder)
        self.assertEqual([clip.name for clip in clips], ["1001_IEO_ANG_HI", "1002_DFA_SAD_XX"])
        self.assertEqual([(clip.speaker, LABELS[clip.label]) for clip in clips], [("1001", "anger"), ("1002", "sadness")])

    def test_reads_a_manifest(self):
        (self.folder / "manifest.csv").write_text("path,speaker,emotion\nb/two.opus,7,fear\na/one.opus,8,neutral\n")
        clips = read_corpus(self.folder)
        self.assertEqual([(clip.name, clip.speaker, LABELS[clip.label]) for clip in clips], [("one", "8", "neutral"), ("two", "7", "fear")])
        self.assertEqual(clips[0].path, self.folder / "a" / "one.opus")

    def test_refuses_what_it_cannot_read_right(self):
        with self.assertRaisesRegex(ValueError, "got no clip"):
            read_corpus(self.folder)
        for row, message in (("a.opus,1,calm", "got `calm`"), ("a.opus,1,fear\nb/a.opus,2,fear", "got `a` twice")):
            (self.folder / "manifest.csv").write_text(f"path,speaker,emotion\n{row}\n")
            with self.assertRaisesRegex(ValueError, message):
                read_corpus(self.folder)


class Audio(InFolder):
    def test_says_that_ffmpeg_is_missing(self):
        before = os.environ["PATH"]
        self.addCleanup(os.environ.__setitem__, "PATH", before)
        os.environ["PATH"] = str(self.folder)
        with self.assertRaisesRegex(RuntimeError, "apt-get install ffmpeg"):
            list(decode([DEMO / "x.opus"], 16_000))

    @needs_ffmpeg
    def test_decodes_in_order_at_the_wanted_rate(self):
        paths = [clip.path for clip in read_corpus(DEMO)[:3]]
        low, high = list(decode(paths, 8000)), list(decode(paths, 16_000))
        for a, b in zip(low, high):
            self.assertAlmostEqual(len(a) * 2, len(b), delta=16)
            self.assertTrue(0.01 < np.abs(b).max() < 2)
        for a, b in zip(high, reversed(list(decode(paths[::-1], 16_000)))):
            np.testing.assert_array_equal(a, b)

    @needs_ffmpeg
    def test_names_a_file_that_is_no_sound(self):
        broken = self.folder / "1001_DFA_ANG_XX.wav"
        broken.write_text("no sound")
        with self.assertRaisesRegex(RuntimeError, "1001_DFA_ANG_XX"):
            list(decode([broken], 16_000))


@needs_ffmpeg
class Command(InFolder):
    def test_store_of_features_survives_a_restart(self):
        items = [Item(clip, kind, copy) for clip in read_corpus(DEMO)[:2] for kind, copy in (("plain", 0), ("plain", 1), ("noise", 1))]
        with open(os.devnull, "w") as silence:
            first = Bank(self.folder)
            first.fill(items, silence)
            table = first.table(items)
            again = Bank(self.folder)
            again.fill([], silence)
        self.assertEqual(table.shape, (6, 141))
        np.testing.assert_array_equal(table, again.table(items))
        np.testing.assert_array_equal(table[0], table[1])
        self.assertFalse(np.array_equal(table[0], table[2]))

    def test_prints_all_columns_and_keeps_finished_runs(self):
        data = self.folder / "AudioWAV"
        data.mkdir()
        for clip in read_corpus(DEMO)[:30]:
            shutil.copy(clip.path, data)
        command = [sys.executable, str(TRAINING / "paper" / "main.py"), "--data", str(self.folder), "--clips", "all", "--network", "emonet"]
        command += ["--epochs", "1", "--jobs", "1", "--cache", str(self.folder / "cache"), "--out", str(self.folder / "out")]
        printed = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)]
        self.assertEqual(*printed)
        self.assertRegex(printed[0], r"\| EmoNet, accuracy after augmentation \| 86 \| [\d.]+ \| [\d.]+ \| [\d.]+ \|")
        self.assertRegex(printed[0], r"copy in training, after augmentation \| \| (9\d|100)\.\d \| 0\.0 \| 0\.0 \|")
        rows = [json.loads(line) for line in (self.folder / "out" / "runs.jsonl").read_text().splitlines()]
        self.assertEqual(len(rows), 6)
        self.assertTrue(all(row["epochs"] == 1 and 0 <= row["accuracy"] <= 1 for row in rows))


if __name__ == "__main__":
    unittest.main()
