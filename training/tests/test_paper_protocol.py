"""The three orders of splitting and copying: their sizes, and attempts to break the guards."""

import sys
import unittest
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from paper import protocol
from paper.corpus import Clip


def corpus(speakers=72, clips_a_label=14):
    return [
        Clip(f"{speaker}_{label}_{i}", Path("none"), str(speaker), label)
        for speaker in range(speakers)
        for label in range(6)
        for i in range(clips_a_label - 2 * (label == 4))
    ]


def rng(seed=1):
    return np.random.default_rng(seed)


class PublishedOrder(unittest.TestCase):
    def test_reaches_the_published_sizes(self):
        chosen = protocol.draw_subset(corpus(), rng())
        self.assertEqual(len({clip.name for clip in chosen}), 2930)
        for augmented, size in ((False, 3072), (True, 12_288)):
            split = protocol.copies_first(chosen, augmented, rng(), protocol.PAPER_CLIPS_A_CLASS)
            items = [*split.train, *split.validation]
            self.assertEqual(len(items), size)
            self.assertEqual(set(Counter(item.clip.label for item in items).values()), {size // 6})
            self.assertEqual(len(split.validation), round(size / 5))

    def test_trains_on_copies_of_nearly_every_judged_clip(self):
        split = protocol.copies_first(corpus(), True, rng())
        share = protocol.share_with_copy_in_training(split)
        judged = {item.clip.name for item in split.validation}
        trained = {item.clip.name for item in split.train}
        self.assertGreater(share, 0.98)
        self.assertGreater(len(judged & trained) / len(judged), 0.97)

    def test_gives_each_clip_every_alteration_once(self):
        split = protocol.copies_first(corpus(4), True, rng())
        kinds = Counter((item.clip.name, item.copy, item.kind) for item in [*split.train, *split.validation])
        self.assertEqual(set(kinds.values()), {1})
        self.assertEqual({kind for _, _, kind in kinds}, {"plain", "pitch", "stretch", "noise"})

    def test_unaltered_copies_sound_alike_and_altered_ones_do_not(self):
        clip = corpus(1)[0]
        self.assertEqual(protocol.Item(clip, "plain", 0).key, protocol.Item(clip, "plain", 1).key)
        self.assertNotEqual(protocol.Item(clip, "pitch", 0).key, protocol.Item(clip, "pitch", 1).key)


class SplitsWithoutCopies(unittest.TestCase):
    def test_hold_for_many_seeds(self):
        clips = corpus(20)
        for seed in range(20):
            for augmented in (False, True):
                for split in (protocol.split_first(clips, augmented, rng(seed)), protocol.split_by_speaker(clips, augmented, rng(seed))):
                    self.assertEqual(protocol.share_with_copy_in_training(split), 0)
                    self.assertEqual(len(set(Counter(item.clip.label for item in split.train).values())), 1)
                    judged = [item.clip.name for item in split.validation]
                    self.assertEqual(len(judged), len(set(judged)))
                    self.assertTrue(all(item.kind == "plain" for item in split.validation))
                    self.assertEqual(len({item.clip.name for item in split.train}) + len(judged), len(clips))

    def test_keep_speakers_apart_only_when_split_by_speaker(self):
        clips = corpus(20)
        for seed in range(20):
            split = protocol.split_by_speaker(clips, True, rng(seed))
            trained, judged = ({item.clip.speaker for item in part} for part in (split.train, split.validation))
            self.assertEqual((len(trained), len(judged), trained & judged), (16, 4, set()))
        split = protocol.split_first(clips, True, rng())
        self.assertTrue({item.clip.speaker for item in split.validation} <= {item.clip.speaker for item in split.train})


class Guards(unittest.TestCase):
    def test_refuse_a_speaker_on_both_sides(self):
        clips = corpus(4)
        with self.assertRaisesRegex(ValueError, "no speaker in both .* got 1: 2$"):
            protocol.assert_speakers_disjoint([c for c in clips if c.speaker in "012"], [c for c in clips if c.speaker in "23"])

    def test_refuse_to_split_what_was_copied_before(self):
        clips = corpus(10)
        copied = [item.clip for item in protocol.augment(protocol.over_sample([protocol.Item(clip) for clip in clips], rng()))]
        for split in (protocol.split_first, protocol.split_by_speaker):
            for augmented in (False, True):
                with self.assertRaisesRegex(ValueError, "split before they are copied"):
                    split(copied, augmented, rng())

    def test_refuse_one_copy_among_many_clips(self):
        clips = corpus(10)
        for seed in range(5):
            with self.assertRaisesRegex(ValueError, "got copies of 1, first `3_"):
                protocol.split_first([*clips, clips[3 * 82]], False, rng(seed))

    def test_refuse_a_copy_under_another_speaker(self):
        clips = corpus(10)
        for speaker in range(1, 10):
            with self.assertRaisesRegex(ValueError, "split before they are copied"):
                protocol.split_by_speaker([*clips, replace(clips[0], speaker=str(speaker))], False, rng())

    def test_refuse_a_single_speaker(self):
        with self.assertRaisesRegex(ValueError, "enough to split, got 1"):
            protocol.split_by_speaker(corpus(1), False, rng())

    def test_refuse_a_class_without_clips_or_over_the_target(self):
        items = [protocol.Item(clip) for clip in corpus(4)]
        with self.assertRaisesRegex(ValueError, "of each class"):
            protocol.over_sample([item for item in items if item.clip.label != 2], rng())
        with self.assertRaisesRegex(ValueError, "1 to 50 items"):
            protocol.over_sample(items, rng(), 50)

    def test_refuse_a_corpus_smaller_than_the_papers(self):
        with self.assertRaisesRegex(ValueError, "at least 2930"):
            protocol.draw_subset(corpus(10), rng())


if __name__ == "__main__":
    unittest.main()
