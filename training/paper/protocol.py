"""Which clips are trained on and which are judged: the published order of steps, and two orders that keep copies apart."""

from collections import Counter
from dataclasses import dataclass

from .corpus import LABELS, Clip
from .perturb import ALTERATIONS, PLAIN

VALIDATION_SHARE = 0.2
PAPER_CLIPS = 2930
PAPER_CLIPS_A_CLASS = 512


@dataclass(frozen=True)
class Item:
    """A clip or a copy of it: `copy` counts the times over-sampling drew the clip, `kind` says how it was altered."""

    clip: Clip
    kind: str = PLAIN
    copy: int = 0

    @property
    def key(self):
        """Names the sound: unaltered copies sound alike, altered ones do not."""
        return f"{self.clip.name}/{self.kind}/{0 if self.kind == PLAIN else self.copy}"


@dataclass(frozen=True)
class Split:
    """Items to train on and items to judge."""

    train: list
    validation: list


def draw_subset(clips, rng):
    """2,930 clips, at most 512 a class, drawn at random: as many as the paper had; which ones those were is not published."""
    if len(clips) < PAPER_CLIPS:
        raise ValueError(f"Expected at least {PAPER_CLIPS} clips to draw from, got {len(clips)}")
    drawn, counts = [], Counter()
    for i in rng.permutation(len(clips)):
        clip = clips[i]
        if len(drawn) < PAPER_CLIPS and counts[clip.label] < PAPER_CLIPS_A_CLASS:
            drawn.append(clip)
            counts[clip.label] += 1
    if len(drawn) < PAPER_CLIPS:
        raise ValueError(f"Expected {PAPER_CLIPS} clips with at most {PAPER_CLIPS_A_CLASS} a class, got {len(drawn)}")
    return drawn


def copies_first(clips, augmented, rng, per_class=None):
    """The published order: over-sample, augment, and split the copies at random. Nearly all judged clips were trained on."""
    items = over_sample([Item(clip) for clip in clips], rng, per_class)
    if augmented:
        items = augment(items)
    judged = _share(len(items), rng)
    return Split([item for item, out in zip(items, judged) if not out], [item for item, out in zip(items, judged) if out])


def split_first(clips, augmented, rng):
    """The same random split, but before anything is copied; only the training part is copied. Speakers are on both sides."""
    judged = _share(len(clips), rng)
    return _copy_training_part(
        [clip for clip, out in zip(clips, judged) if not out],
        [clip for clip, out in zip(clips, judged) if out],
        augmented,
        rng,
    )


def split_by_speaker(clips, augmented, rng):
    """A fifth of the speakers is judged, the others are trained on; only the training part is copied."""
    speakers = sorted({clip.speaker for clip in clips})
    judged = {speaker for speaker, out in zip(speakers, _share(len(speakers), rng)) if out}
    train = [clip for clip in clips if clip.speaker not in judged]
    validation = [clip for clip in clips if clip.speaker in judged]
    assert_speakers_disjoint(train, validation)
    split = _copy_training_part(train, validation, augmented, rng)
    assert_speakers_disjoint([item.clip for item in split.train], [item.clip for item in split.validation])
    return split


PROTOCOLS = {"copies first": copies_first, "split first": split_first, "by speaker": split_by_speaker}


def over_sample(items, rng, per_class=None):
    """Adds randomly drawn copies until each class has `per_class` items (@default as many as the largest class)."""
    classes = [[item for item in items if item.clip.label == label] for label in range(len(LABELS))]
    sizes = [len(members) for members in classes]
    target = max(sizes) if per_class is None else per_class
    if min(sizes) == 0 or max(sizes) > target:
        raise ValueError(f"Expected 1 to {target} items of each class, got {sizes}")
    out, drawn = list(items), Counter(item.clip.name for item in items)
    for members in classes:
        for i in rng.integers(0, len(members), target - len(members)):
            clip = members[i].clip
            out.append(Item(clip, PLAIN, drawn[clip.name]))
            drawn[clip.name] += 1
    return out


def augment(items):
    """Each item and its three altered copies."""
    return [Item(item.clip, kind, item.copy) for item in items for kind in (PLAIN, *ALTERATIONS)]


def share_with_copy_in_training(split):
    """Share of the judged items whose clip was also trained on, in whatever alteration."""
    trained = {item.clip.name for item in split.train}
    return sum(item.clip.name in trained for item in split.validation) / len(split.validation)


def assert_speakers_disjoint(train, validation):
    """Refuses clips of one speaker on both sides."""
    shared = sorted({clip.speaker for clip in train} & {clip.speaker for clip in validation})
    if shared:
        raise ValueError(f"Expected no speaker in both training and validation, got {len(shared)}: {', '.join(shared)}")


def assert_not_copied(train, validation):
    """Refuses sets in which a clip occurs twice, on either side or across: splitting must come before copying."""
    names = Counter(clip.name for clip in [*train, *validation])
    copied = sorted(name for name, count in names.items() if count > 1)
    if copied:
        raise ValueError(f"Expected clips to be split before they are copied, got copies of {len(copied)}, first `{copied[0]}`")


def _copy_training_part(train, validation, augmented, rng):
    assert_not_copied(train, validation)
    items = over_sample([Item(clip) for clip in train], rng)
    return Split(augment(items) if augmented else items, [Item(clip) for clip in validation])


def _share(count, rng):
    """`[count]` booleans, a fifth of them true, in random places."""
    number = round(count * VALIDATION_SHARE)
    if not 0 < number < count:
        raise ValueError(f"Expected enough to split, got {count}")
    return rng.permutation(count) < number
