"""The prepared files of PACO-Part: the order of the categories, and the parts of the objects in each photo."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fssbench.datasets.io.pickled_annotations import read_annotations
from fssbench.datasets.objects.masks import Box, Segmentation, segmentation_of
from fssbench.errors import BrokenFileError

TRAIN = "paco_part_train.pkl"
VAL = "paco_part_val.pkl"


@dataclass(frozen=True, slots=True)
class ObjectParts:
    """The parts of one class that one object has: the box of the object, and the masks."""

    box: Box
    masks: tuple[Segmentation, ...]


Photos = Mapping[str, Mapping[int, ObjectParts]]
"""For one class the objects of each photo by their ids, photos and objects in the order of the release."""


def read_order(path: Path, remedy: str) -> list[int]:
    """Return the categories in the order of the file.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it is not such a pickle.
    """
    images, _ = _read(path, remedy)
    return list(images)


def read_photos(path: Path, remedy: str) -> dict[int, Photos]:
    """Return the photos of each category; a photo that is listed again is passed over, as in the releases.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it is not such a pickle, or a listed photo has no part of its category.
    """
    images, annotations = _read(path, remedy)
    found: dict[int, Photos] = {}
    for category, listed in images.items():
        photos: dict[str, Mapping[int, ObjectParts]] = {}
        try:
            for number, photo in _listed(listed):
                if photo not in photos:
                    photos[photo] = _objects(annotations.get(number), category)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise BrokenFileError(f"{path}: category {category}: {error}", remedy) from error
        found[category] = photos
    return found


def _read(path: Path, remedy: str) -> tuple[dict[int, object], dict[object, object]]:
    """Return the images by category, and the annotations by image."""
    content = read_annotations(path, remedy)
    parts = [content.get(name) for name in ("cid2img", "img2anno")] if isinstance(content, dict) else []
    if len(parts) != 2 or not isinstance(parts[0], dict) or not isinstance(parts[1], dict):
        raise BrokenFileError(f"{path} has no dicts cid2img and img2anno", remedy)
    if not all(type(category) is int and 0 <= category < 10**6 for category in parts[0]):
        raise BrokenFileError(f"{path} has something else than the ids of categories", remedy)
    return parts[0], parts[1]


def _listed(listed: object) -> Iterator[tuple[int, str]]:
    """Yield id and name of each photo of a list of {id: path}."""
    if not isinstance(listed, list):
        raise TypeError("its photos are no list")
    for one in listed:
        if not isinstance(one, dict) or len(one) != 1:
            raise ValueError("a photo is no pair of id and path")
        ((number, path),) = one.items()
        if type(number) is not int or not isinstance(path, str):
            raise ValueError("a photo has no id and path")
        name = "/".join(PurePosixPath(path).parts[-2:])
        if not re.fullmatch(r"(?:train|val)2017/[0-9]{12}\.jpg", name):
            raise ValueError(f"{path[:60]!r} is not a photo of COCO 2017")
        yield number, name


def _objects(annotations: object, category: int) -> dict[int, ObjectParts]:
    """Return the objects of a photo with parts of a category, by id, in the order of their first annotations."""
    if not isinstance(annotations, list):
        raise TypeError("a photo has no annotations")
    boxes: dict[int, Box] = {}
    masks: dict[int, list[Segmentation]] = {}
    for one in annotations:
        if one["category_id"] != category:
            continue
        number = one["obj_ann_id"]
        if type(number) is not int or number < 0:
            raise ValueError("an object has no id")
        boxes.setdefault(number, _box(one["obj_bbox"]))
        masks.setdefault(number, []).append(segmentation_of(one["segmentation"]))
    if not boxes:
        raise ValueError("a photo has no part of it")
    return {number: ObjectParts(box, tuple(masks[number])) for number, box in boxes.items()}


def _box(edges: object) -> Box:
    """Return the box of [x, y, width, height], its edges cut to whole pixels as in the releases."""
    if not isinstance(edges, list | tuple) or len(edges) != 4:
        raise ValueError("a box is x, y, width, height")
    if not all(type(edge) in (int, float) and math.isfinite(edge) and edge >= 0 for edge in edges):
        raise ValueError("a box has an edge that is not a number from 0 on")
    x, y, width, height = edges
    return Box(int(x), int(y), int(x + width), int(y + height))
