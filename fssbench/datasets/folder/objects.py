"""Annotations of a COCO json that are not visible in the label maps: crowds, and objects without a pixel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fssbench.datasets.dataset import Label
from fssbench.datasets.folder.coco import NO_PIXEL, AnnotatedPhoto, Annotation, mask_in
from fssbench.datasets.folder.description import Fault
from fssbench.datasets.folder.files import first_names
from fssbench.datasets.folder.run_lengths import RunLengths

Objects = Iterable[tuple[int, Annotation]]
"""Pairs of label value and annotation."""


@dataclass(frozen=True)
class Unseen:
    """The annotations of a photo that are not visible in its label map.

    Attributes:
        empty: Annotations without a pixel in the photo.
        hidden: Annotations that are completely covered by later annotations of other classes.
    """

    empty: tuple[tuple[int, Annotation], ...] = ()
    hidden: tuple[tuple[int, Annotation], ...] = ()


def unseen_in(annotated: AnnotatedPhoto, label: Label, photo: Path) -> Unseen:
    """Return the annotations of a photo that are not visible in its label map (H, W)."""
    empty, hidden = [], []
    for value, annotation in annotated.painted:
        mask = mask_in(annotation, photo, annotated.size)
        if not mask.any():
            empty.append((value, annotation))
        elif not np.any(label[mask] == value):
            hidden.append((value, annotation))
    return Unseen(tuple(empty), tuple(hidden))


def empty_faults(path: Path, empty: Objects, classes: Mapping[int, str]) -> list[Fault]:
    """Return a fault with the number and the ids of the objects without a pixel, if there are any."""
    found = list(empty)
    if not found:
        return []
    return [Fault(f"{path}: no pixel of the photo belongs to {_counted(found, classes)}", NO_PIXEL)]


def hidden_note(path: Path, hidden: Objects, classes: Mapping[int, str]) -> list[str]:
    """Return a sentence about the annotations that are completely covered by others, if there are any."""
    found = list(hidden)
    if not found:
        return []
    return [f"{path}: annotations of other classes with higher ids cover all of {_counted(found, classes)}"]


def written_notes(path: Path, photos: Mapping[str, AnnotatedPhoto], classes: Mapping[int, str]) -> list[str]:
    """Return sentences about the crowds of a json and about outlines that are left out; nothing is painted."""
    crowds = [crowd for annotated in photos.values() for crowd in annotated.crowds]
    objects = [painted for annotated in photos.values() for painted in annotated.painted]
    short = [
        (value, annotation)
        for value, annotation in objects
        if not isinstance(annotation.segmentation, RunLengths)
        and {len(outline) > 2 for outline in annotation.segmentation} == {True, False}
    ]
    notes = []
    if crowds:
        notes.append(
            f"{path}: crowds (iscrowd 1) are background: {_counted(crowds, classes)}, next to {len(objects)} that are "
            "painted; some tools mark every brush mask as a crowd, and iscrowd 0 makes it an object"
        )
    if short:
        notes.append(f"{path}: outlines of two points are left out of {_counted(short, classes)}")
    return notes


def _counted(objects: Objects, classes: Mapping[int, str]) -> str:
    """Return the number of annotations, their classes, and their ids as text."""
    every = sorted(objects, key=lambda found: found[1].id)
    by_class = Counter(value for value, _ in every)
    of_class = ", ".join(f"{count} of '{classes[value]}'" for value, count in sorted(by_class.items()))
    plural = "s" if len(every) > 1 else ""
    return f"{len(every)} annotation{plural} ({of_class}; id{plural} {first_names(str(one.id) for _, one in every)})"
