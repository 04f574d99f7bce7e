"""Checking a folder of own data: everything that is wrong, and how many shots each class allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fssbench.datasets.checks import Count, Report
from fssbench.datasets.dataset import Label
from fssbench.datasets.folder.dataset import Contents, Folder, draft_for, survey
from fssbench.datasets.folder.description import FILE, Fault
from fssbench.datasets.folder.files import VAL
from fssbench.datasets.folder.masks import FORMAT
from fssbench.datasets.io.images import MAX_PIXELS, read_photo, read_values, size_of, value_counts
from fssbench.datasets.lost_objects import Lost, lost_notes, lost_objects
from fssbench.datasets.turned_photos import turned_note
from fssbench.errors import FSSBenchError
from fssbench.label_values import IGNORE
from fssbench.progress import tracked

if TYPE_CHECKING:
    from fssbench.datasets.folder.objects import Unseen

_KINDS = {"indexed": "indexed", "binary": "one per class", "coco": "of a COCO json"}
_PHOTO = f"replace the file, or make it smaller: JPEG or PNG, whole, of at most {MAX_PIXELS // 10**6} million pixels"


def check(dataset: Folder, *, decode: bool = True) -> Report:
    """Return the report of an opened folder; see `check_folder`."""
    return check_folder(dataset.root, decode=decode)


def check_folder(root: Path, *, decode: bool = True) -> Report:
    """Return the content of a folder and all faults: of its files, of dataset.toml, and of each photo and mask.

    Checks that are impossible because of other faults are left out, e.g. of masks if the classes are not known.

    Args:
        root: The folder.
        decode: Whether to decode every photo; otherwise photos are only opened.
    """
    contents = survey(root)
    files = contents.files
    faults = [*contents.faults, *_photo_faults(files.photos, decode=decode)]
    notes = [*files.notes, *_turned_note(contents)]
    masks = sum(len(found) for found in files.masks.values())
    if contents.annotated is not None:
        masks = sum(len(annotated.painted) for annotated in contents.annotated.values())
    counts = [
        Count("photos", len(files.photos), same=bool(files.photos)),
        Count("masks", masks, same=masks > 0, note=_KINDS[files.kind] if masks else ""),
    ]
    if files.photos and not (root / FILE).exists():
        text = draft_for(contents, _values(contents) if files.kind == "indexed" else ())
        notes.append(f"a {FILE} to begin with:\n{text}")
    if contents.description is not None:
        folder = Folder(_paired(contents))
        seen = _look(folder)
        faults += seen.faults
        notes += [*folder.remarks, *seen.notes]
        for class_id in folder.class_names:
            of_class, found = _class(folder, seen, class_id)
            counts += of_class
            faults += found
        if folder.files.val is None:
            notes.append(f"all photos are for evaluation; {VAL} would select some, and leave the others for training")
    pairs = tuple((fault.text, fault.remedy) for fault in faults)
    return Report(Folder.name, root, tuple(counts), notes=tuple(notes), faults=pairs)


@dataclass(frozen=True)
class _Seen:
    """The content of the readable label maps.

    Attributes:
        photos: The photos with enough pixels to be listed, by label value.
        pixels: The number of all pixels, by label value.
        faults: The faults of the other label maps.
        notes: Information that is no error.
    """

    photos: Mapping[int, frozenset[str]]
    pixels: Mapping[int, int]
    faults: tuple[Fault, ...]
    notes: tuple[str, ...] = ()


def _look(folder: Folder) -> _Seen:
    photos: dict[int, set[str]] = {class_id: set() for class_id in folder.class_names}
    pixels: Counter[int] = Counter()
    faults: list[Fault] = []
    unseen: list[Unseen] = []
    lost: list[Lost] = []
    for name in tracked(list(folder.files.photos), "reading the masks", "masks"):
        try:
            folder.image_size(name)
        except FSSBenchError:
            continue  # The fault of the photo is reported elsewhere.
        try:
            label = folder.label(name)
            unseen += _unseen(folder, name, label)
        except FSSBenchError as error:
            faults.append(Fault(error.message, error.remedy or FORMAT))
            continue
        counts = value_counts(label)
        lost += lost_objects(label, [c for c in folder.class_names if counts[c] >= folder.description.min_pixels])
        for value in np.flatnonzero(counts).tolist():
            pixels[value] += int(counts[value])
            if value in photos and counts[value] >= folder.description.min_pixels:
                photos[value].add(name)
    notes = lost_notes(lost, folder.class_names)
    if unseen:
        from fssbench.datasets.folder.objects import empty_faults, hidden_note

        path, classes = folder.files.annotations or folder.root, folder.class_names
        faults += empty_faults(path, chain.from_iterable(one.empty for one in unseen), classes)
        notes += hidden_note(path, chain.from_iterable(one.hidden for one in unseen), classes)
    return _Seen({value: frozenset(names) for value, names in photos.items()}, pixels, tuple(faults), tuple(notes))


def _unseen(folder: Folder, name: str, label: Label) -> list[Unseen]:
    """Return the annotations of a photo that are not visible in its label map, for data with a COCO json."""
    if folder.contents.annotated is None:
        return []
    from fssbench.datasets.folder.objects import unseen_in

    return [unseen_in(folder.contents.annotated[name], label, folder.photo_path(name))]


def _class(folder: Folder, seen: _Seen, class_id: int) -> tuple[list[Count], list[Fault]]:
    """Return how many photos a class has for evaluation and for training, and the faults of that."""
    name = folder.class_names[class_id]
    counts: list[Count] = []
    faults: list[Fault] = []
    folds = [fold for fold, novel in enumerate(folder.description.folds) if class_id in novel]
    if not seen.pixels.get(class_id) and not seen.faults:
        remedy = "label some pixels of it, or take it out of [classes]"
        if seen.pixels.get(IGNORE) and set(seen.pixels) <= {0, IGNORE}:
            remedy += f"; {IGNORE}, the only value here, is ignored: black and white masks belong in masks/CLASS/"
        faults.append(Fault(f"no mask has a pixel of class '{name}' ({class_id})", remedy))
    for fold in folds:
        number = len(seen.photos[class_id] & set(folder.split_names("val")))
        shots = f"up to {number - 1}-shot" if number > 1 else "too few for an episode"
        counts.append(Count(f"fold {fold}: {name}", number, same=number > 1, note=shots))
        if number == 1 and not seen.faults:
            least = folder.description.min_pixels
            faults.append(
                Fault(
                    f"class '{name}' ({class_id}) has only 1 photo for evaluation"
                    + (f" with {least} pixels of it" if least > 1 else ""),
                    "label 2 photos or more, K + 1 for K shots; or leave the class out with --skip-short-classes",
                )
            )
    if folder.files.val is not None or not folds:
        number = len(seen.photos[class_id] & set(folder.split_names("train")))
        counts.append(Count(f"for training: {name}", number))
    return counts, faults


def _paired(contents: Contents) -> Contents:
    """Return the contents without photos that have no mask, so that the rest can be checked."""
    files = contents.files
    if contents.annotated is not None:
        whole = set(contents.annotated)
    else:
        whole = {name for found in files.masks.values() for name in found}
    photos = {name: path for name, path in files.photos.items() if name in whole}
    return replace(contents, files=replace(files, photos=photos), faults=())


def _photo_faults(photos: Mapping[str, Path], *, decode: bool) -> Iterator[Fault]:
    for path in tracked(list(photos.values()), "reading the photos", "photos"):
        try:
            if decode:
                read_photo(path)
            else:
                size_of(path)
        except FSSBenchError as error:
            yield Fault(error.message, _PHOTO)


def _turned_note(contents: Contents) -> list[str]:
    note = turned_note(contents.files.photos.values())
    if note is None:
        return []
    if contents.description is not None and contents.description.exif == "stored":
        return [f"{note}; they are read as stored, and it can't be checked whether masks fit the upright photos"]
    return [
        f"{note}; they are read upright, and it can't be checked whether masks fit the stored photos: "
        'exif = "stored" in dataset.toml reads photos as stored'
    ]


def _values(contents: Contents) -> list[int]:
    """Return the label values in the readable indexed masks."""
    found: set[int] = set()
    for path in contents.files.masks.get("", {}).values():
        try:
            found.update(np.unique(read_values(path, path.read_bytes(), size_of(path))).tolist())
        except (FSSBenchError, OSError):
            continue
    return sorted(found - {0, IGNORE})
