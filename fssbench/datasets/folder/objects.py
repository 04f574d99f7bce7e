"""What a COCO json of one's own annotates and the label maps do not show: crowds, and objects without a pixel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fssbench.datasets.dataset import Label
from fssbench.datasets.folder.coco import NO_PIXEL, AnnotatedPhoto, Annotation, RunLengths, mask_in
from fssbench.datasets.folder.description import Fault
from fssbench.datasets.folder.files import listed

Objects = Iterable[tuple[int, Annotation]]
"""Label value and annotation."""


@dataclass(frozen=True)
class Unseen:
    """The annotations of a photo of which the label map shows nothing.

    Attributes:
        empty: Those without a pixel in the photo.
        hidden: Those that later annotations of other classes cover wholly.
    """

    empty: tuple[tuple[int, Annotation], ...] = ()
    hidden: tuple[tuple[int, Annotation], ...] = ()


def unseen_in(annotated: AnnotatedPhoto, label: Label, photo: Path) -> Unseen:
    """Return the annotations of a photo that its label map (H, W) shows nothing of."""
    empty, hidden = [], []
    for value, annotation in annotated.painted:
        mask = mask_in(annotation, photo, annotated.size)
        if not mask.any():
            empty.append((value, annotation))
        elif not np.any(label[mask] == value):
            hidden.append((value, annotation))
    return Unseen(tuple(empty), tuple(hidden))


def empty_faults(path: Path, empty: Objects, classes: Mapping[int, str]) -> list[Fault]:
    """Return the fault that counts and names the objects without a pixel, if there are any."""
    found = list(empty)
    if not found:
        return []
    return [Fault(f"{path}: no pixel of the photo belongs to {_counted(found, classes)}", NO_PIXEL)]


def hidden_note(path: Path, hidden: Objects, classes: Mapping[int, str]) -> list[str]:
    """Return the sentence that says which annotations are wholly under others, if there are any."""
    found = list(hidden)
    if not found:
        return []
    return [f"{path}: annotations of other classes with higher ids cover all of {_counted(found, classes)}"]


def written_notes(path: Path, photos: Mapping[str, AnnotatedPhoto], classes: Mapping[int, str]) -> list[str]:
    """Return what is to be said of a json without painting it: its crowds, and outlines that are left out."""
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
            f"{path}: crowds (iscrowd 1) are background: {_counted(crowds, classes)}, beside {len(objects)} that are "
            "painted; some tools mark each mask of a brush so, and iscrowd 0 makes an object of it"
        )
    if short:
        notes.append(f"{path}: outlines of two points are left out of {_counted(short, classes)}")
    return notes


def _counted(objects: Objects, classes: Mapping[int, str]) -> str:
    """Return how many annotations there are, of which classes, and their ids."""
    every = sorted(objects, key=lambda found: found[1].id)
    by_class = Counter(value for value, _ in every)
    of_class = ", ".join(f"{count} of '{classes[value]}'" for value, count in sorted(by_class.items()))
    plural = "s" if len(every) > 1 else ""
    return f"{len(every)} annotation{plural} ({of_class}; id{plural} {listed(str(one.id) for _, one in every)})"
