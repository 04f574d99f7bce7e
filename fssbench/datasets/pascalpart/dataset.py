"""PASCAL-Part as Matcher prepared it (Liu et al., ICLR 2024): 56 parts of objects, in four folds by the kind of object.

An image is one object, cropped to its box from a photo of VOC 2010; its label map has one part of it. The release draws
a photo from the list of a part, then one of the objects in it, and the photo again if that object lacks the part.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from fssbench.datasets.dataset import Image, Label
from fssbench.datasets.io.images import read_photo
from fssbench.datasets.io.index_cache import cached_index, frame_of, key_of
from fssbench.datasets.objects.dataset import ValOnly, drawable_of, images_of
from fssbench.datasets.objects.masks import union
from fssbench.datasets.pascalpart.files import (
    ANNOTATIONS,
    LISTS,
    PHOTOS,
    AnnotatedObject,
    PartLists,
    read_lists,
    read_objects,
)
from fssbench.datasets.release_lists import ObjectLists, PhotoObjects
from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.progress import tracked

if TYPE_CHECKING:
    import pandas as pd

NO_PART = -1
"""The number of pixels of a part that an object does not have."""


@dataclass(frozen=True)
class Facts:
    """The content of facts.toml.

    Attributes:
        folds: The category of each fold.
        left_out: Parts that are no class.
        classes: Number of classes of each fold.
        episodes: Number of episodes of each fold in the release.
    """

    folds: tuple[str, ...]
    left_out: tuple[str, ...]
    classes: tuple[int, ...]
    episodes: tuple[int, ...]


@cache
def facts() -> Facts:
    """Read facts.toml."""
    with (Path(__file__).parent / "facts.toml").open("rb") as file:
        return Facts(**{name: tuple(values) for name, values in tomllib.load(file).items()})


@dataclass(frozen=True)
class PartClass:
    """A class: a part of an object, with the fold it is in and the photos that show it."""

    fold: int
    object: str
    part: str
    photos: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name as the release writes it, e.g. "cow+HEAD"."""
        return f"{self.object}+{self.part}"


class PascalPart(ValOnly):
    """Pascal-Part/VOCdevkit/VOC2010 with JPEGImages and the prepared annotations; that folder itself will do, too.

    The name of an image is "PHOTO/N/OBJECT+PART": object N (from 0) of the photo's annotations, and the part that its
    label map has.
    """

    name = "pascalpart"
    exact_index = True
    absence_unknown = "each of its label maps has one category alone, whatever else is in the photo"

    def __init__(self, root: Path) -> None:
        self.root = root
        inner = root / "VOCdevkit" / "VOC2010"
        self.base = inner if inner.is_dir() else root
        if not (self.base / LISTS).is_file():
            raise MissingError(
                f"{self.base} has no {LISTS} of PASCAL-Part",
                f"fssbench data fetch {self.name} --root DIR says what to get and where to put it",
            )
        self._objects = lru_cache(maxsize=64)(self._read_objects)

    @property
    def rule(self) -> str:
        """What the label maps and folds are made by."""
        return "all masks of the part of one object, cropped to its box; folds by category"

    @property
    def list_order(self) -> str:
        """The order of the prepared lists."""
        return f"{LISTS} (Matcher)"

    @cached_property
    def classes(self) -> Mapping[int, PartClass]:
        """The classes by label value: those of fold 0 in the order of the file, then those of fold 1, ..."""
        found: list[PartClass] = []
        for fold, (category, lists) in enumerate(self._categories.items()):
            for (name, part), photos in lists.items():
                if photos.train and photos.val and f"{name}+{part}" not in facts().left_out:
                    found.append(PartClass(fold, name, part, tuple(photos.val)))
            if not any(one.fold == fold for one in found):
                raise BrokenFileError(f"{self.base / LISTS} has no part of {category} in train and val", self.remedy)
        return dict(enumerate(found, 1))

    @property
    def class_names(self) -> Mapping[int, str]:
        """The names of the classes, OBJECT+PART."""
        return {class_id: one.name for class_id, one in self.classes.items()}

    @cached_property
    def folds(self) -> tuple[tuple[int, ...], ...]:
        """The classes of animals, of indoor objects, of persons and of vehicles."""
        return tuple(tuple(c for c, one in self.classes.items() if one.fold == fold) for fold in range(self.fold_count))

    def listed(self, fold: int) -> Iterator[tuple[str, int]]:
        """Yield the objects with each part, photo by photo in the order of the lists."""
        return images_of(self.object_choices(fold))

    def drawn_from(self, fold: int) -> Iterator[tuple[str, int]]:
        """Yield every object that can be drawn, with "-" for one that lacks the part."""
        return drawable_of(self.object_choices(fold))

    def object_choices(self, fold: int) -> ObjectLists:
        """Return for each class its photos and the objects in them; as many episodes as the lists have entries."""
        return ObjectLists(self._choices(fold), self.entry_count(fold))

    def entry_count(self, fold: int) -> int:
        """Return the number of entries of a fold's lists of val, also of parts that are no class."""
        lists = self._categories[facts().folds[self.check_fold(fold)]]
        return sum(len(one.val) for one in lists.values())

    def label(self, name: str) -> Label:
        """Return the label map of an object: uint8 (H, W), the class where its part is, else 0."""
        photo, place, class_id = self._parse(name)
        mask = self._mask(photo, place, self.classes[class_id])
        if mask is None:
            raise UsageError(f"object {place} of {photo} has no part {self.classes[class_id].name}", self.check_command)
        if not mask.size:
            raise BrokenFileError(f"the box of object {place} of {photo} is empty", self.remedy)
        return np.where(mask, np.uint8(class_id), np.uint8(0))

    def image(self, name: str) -> Image:
        """Return the photo, cropped to the box of the object."""
        photo, place, _ = self._parse(name)
        whole = read_photo(self.photo_path(name), self.remedy)
        cropped = cast("Image", self._object(photo, place).box.crop(whole))
        if not cropped.size:
            raise BrokenFileError(f"the box of object {place} of {photo} is outside the photo", self.remedy)
        return np.ascontiguousarray(cropped)

    def photo_path(self, name: str) -> Path:
        """Return JPEGImages/PHOTO.jpg."""
        return self.base / PHOTOS / f"{self._parse(name)[0]}.jpg"

    def annotation_path(self, photo: str) -> Path:
        """Return the file with the objects and parts of a photo."""
        return self.base / ANNOTATIONS / f"{photo}.json"

    @cached_property
    def _categories(self) -> dict[str, dict[tuple[str, str], PartLists]]:
        found = read_lists(self.base / LISTS, self.remedy)
        for category in facts().folds:
            if category not in found:
                raise BrokenFileError(f"{self.base / LISTS} has no category {category}", self.remedy)
        return {category: found[category] for category in facts().folds}

    @cached_property
    def _class_ids(self) -> dict[str, int]:
        return {one.name: class_id for class_id, one in self.classes.items()}

    def _parse(self, name: str) -> tuple[str, int, int]:
        photo, _, rest = name.partition("/")
        place, _, part = rest.partition("/")
        class_id = self._class_ids.get(part)
        if class_id is None or not place.isdecimal() or photo not in self.classes[class_id].photos:
            raise UsageError(f"'{name}' is not an image name of {self.name}", self.check_command)
        return photo, int(place), class_id

    def _read_objects(self, photo: str) -> list[AnnotatedObject]:
        return read_objects(self.annotation_path(photo), self.remedy)

    def _object(self, photo: str, place: int) -> AnnotatedObject:
        objects = self._objects(photo)
        if place >= len(objects):
            raise UsageError(f"{photo} has {len(objects)} objects, not {place + 1}", self.check_command)
        return objects[place]

    def _mask(
        self, photo: str, place: int, part_class: PartClass
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]] | None:
        """Return the mask of a part in the box of its object; None if the object lacks it."""
        one = self._object(photo, place)
        masks = [mask for part in one.parts if part.name == part_class.part for mask in part.mask]
        if not any(part.name == part_class.part for part in one.parts):
            return None
        where = f"{self.annotation_path(photo)}: {part_class.name} of object {place}"
        return cast("np.ndarray[tuple[int, ...], np.dtype[np.bool_]]", one.box.crop(union(masks, where, self.remedy)))

    @cached_property
    def _frame(self) -> pd.DataFrame:
        """A row per photo, object and class: `name` (of the photo), `object`, `class_id`, `pixels`."""
        photos = dict.fromkeys(photo for one in self.classes.values() for photo in one.photos)
        files = [self.base / LISTS, *map(self.annotation_path, photos)]
        if missing := next((path for path in files if not path.is_file()), None):
            raise MissingError(f"there is no file {missing}", self.remedy)
        return cached_index(
            self.name, key_of(files, self.name, self.rule), lambda: self._read(tuple(photos)), self.root
        )

    def _read(self, photos: tuple[str, ...]) -> pd.DataFrame:
        shown: dict[str, list[int]] = {photo: [] for photo in photos}
        for class_id, part_class in self.classes.items():
            for photo in dict.fromkeys(part_class.photos):
                shown[photo].append(class_id)
        rows: list[tuple[str | int, ...]] = []
        for photo in tracked(photos, "reading the parts", "photos"):
            objects = self._objects(photo)
            for class_id in shown[photo]:
                for place, one in enumerate(objects):
                    if one.name == self.classes[class_id].object:
                        mask = self._mask(photo, place, self.classes[class_id])
                        rows.append((photo, place, class_id, NO_PART if mask is None else int(mask.sum())))
        return frame_of(rows, ("name", "object", "class_id", "pixels"))

    @cached_property
    def _index(self) -> pd.DataFrame:
        frame = self._frame[self._frame["pixels"] > 0]
        rows = [
            (self._image_name(photo, place, class_id), class_id, pixels)
            for photo, place, class_id, pixels in frame.itertuples(index=False)
        ]
        return frame_of(rows)

    def _image_name(self, photo: str, place: int, class_id: int) -> str:
        return f"{photo}/{place}/{self.classes[class_id].name}"

    @cached_property
    def _images(self) -> dict[tuple[str, int], list[str | None]]:
        """The image of each object, by photo and class, in the order of the photo's annotations; None without part."""
        found: dict[tuple[str, int], list[str | None]] = {}
        for photo, place, class_id, pixels in self._frame.itertuples(index=False):
            name = None if pixels == NO_PART else self._image_name(photo, place, class_id)
            found.setdefault((photo, int(class_id)), []).append(name)
        return found

    def _choices(self, fold: int) -> dict[int, tuple[PhotoObjects, ...]]:
        return {
            c: tuple(PhotoObjects(photo, tuple(self._images.get((photo, c), ()))) for photo in self.classes[c].photos)
            for c in self.folds[fold]
        }
