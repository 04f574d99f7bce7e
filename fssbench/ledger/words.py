"""Entries of the ledger as short texts."""

from __future__ import annotations

from collections.abc import Sequence

from fssbench.datasets.catalogue import dataset_title
from fssbench.ledger.classes import class_names
from fssbench.ledger.facts import FACTS, NETWORK, NOT_STATED, Facts
from fssbench.ledger.reading import network_source, pretraining_of, training_sets
from fssbench.ledger.seen import ALL, Seen, seen

HEADS = {
    "pretraining": "pretraining",
    "training": "training",
    "novel_images": "novel classes in training images",
    "adapts": "test-time adaptation",
    "given": "given at test time",
    "chosen_on": "weights chosen on",
}
"""What each fact is called where it is shown."""

_SUPERVISION = {
    "masks": "masks of named classes",
    "unnamed masks": "masks without names",
    "tags": "class tags",
    "text": "captions",
    "images": "images without labels",
}
_TRAINING = {
    "none": "none on the data set",
    "base masks": "masks of the base classes of a fold",
    "base tags": "image labels of the base classes of a fold",
    "all masks": "masks of all classes, the test classes among them",
}
_NOVEL = {
    "kept": "kept, as background",
    "removed": "images with them removed",
    "removed in part": "images with them removed from episodes, kept for the base learner",
    "none": "no training",
}
_CHOSEN = {
    "novel classes": "the novel classes of the fold, which are tested",
    "base classes": "base classes",
    "nothing": "no result",
}
_GIVEN = {
    "masks": "masks of the supports",
    "boxes": "boxes of the supports",
    "points": "points in the supports",
    "tags": "class tags of the supports",
    "text": "names of classes",
    "images": "further images without labels",
    "foreground share": "the share of foreground in the query",
}
_MOST = 4


def set_title(key: str) -> str:
    """Return a training set with how it was labelled: "ImageNet-1k (class tags)"."""
    one = training_sets().get(key)
    return f"{one.title} ({_SUPERVISION[one.supervision]})" if one else f"{key} (labels {NOT_STATED})"


def pretraining_text(facts: Facts, backbone: str | None) -> str:
    """Return what the backbone was trained on."""
    if facts.pretraining == NETWORK and not backbone:
        return "that of its backbone"
    sets = pretraining_of(facts, backbone)
    if sets is None:
        return NOT_STATED
    return " and ".join(map(set_title, sets)) or "none"


def fact_text(facts: Facts, fact: str, backbone: str | None) -> str:
    """Return a fact as a few words."""
    if fact == "pretraining":
        return pretraining_text(facts, backbone)
    value: str | tuple[str, ...] | None = getattr(facts, fact)
    if value is None:
        return NOT_STATED
    if isinstance(value, tuple):
        return ", ".join(_GIVEN[one] for one in value) or "nothing"
    words = {"training": _TRAINING, "novel_images": _NOVEL, "chosen_on": _CHOSEN}.get(fact, {})
    return words.get(value, value)


def lines(facts: Facts, backbone: str | None) -> list[tuple[str, str, str]]:
    """Return each fact as (what it is called, the fact, where it is stated); the last is empty where it is not."""
    found = []
    for fact, head in HEADS.items():
        source = facts.source_of(fact)
        if fact == "pretraining" and facts.pretraining == NETWORK and backbone:
            source = network_source(backbone)
        found.append((head, fact_text(facts, fact, backbone), source))
    return found


CELLS = (*FACTS, "seen_masks", "seen_labels")
"""The columns of the ledger in CSV: its facts, and the test classes seen by their masks, and by tags or texts."""


def cells(facts: Facts, found: Seen, backbone: str | None) -> dict[str, str]:
    """Return the cells of `CELLS`: values as in the data of the ledger, "not stated" where no source says it."""
    values: dict[str, str | tuple[str, ...] | None] = {fact: getattr(facts, fact) for fact in FACTS}
    values |= {
        "pretraining": pretraining_of(facts, backbone),
        "seen_masks": found.masks,
        "seen_labels": found.labels,
    }
    return {name: _cell(values[name]) for name in CELLS}


def _cell(value: str | tuple[str, ...] | None) -> str:
    if value is None:
        return NOT_STATED
    return value if isinstance(value, str) else ", ".join(value) or "none"


def named(classes: Sequence[str], tested: Sequence[str] | None = None) -> str:
    """Return classes as text: the first by name, or how many of the tested ones.

    Examples:
        >>> named(["bird", "cat"]), named(["a", "b", "c", "d", "e"], ["a", "b", "c", "d", "e", "f"])
        ('bird, cat', '5 of 6 test classes')
    """
    if tuple(classes) == ALL:
        return "the test classes"
    if tested is not None and len(classes) == len(tested):
        return "all test classes"
    if len(classes) <= _MOST or tested is None:
        return ", ".join(classes)
    return f"{len(classes)} of {len(tested)} test classes"


def seen_of_papers(facts: Facts, backbone: str | None) -> list[tuple[str, str]]:
    """Return what an entry has seen of the test classes of PASCAL-5i and COCO-20i, by the titles of these."""
    return [
        (f"seen of {dataset_title(dataset)}", seen_text(seen(facts, backbone, dataset, class_names(dataset))))
        for dataset in ("pascal5i", "coco20i")
    ]


def seen_text(found: Seen) -> str:
    """Return what was seen of the test classes, in a few words."""
    parts = []
    if found.masks:
        parts.append(f"masks of {named(found.masks, found.tested)}")
    if found.labels:
        parts.append(f"class tags or names of {named(found.labels, found.tested)}")
    if found.unnamed:
        parts.append("masks without names, any class may be among them")
    if found.images:
        parts.append("images without labels, any class may be among them")
    unknown = [what for what, value in (("masks", found.masks), ("class tags or names", found.labels)) if value is None]
    if unknown:
        parts.append(f"{' and '.join(unknown)}: {NOT_STATED}")
    return "; ".join(parts) or "none"
