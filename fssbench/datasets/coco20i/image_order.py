"""The order of COCO-20i's val images in PFENet's family, from the file val_data_list.txt of one of its releases.

Its samplers run through all images of val2014 with an object, in an order that follows no known rule. HSNet's lists
have the same order within each class, which does not define the order of images of different classes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from fssbench.datasets.coco20i import facts as coco_facts
from fssbench.datasets.release_lists import ImageOrder
from fssbench.datasets.splits import stored as imported
from fssbench.errors import BrokenFileError
from fssbench.files import file_size, without_mark

FILE = "val_data_list.txt"
MAX_BYTES = 64 << 20
"""Larger files are refused; the releases' files have 4 MB."""

_STORED = "coco20i-images"
_KEY = "images"


def read_image_list(path: Path) -> list[int]:
    """Return the image ids in a file with a line `PHOTO LABEL` for each image; see `parse_image_list`."""
    try:
        file_size(path)
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BrokenFileError(f"can't read {path}: {error}") from error
    return parse_image_list(raw, path)


def parse_image_list(raw: bytes, path: Path) -> list[int]:
    """Return the image ids of a list with a line `PHOTO LABEL` for each image.

    Args:
        raw: The content of the file.
        path: The file, for messages.

    Raises:
        BrokenFileError: If a line is not an image of val2014, or an image is listed twice.
    """
    if len(raw) > MAX_BYTES:
        raise BrokenFileError(f"{path} is too large for a list of images")
    try:
        lines = without_mark(raw).decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        raise BrokenFileError(f"can't read {path}: {error}") from error
    ids = [_image_id(line, number, path) for number, line in enumerate(lines, 1)]
    if not ids or len(set(ids)) < len(ids):
        raise BrokenFileError(f"{path} lists {'an image twice' if ids else 'no image'}")
    return ids


def _image_id(line: str, number: int, path: Path) -> int:
    match = re.search(r"COCO_val2014_([0-9]{12})\.jpg(?:\s|$)", line)
    if match is None:
        raise BrokenFileError(f"{path}, line {number} does not name a photo COCO_val2014_*.jpg")
    return int(match[1])


def store_image_list(ids: Sequence[int]) -> Path:
    """Store the order of the val images, and return the path of the file.

    Raises:
        UsageError: If the user's data folder can't be written.
    """
    return imported.store(_STORED, "val", {_KEY: list(ids)})


def is_official(ids: Sequence[int]) -> bool:
    """Return whether the order is that of PFENet's family."""
    return coco_facts.hash_of([coco_facts.image_name("val", i) for i in ids]) == coco_facts.facts().image_list_sha256


def image_order() -> ImageOrder | None:
    """Return the imported order of the val images; None if it was not imported.

    Raises:
        BrokenFileError: If the file is damaged.
    """
    stored = imported.load(_STORED, "val")
    if stored is None:
        return None
    if stored.keys() != {_KEY} or not all(isinstance(i, int) for i in stored[_KEY]):
        raise BrokenFileError(
            f"{imported.path_of(_STORED, 'val')} does not have image ids",
            "fssbench data import-splits coco20i --from DIR",
        )
    ids = cast("list[int]", stored[_KEY])
    origin = "official (PFENet)" if is_official(ids) else "imported (not PFENet's)"
    return ImageOrder(origin, tuple(coco_facts.image_name("val", i) for i in ids))
