"""Speakers stay apart: what the loader, the folds and the split refuse, tried by breaking it."""

import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

import numpy as np

from undertone.data import Clips, assert_disjoint, cepstra_of, folds_of, load, soft_targets, split_by_speaker, voices_of


def clips_of(speakers, copies=1):
    """Clips of these speakers, two each, and `copies` augmented copies of each as other callers."""
    rows = [(speaker, copy, take) for copy in range(copies + 1) for speaker in speakers for take in range(2)]
    count = len(rows)
    return Clips(
        paths=[f"{speaker}-{take}" for speaker, _, take in rows],
        speakers=np.array([speaker for speaker, _, _ in rows]),
        callers=np.array([f"{speaker}+{copy}" if copy else speaker for speaker, copy, _ in rows]),
        copies=np.array([copy for _, copy, _ in rows]),
        sexes=np.array(["female" if int(speaker) % 2 else "male" for speaker, _, _ in rows]),
        labels=np.zeros(count, dtype=int),
        votes=np.zeros((count, 6), dtype=np.float32),
        voices=[frozenset()] * count,
        features=[np.zeros((20, 104), dtype=np.float32)] * count,
        heard=[np.ones(20, dtype=np.float32)] * count,
        sentences=np.array([["AAA", "BBB", ""][take] for _, _, take in rows]),
    )


class Splits(unittest.TestCase):
    def test_refuses_a_speaker_in_both_sets(self):
        clips = clips_of(["1", "2", "3"])
        with self.assertRaisesRegex(SystemExit, "no speaker in both sets.*2"):
            assert_disjoint(clips.where(clips.speakers != "3"), clips.where(clips.speakers == "2"))

    def test_takes_a_test_speaker_out_with_all_copies(self):
        clips = clips_of(["1", "2", "3"], copies=3)
        train, test = split_by_speaker(clips, ["2"])
        self.assertEqual(set(train.speakers), {"1", "3"})
        self.assertFalse(any(caller.startswith("2") for caller in train.callers))
        self.assertEqual(len(train), 2 * 2 * 4)
        self.assertEqual((set(test.speakers), set(test.copies), len(test)), ({"2"}, {0}, 2))

    def test_takes_out_copies_in_which_a_test_speaker_babbles(self):
        clips = clips_of(["1", "2", "3"])
        clips.voices[-1] = voices_of("pitch+1 noise:babble@5dB opus16 voices:1+2+7")
        train, _ = split_by_speaker(clips, ["2"])
        self.assertEqual(len(train), 7)
        self.assertTrue(all(voices.isdisjoint(["2"]) for voices in train.voices))

    def test_copies_under_another_speaker_are_still_caught(self):
        # A corpus folder in which someone renamed the speaker of the copies: the clip's own name gives it away.
        clips = clips_of(["1", "2"], copies=1)
        clips.speakers[clips.copies == 1] = "9"
        with self.assertRaisesRegex(SystemExit, "no clip in both sets"):
            split_by_speaker(clips, ["2"])

    def test_folds_hold_each_speaker_once_and_both_sexes(self):
        clips = clips_of([str(name) for name in range(1000, 1023)])
        folds = folds_of(clips, 5)
        self.assertEqual(sorted(name for fold in folds for name in fold), sorted(set(clips.speakers)))
        for fold in folds:
            self.assertEqual({int(name) % 2 for name in fold}, {0, 1})
        self.assertEqual(folds, folds_of(clips, 5))
        self.assertNotEqual(folds, folds_of(clips, 5, seed=1))

    def test_refuses_more_folds_than_speakers(self):
        with self.assertRaisesRegex(SystemExit, "at least 5 speakers"):
            folds_of(clips_of(["1", "2"]), 5)

    def test_a_folder_without_features_is_named(self):
        with self.assertRaisesRegex(SystemExit, "no clips.csv"):
            load("/nowhere")


class Targets(unittest.TestCase):
    def test_mixes_votes_in_and_sums_to_one(self):
        clips = clips_of(["1"], copies=0)
        clips.labels[:] = [2, 4]
        clips.votes[0] = [0, 0, 1, 0, 3, 0]
        targets = soft_targets(clips, 0.25)
        np.testing.assert_allclose(targets[0], [0, 0, 0.75 + 0.25 / 4, 0, 0.25 * 3 / 4, 0], atol=1e-6)
        np.testing.assert_allclose(targets[1], [0, 0, 0, 0, 1, 0], atol=1e-6)


class Layout(unittest.TestCase):
    def test_says_how_many_cepstra_there_are_and_keeps_it(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(cepstra_of(folder), 40)
            (Path(folder) / "features.json").write_text('{"melBands":64,"mfccCount":13,"pitchCount":27}')
            self.assertEqual(cepstra_of(folder), 13)
        clips = replace(clips_of(["1", "2"]), cepstra=13)
        self.assertEqual(clips.where(clips.speakers == "1").cepstra, 13)


if __name__ == "__main__":
    unittest.main()
