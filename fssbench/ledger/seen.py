"""Which test classes were seen in training, and how they were labelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fssbench.datasets.catalogue import built_in
from fssbench.ledger.classes import class_names, common
from fssbench.ledger.facts import Facts
from fssbench.ledger.reading import (
    Row,
    TrainingSet,
    categories,
    pretraining_of,
    row_facts,
    stated_leaks,
    training_sets,
)

Level = Literal["masks", "labels", "images"]
LEVELS: tuple[Level, ...] = ("masks", "labels", "images")
"""What counts as having seen a class: its masks; also tags and texts that name it; also images without labels."""


@dataclass(frozen=True)
class Seen:
    """The test classes that were seen, by name; None where it is not stated.

    Attributes:
        masks: Those whose masks were labels.
        labels: Those that tags or texts named.
        unnamed: Whether there were masks that nobody named, so that any class may be among them; None if not stated.
        images: Whether there were images without labels, which may hold any class; None if not stated.
        tested: The names of the test classes; None if they are not known.
    """

    masks: tuple[str, ...] | None
    labels: tuple[str, ...] | None
    unnamed: bool | None
    images: bool | None
    tested: tuple[str, ...] | None

    def by(self, level: Level) -> tuple[str, ...] | None:
        """Return the classes that were seen at a level; () for none, None where that is not stated.

        Masks without names count as not stated, as any class may be among them, and images without labels likewise.
        """
        parts: list[tuple[str, ...] | None] = [self.masks, _open(self.unnamed)]
        if level != "masks":
            parts.append(self.labels)
        if level == "images":
            parts.append(_open(self.images))
        named = [name for part in parts for name in part or ()]
        if named:
            return tuple(dict.fromkeys(named))
        return None if any(part is None for part in parts) else ()

    def as_object(self) -> dict[str, object]:
        """Return it for JSON; null where it is not stated."""
        return {
            "masks": None if self.masks is None else list(self.masks),
            "labels": None if self.labels is None else list(self.labels),
            "unnamed_masks": self.unnamed,
            "unlabelled_images": self.images,
        }


def _open(flag: bool | None) -> tuple[str, ...] | None:
    """Return no class where there was nothing of a kind, and None where any class may be."""
    return () if flag is False else None


ALL = ("all of them",)
"""The seen classes where all were seen, and their names are not known."""


def seen(
    facts: Facts,
    backbone: str | None,
    dataset: str,
    tested: Sequence[str] | None,
    leaking: Sequence[str] | None = (),
) -> Seen:
    """Return which test classes an entry has seen.

    Args:
        facts: The entry.
        backbone: Its backbone; empty or None if it is not known.
        dataset: The data set that is tested.
        tested: The names of the tested classes; None if they are not known.
        leaking: Those among them that training on base classes has seen; None if that is not known.
    """
    tested = None if tested is None else tuple(tested)
    by_kind: dict[str, list[tuple[str, ...] | None]] = {"masks": [], "labels": [], "unnamed": [], "images": []}
    sets = pretraining_of(facts, backbone)
    if sets is None:
        for kind in by_kind:
            by_kind[kind].append(None)
    for key in sets or ():
        one = training_sets().get(key)
        if one is None:
            # A set that only its name is known of may have any labels.
            for kind in by_kind:
                by_kind[kind].append(None)
            continue
        kind = {"masks": "masks", "unnamed masks": "unnamed", "images": "images"}.get(one.supervision, "labels")
        by_kind[kind].append(("any",) if kind in ("unnamed", "images") else _held(key, one, dataset, tested))
    for kind, classes in zip(("masks", "labels"), _of_training(facts, tested, leaking), strict=True):
        by_kind[kind].append(classes)
    return Seen(
        masks=_together(by_kind["masks"], tested),
        labels=_together(by_kind["labels"], tested),
        unnamed=_any(by_kind["unnamed"]),
        images=_any(by_kind["images"]),
        tested=tested,
    )


def seen_by_row(row: Row) -> tuple[Facts, Seen]:
    """Return the facts of a printed row, and which test classes it has seen."""
    facts, dataset = row_facts(row), row.dataset.rpartition("_to_")[2]
    return facts, seen(facts, row.backbone, dataset, class_names(dataset), _leaks(row))


def _leaks(row: Row) -> tuple[str, ...] | None:
    """Return the tested classes of a printed row that training on base classes has seen; None if it is not stated.

    The folds of a data set test what they do not train on. For a pair of data sets a source has to say what is tested,
    unless they have no class in common.
    """
    trained_on, pair, dataset = row.dataset.rpartition("_to_")
    if not pair:
        return ()
    if (stated := stated_leaks(row)) is not None:
        return stated
    tested, learnt = class_names(dataset), class_names(trained_on)
    return () if tested is not None and learnt is not None and not common(tested, learnt) else None


def _of_training(
    facts: Facts, tested: tuple[str, ...] | None, leaking: Sequence[str] | None
) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """Return the test classes that training on the data set of the folds saw, by masks and by labels."""
    base = None if leaking is None else tuple(leaking)
    if facts.classes is not None:
        base = None if tested is None else tuple(dict.fromkeys([*common(tested, facts.classes), *(leaking or ())]))
    if facts.training == "none":
        return (), ()
    if facts.training == "all masks":
        return tested or ALL, ()
    if facts.training == "base tags":
        return (), base
    return (base, ()) if facts.training == "base masks" or facts.classes is not None else (None, None)


def _held(key: str, one: TrainingSet, dataset: str, tested: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Return the tested classes that a set has labels of; None if that is not known.

    A class of drawn scenes is none of photographs, whatever its name.
    """
    if dataset in built_in() and built_in()[dataset].rendered:
        return ()
    if tested is None:
        return ALL if dataset in one.holds else None
    if one.supervision == "text":
        return None
    if key == "imagenet-1k":
        found = common(tested, categories())
        return found if dataset in one.mapped else None
    held = [name for source in one.holds for name in class_names(source) or ()]
    found = common(tested, held)
    if len(found) == len(tested):
        return found
    # Only what it holds for sure is known, not what it does not.
    return found or None


def _together(parts: Sequence[tuple[str, ...] | None], tested: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Return the classes of several trainings, in the order of the tested ones; None if none is sure."""
    found = {name for part in parts for name in part or ()}
    if found:
        return tuple(name for name in tested if name in found) if tested is not None else ALL
    return None if any(part is None for part in parts) else ()


def _any(parts: Sequence[tuple[str, ...] | None]) -> bool | None:
    if any(parts):
        return True
    return None if any(part is None for part in parts) else False
