"""Facts about the lists of COCO-20i: classes, folds, names, counts and hashes of HSNet's release."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from fssbench.errors import UsageError

ListSplit = Literal["val", "train"]
LIST_SPLITS: tuple[ListSplit, ...] = ("val", "train")
FOLDS = 4

ClassLists = dict[int, list[int]]
"""Label value 1..80 -> image ids in list order."""


@dataclass(frozen=True)
class Facts:
    """The content of facts.toml.

    Attributes:
        classes: Names of the label values 1..80.
        category_ids: COCO's category id of each class.
        images: Number of images, by split.
        entries: Number of entries of the four lists, by split.
        sha256: Hashes of the four lists in order, by split.
        sha256_sorted: Hashes of the four sorted lists, by split.
        image_list: Number of images in PFENet's list of the val split.
        image_list_sha256: Hash of the names in that list, in order.
    """

    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    images: Mapping[ListSplit, int]
    entries: Mapping[ListSplit, tuple[int, ...]]
    sha256: Mapping[ListSplit, tuple[str, ...]]
    sha256_sorted: Mapping[ListSplit, tuple[str, ...]]
    image_list: int
    image_list_sha256: str


@cache
def facts() -> Facts:
    """Read facts.toml."""
    with (Path(__file__).parent / "facts.toml").open("rb") as file:
        raw = tomllib.load(file)
    official = raw["official"]
    return Facts(
        classes=tuple(raw["classes"]),
        category_ids=tuple(raw["category_ids"]),
        images=official["images"],
        entries={split: tuple(official[split]["entries"]) for split in LIST_SPLITS},
        sha256={split: tuple(official[split]["sha256"]) for split in LIST_SPLITS},
        sha256_sorted={split: tuple(official[split]["sha256_sorted"]) for split in LIST_SPLITS},
        image_list=official["image_list"],
        image_list_sha256=official["image_list_sha256"],
    )


def image_name(split: ListSplit, image_id: int) -> str:
    """Return the name of an image in HSNet's lists: the path of the photo in COCO2014."""
    return f"{split}2014/COCO_{split}2014_{image_id:012d}.jpg"


def split_and_id(name: str) -> tuple[ListSplit, int]:
    """Return split and image id of a name such as "val2014/COCO_val2014_000000000139.jpg".

    Raises:
        UsageError: If it is not such a name.
    """
    split: ListSplit = "val" if name.startswith("val") else "train"
    digits = name.removesuffix(".jpg")[-12:]
    if not (digits.isascii() and digits.isdecimal()) or name != image_name(split, int(digits)):
        raise UsageError(f"'{name}' is not an image name of coco20i, such as {image_name('val', 139)}")
    return split, int(digits)


def fold_classes(fold: int, split: ListSplit) -> tuple[int, ...]:
    """Return the label values of a list: k % 4 == fold for val, the others for train, with k counted from 0."""
    return tuple(k + 1 for k in range(80) if (k % FOLDS == fold) == (split == "val"))


def list_lines(split: ListSplit, fold: int, lists: Mapping[int, list[int]]) -> list[str]:
    """Return the lines `NAME K` of the list of a fold, which the official hashes are computed from."""
    return [f"{image_name(split, i)} {c - 1}" for c in fold_classes(fold, split) for i in lists.get(c, [])]


def hash_of(lines: list[str]) -> str:
    """Return the hex sha256 of lines joined by newlines."""
    return hashlib.sha256("\n".join(lines).encode("ascii")).hexdigest()


def is_official(split: ListSplit, lists: Mapping[int, list[int]]) -> bool:
    """Return whether lists are HSNet's, line by line."""
    return all(hash_of(list_lines(split, f, lists)) == facts().sha256[split][f] for f in range(FOLDS))
