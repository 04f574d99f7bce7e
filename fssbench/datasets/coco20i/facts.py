"""What is known of COCO-20i's lists: classes, folds, names, counts and hashes of HSNet's release."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

Side = Literal["val", "train"]
SIDES: tuple[Side, ...] = ("val", "train")
FOLDS = 4

ClassLists = dict[int, list[int]]
"""Label value 1..80 -> image ids in list order."""


@dataclass(frozen=True)
class Facts:
    """What coco20i.toml says.

    Attributes:
        classes: Names of the label values 1..80.
        category_ids: COCO's category id of each.
        images: Images per side.
        entries: Per side, entries of the four lists.
        sha256: Per side, hashes of the four lists in order.
        sha256_sorted: Per side, hashes of the four lists sorted.
        image_list: Images in PFENet's list of the val side.
        image_list_sha256: Hash of their names in its order.
    """

    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    images: Mapping[Side, int]
    entries: Mapping[Side, tuple[int, ...]]
    sha256: Mapping[Side, tuple[str, ...]]
    sha256_sorted: Mapping[Side, tuple[str, ...]]
    image_list: int
    image_list_sha256: str


@cache
def facts() -> Facts:
    """Return the facts of coco20i.toml."""
    with (Path(__file__).parent / "facts.toml").open("rb") as file:
        raw = tomllib.load(file)
    official = raw["official"]
    return Facts(
        classes=tuple(raw["classes"]),
        category_ids=tuple(raw["category_ids"]),
        images=official["images"],
        entries={side: tuple(official[side]["entries"]) for side in SIDES},
        sha256={side: tuple(official[side]["sha256"]) for side in SIDES},
        sha256_sorted={side: tuple(official[side]["sha256_sorted"]) for side in SIDES},
        image_list=official["image_list"],
        image_list_sha256=official["image_list_sha256"],
    )


def image_name(side: Side, image_id: int) -> str:
    """Return the name that HSNet's lists have for an image: its photo's path in COCO2014."""
    return f"{side}2014/COCO_{side}2014_{image_id:012d}.jpg"


def fold_classes(fold: int, side: Side) -> tuple[int, ...]:
    """Return the label values of a list: k % 4 == fold for val, the others for train, with k counted from 0."""
    return tuple(k + 1 for k in range(80) if (k % FOLDS == fold) == (side == "val"))


def list_lines(side: Side, fold: int, lists: Mapping[int, list[int]]) -> list[str]:
    """Return the lines `NAME K` of one fold's list that the official hashes are taken over."""
    return [f"{image_name(side, i)} {c - 1}" for c in fold_classes(fold, side) for i in lists.get(c, [])]


def hash_of(lines: list[str]) -> str:
    """Return the hex sha256 of lines joined by newlines."""
    return hashlib.sha256("\n".join(lines).encode("ascii")).hexdigest()


def is_official(side: Side, lists: Mapping[int, list[int]]) -> bool:
    """Say whether lists are HSNet's, line for line."""
    return all(hash_of(list_lines(side, f, lists)) == facts().sha256[side][f] for f in range(FOLDS))
