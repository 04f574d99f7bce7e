"""PACO-Part as Matcher prepared it (Liu et al., ICLR 2024): parts of objects in photos of COCO 2017, in four folds.

An image is one object, cropped to its box; its label map has the parts of one category. Fold i has every fourth
category of the prepared training file, as far as val has more than K images of it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from fssbench.datasets.dataset import Image, Label
from fssbench.datasets.io.images import read_photo, size_of
from fssbench.datasets.io.index_cache import cached_index, frame_of, key_of
from fssbench.datasets.objects.dataset import ValOnly, drawable_of, images_of
from fssbench.datasets.objects.masks import CANVAS, CompressedMask, Mask, union_on
from fssbench.datasets.pacopart.files import TRAIN, VAL, ObjectParts, Photos, read_order, read_photos
from fssbench.datasets.release_lists import ObjectLists, PhotoObjects
from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.progress import tracked

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Facts:
    """The content of facts.toml.

    Attributes:
        categories: Number of categories in the training file.
        classes_1_shot: Number of classes of each fold for one shot.
    """

    categories: int
    classes_1_shot: tuple[int, ...]


@cache
def facts() -> Facts:
    """Read facts.toml."""
    with (Path(__file__).parent / "facts.toml").open("rb") as file:
        raw = tomllib.load(file)
    return Facts(raw["categories"], tuple(raw["classes_1_shot"]))


class PacoPart(ValOnly):
    """PACO-Part/paco with the prepared files, and the photos of COCO 2017 in PACO-Part/coco/train2017 and val2017.

    The name of an image is "FOLDER/PHOTO.jpg/OBJECT/CATEGORY" with the ids of PACO. The label value of a category is
    its place in the training file, from 1.

    Args:
        root: The folder PACO-Part.
        shots: The number of shots K that the folds are for.
    """

    name = "pacopart"
    absence_unknown = "each of its label maps has one category alone, whatever else is in the photo"

    def __init__(self, root: Path, shots: int = 1, content: Mapping[int, Photos] | None = None) -> None:
        self.root = root
        self.shots = shots
        self._content = content
        for file in (TRAIN, VAL):
            if not (root / "paco" / file).is_file():
                raise MissingError(
                    f"{root / 'paco'} has no {file} of PACO-Part",
                    f"fssbench data fetch {self.name} --root DIR says what to get and where to put it",
                )

    def for_shots(self, shots: int) -> PacoPart:
        """Return the data set with the classes that have enough images for K shots."""
        return self if shots == self.shots else PacoPart(self.root, shots, self.photos)

    @property
    def rule(self) -> str:
        """What the label maps and folds are made by."""
        return f"all parts of a category of one object in its box; categories with more than {self.shots} images"

    @property
    def list_order(self) -> str:
        """The order of the prepared files."""
        return f"{VAL} (Matcher)"

    @property
    def photos(self) -> Mapping[int, Photos]:
        """The photos and objects by category; read when they are first needed."""
        if self._content is None:
            self._content = read_photos(self._file(VAL), self.remedy)
        return self._content

    @cached_property
    def categories(self) -> Mapping[int, int]:
        """The PACO category of each label value, in the order of the training file."""
        path = self._file(TRAIN)

        def read() -> pd.DataFrame:
            return frame_of([(VAL, category) for category in read_order(path, self.remedy)], ("name", "category"))

        # The training file is large, and only its order is needed.
        frame = cached_index(f"{self.name}-categories", key_of([path], self.name, "categories"), read, self.root)
        return dict(enumerate(map(int, frame["category"]), 1))

    @property
    def class_names(self) -> Mapping[int, str]:
        """The classes; the files have no names, so they are "PACO category N"."""
        return {class_id: f"PACO category {category}" for class_id, category in self.categories.items()}

    @cached_property
    def folds(self) -> tuple[tuple[int, ...], ...]:
        """Fold i has the i-th of each four categories, as far as they have more than K images in val."""
        whole = len(self.categories) // self.fold_count * self.fold_count
        return tuple(
            tuple(
                class_id
                for class_id in range(fold + 1, whole + 1, self.fold_count)
                if len(self.photos.get(self.categories[class_id], ())) > self.shots
            )
            for fold in range(self.fold_count)
        )

    def listed(self, fold: int) -> Iterator[tuple[str, int]]:
        """Yield the objects of each class whose box is not empty, photo by photo in the order of the file."""
        return images_of(self.object_choices(fold))

    def drawn_from(self, fold: int) -> Iterator[tuple[str, int]]:
        """Yield every object that can be drawn, with "-" for one whose box is empty."""
        return drawable_of(self.object_choices(fold))

    def object_choices(self, fold: int) -> ObjectLists:
        """Return the photos of each class and the objects in them; None for an object whose box is empty."""
        return ObjectLists(
            {
                class_id: tuple(
                    PhotoObjects(photo, tuple(self._image_name(photo, n, one, class_id) for n, one in objects.items()))
                    for photo, objects in self.photos[self.categories[class_id]].items()
                )
                for class_id in self.folds[self.check_fold(fold)]
            }
        )

    def label(self, name: str) -> Label:
        """Return uint16 (H, W): the label value of the category where the object has parts of it, else 0."""
        one, class_id = self._find(name)
        mask = self._cropped(one, size_of(self.photo_path(name), self.remedy), name)
        if not mask.size:
            raise BrokenFileError(f"{self._file(VAL)}: the box of {name} is empty", self.remedy)
        return np.where(mask, np.uint16(class_id), np.uint16(0))

    def image(self, name: str) -> Image:
        """Return the photo, cropped to the box of the object."""
        one, _ = self._find(name)
        cropped = cast("Image", one.box.crop(read_photo(self.photo_path(name), self.remedy)))
        if not cropped.size:
            raise BrokenFileError(f"{self._file(VAL)}: the box of {name} is empty or outside the photo", self.remedy)
        return np.ascontiguousarray(cropped)

    def photo_path(self, name: str) -> Path:
        """Return coco/FOLDER/PHOTO.jpg."""
        self._find(name)
        return self.root / "coco" / name.rsplit("/", 2)[0]

    def _file(self, name: str) -> Path:
        return self.root / "paco" / name

    def _image_name(self, photo: str, number: int, one: ObjectParts, class_id: int) -> str | None:
        return None if one.box.empty else f"{photo}/{number}/{self.categories[class_id]}"

    @cached_property
    def _class_ids(self) -> dict[int, int]:
        return {category: class_id for class_id, category in self.categories.items()}

    def _find(self, name: str) -> tuple[ObjectParts, int]:
        """Return the object of an image, and its label value."""
        photo, *numbers = name.rsplit("/", 2)
        known = len(numbers) == 2 and all(number.isascii() and number.isdecimal() for number in numbers)
        number, category = (int(one[:18]) for one in numbers) if known else (-1, -1)
        one = self.photos.get(category, {}).get(photo, {}).get(number)
        if one is None or category not in self._class_ids:
            raise UsageError(f"'{name}' is not an image name of {self.name}", self.check_command)
        return one, self._class_ids[category]

    def _cropped(self, one: ObjectParts, size: tuple[int, int], name: str) -> Mask:
        return cast("Mask", one.box.crop(union_on(one.masks, size, f"{self._file(VAL)}: {name}", self.remedy)))

    @cached_property
    def _index(self) -> pd.DataFrame:
        key = key_of([self._file(TRAIN), self._file(VAL)], self.name, "parts in the boxes of objects")
        return cached_index(self.name, key, self._read, self.root)

    def _read(self) -> pd.DataFrame:
        rows: list[tuple[str | int, ...]] = []
        for class_id, category in tracked(list(self.categories.items()), "reading the parts", "classes"):
            for photo, objects in self.photos.get(category, {}).items():
                for number, one in objects.items():
                    name = self._image_name(photo, number, one, class_id)
                    if name is None:
                        continue
                    # Run lengths have the size of the photo, outlines have none.
                    size = next((mask.size for mask in one.masks if isinstance(mask, CompressedMask)), CANVAS)
                    if pixels := int(self._cropped(one, size, name).sum()):
                        rows.append((name, class_id, pixels))
        return frame_of(rows)
