"""LVIS-92i (Liu et al., ICLR 2024): the categories of LVIS with more than K images in val, in ten folds.

The lists and masks are those of `lvis_val.pkl`, which Matcher prepared; its order decides folds and draws. A class
with no more images than shots is in no fold, so there are 92 classes a fold for one shot and 68 for five.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from fssbench.datasets.dataset import Image, Label
from fssbench.datasets.io.images import read_photo, size_of
from fssbench.datasets.io.index_cache import cached_index, frame_of, key_of
from fssbench.datasets.io.pickled_annotations import read_annotations
from fssbench.datasets.objects.dataset import ValOnly
from fssbench.datasets.objects.masks import CANVAS, CompressedMask, Segmentation, segmentation_of, union_on
from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.progress import tracked

if TYPE_CHECKING:
    import pandas as pd

LISTS = "lvis_val.pkl"

Masks = Mapping[str, tuple[Segmentation, ...]]
"""The masks of a class in each photo, in the order of the file."""


@cache
def official_classes() -> Mapping[int, int]:
    """Return the number of classes a fold in the release, by number of shots."""
    with (Path(__file__).parent / "facts.toml").open("rb") as file:
        return {int(shots): count for shots, count in tomllib.load(file)["classes"].items()}


class Lvis92i(ValOnly):
    """LVIS/lvis_val.pkl and the photos of COCO 2017 in LVIS/coco/train2017 and val2017.

    The name of an image is "FOLDER/PHOTO.jpg/CATEGORY" with the id of LVIS: its label map has that category alone, as
    objects of different categories overlap. The label value of a category is its place in the file, from 1.

    Args:
        root: The folder LVIS.
        shots: The number of shots K that the folds are for.
    """

    name = "lvis92i"
    absence_unknown = "each of its label maps has one category alone, whatever else is in the photo"

    def __init__(self, root: Path, shots: int = 1, content: Mapping[int, Masks] | None = None) -> None:
        self.root = root
        self.shots = shots
        self._content = content
        if not (root / LISTS).is_file():
            raise MissingError(
                f"{root} has no {LISTS} of LVIS-92i",
                f"fssbench data fetch {self.name} --root DIR says what to get and where to put it",
            )

    def for_shots(self, shots: int) -> Lvis92i:
        """Return the data set with the folds for K shots."""
        return self if shots == self.shots else Lvis92i(self.root, shots, self.masks)

    @property
    def rule(self) -> str:
        """What the label maps and folds are made by."""
        return (
            f"all masks of a category, outlines by pycocotools; every tenth category with more than {self.shots} images"
        )

    @property
    def list_order(self) -> str:
        """The order of the prepared file."""
        return f"{LISTS} (Matcher)"

    @property
    def masks(self) -> Mapping[int, Masks]:
        """The masks by LVIS category and photo, in the order of the file; read when they are first needed."""
        if self._content is None:
            self._content = read_masks(self.root / LISTS, self.remedy)
        return self._content

    @cached_property
    def categories(self) -> Mapping[int, int]:
        """The LVIS category of each label value."""
        return dict(enumerate(self.masks, 1))

    @property
    def class_names(self) -> Mapping[int, str]:
        """The classes; the file has no names, so they are "LVIS category N"."""
        return {class_id: f"LVIS category {category}" for class_id, category in self.categories.items()}

    @cached_property
    def folds(self) -> tuple[tuple[int, ...], ...]:
        """Fold i has the i-th of each ten classes with more than K images; what is left after whole tens is in none."""
        kept = [class_id for class_id, category in self.categories.items() if len(self.masks[category]) > self.shots]
        whole = len(kept) // self.fold_count * self.fold_count
        return tuple(tuple(kept[fold : whole : self.fold_count]) for fold in range(self.fold_count))

    def listed(self, fold: int) -> Iterator[tuple[str, int]]:
        """Yield the photos of each class, in the order of the file."""
        for class_id in self.folds[fold]:
            category = self.categories[class_id]
            yield from ((f"{photo}/{category}", class_id) for photo in self.masks[category])

    def label(self, name: str) -> Label:
        """Return uint16 (H, W): the label value of the category where any of its masks is, else 0."""
        photo, category = self._parse(name)
        size = size_of(self.photo_path(name), self.remedy)
        mask = union_on(self.masks[category][photo], size, f"{self.root / LISTS}: {name}", self.remedy)
        return np.where(mask, np.uint16(self._class_ids[category]), np.uint16(0))

    def image(self, name: str) -> Image:
        """Return the photo."""
        return read_photo(self.photo_path(name), self.remedy)

    def photo_path(self, name: str) -> Path:
        """Return coco/FOLDER/PHOTO.jpg."""
        return self.root / "coco" / self._parse(name)[0]

    def image_size(self, name: str) -> tuple[int, int]:
        """Return (height, width) from the header of the photo."""
        return size_of(self.photo_path(name), self.remedy)

    @cached_property
    def _class_ids(self) -> dict[int, int]:
        return {category: class_id for class_id, category in self.categories.items()}

    def _parse(self, name: str) -> tuple[str, int]:
        photo, _, category = name.rpartition("/")
        if not re.fullmatch("[0-9]{1,6}", category) or photo not in self.masks.get(int(category), {}):
            raise UsageError(f"'{name}' is not an image name of {self.name}", self.check_command)
        return photo, int(category)

    @cached_property
    def _index(self) -> pd.DataFrame:
        key = key_of([self.root / LISTS], self.name, "outlines by pycocotools")
        return cached_index(self.name, key, self._read, self.root)

    def _read(self) -> pd.DataFrame:
        rows: list[tuple[str | int, ...]] = []
        for class_id, category in tracked(list(self.categories.items()), "reading the masks", "classes"):
            for photo, masks in self.masks[category].items():
                name = f"{photo}/{category}"
                # Run lengths have the size of the photo, outlines have none.
                size = next((one.size for one in masks if isinstance(one, CompressedMask)), CANVAS)
                pixels = int(union_on(masks, size, f"{self.root / LISTS}: {name}", self.remedy).sum())
                if pixels:
                    rows.append((name, class_id, pixels))
        return frame_of(rows)


def read_masks(path: Path, remedy: str) -> dict[int, Masks]:
    """Read {category: {photo: {"annotations": [{"segmentation": ...}]}}}, in the order of the file.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it is not such a pickle.
    """
    content = read_annotations(path, remedy)
    if not isinstance(content, dict):
        raise BrokenFileError(f"{path} is not a dict of categories", remedy)
    found: dict[int, Masks] = {}
    for category, photos in content.items():
        if type(category) is not int or not 0 <= category < 10**6 or not isinstance(photos, dict):
            raise BrokenFileError(f"{path} has something else than photos under the ids of categories", remedy)
        masks: dict[str, tuple[Segmentation, ...]] = {}
        for photo, entry in photos.items():
            if not isinstance(photo, str) or not re.fullmatch(r"(?:train|val)2017/[0-9]{12}\.jpg", photo):
                raise BrokenFileError(f"{path}: {str(photo)[:60]!r} is not a photo of COCO 2017", remedy)
            try:
                masks[photo] = tuple(segmentation_of(one["segmentation"]) for one in _annotations(entry))
            except (KeyError, TypeError, ValueError) as error:
                raise BrokenFileError(f"{path}: category {category} in {photo}: {error}", remedy) from error
        found[category] = masks
    return found


def _annotations(entry: object) -> list[dict[str, object]]:
    annotations = entry.get("annotations") if isinstance(entry, dict) else None
    if not isinstance(annotations, list) or not annotations or not all(isinstance(one, dict) for one in annotations):
        raise ValueError("there are no annotations")
    return cast("list[dict[str, object]]", annotations)
