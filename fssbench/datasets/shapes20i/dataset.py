"""shapes-20i: rendered images of 20 classes of things in 4 folds. Nothing is downloaded, nothing is licensed.

A class is a shape with a surface (a gear with rings, a fish with scales); form, colour, size, turn and light vary
within it. Images have one to four objects among blobs of no class on a textured ground, and are drawn from a seed
in integers: the same pixels on every machine. Fold f has the classes 5f + 1 to 5f + 5, as in PASCAL-5i.

`shapes20i-underwater` has the same scenes under water: names, labels, folds and lists are the same, and so are the
episodes. It measures how much a method that was trained above water loses by the domain shift.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from fssbench.datasets.dataset import Dataset, Image, Label, Split
from fssbench.datasets.io.index_cache import cached_index, frame_of
from fssbench.datasets.shapes20i.classes import CLASSES, CLASSES_PER_FOLD
from fssbench.datasets.shapes20i.noise import tiles
from fssbench.datasets.shapes20i.scene import Scene, plan, render, render_label
from fssbench.datasets.shapes20i.shipped_index import FILE, shipped_index, shipped_placed, write
from fssbench.datasets.shapes20i.water import submerge
from fssbench.errors import MissingError, UsageError
from fssbench.progress import tracked

if TYPE_CHECKING:
    import pandas as pd

VERSION = "shapes20i 1"
"""Part of the fingerprint; raised when a pixel changes, and then the index is made anew (`shipped_index`)."""
WATER_VERSION = "under water 1"
"""Part of the fingerprint of the underwater rendering; raised when a pixel changes only there."""
COUNTS: Mapping[Split, int] = {"train": 2000, "val": 400}
"""Images per split."""
MIN_PIXELS = 400
"""Number of pixels of a class (about 1 % of an image) from which an image is listed under it."""

_SEED_LIMIT = 1 << 63
_KEPT = 64
"""Images kept in memory: about 200 kB each."""


@lru_cache(maxsize=_KEPT)
def _rendered(seed: int, split: Split, number: int) -> tuple[Image, Label]:
    return render(_scene(seed, split, number))


@lru_cache(maxsize=_KEPT)
def _submerged(seed: int, split: Split, number: int) -> Image:
    scene = _scene(seed, split, number)
    return submerge(_rendered(seed, split, number)[0], tiles(seed), scene.key)


@lru_cache(maxsize=_KEPT)
def _labelled(seed: int, split: Split, number: int) -> Label:
    return render_label(_scene(seed, split, number))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _scene(seed: int, split: Split, number: int) -> Scene:
    return plan(seed, list(COUNTS).index(split), number - 1, held_out=split == "train")


class Shapes20i(Dataset):
    """The embedded data set: "train_0001" to "train_2000" and "val_0001" to "val_0400".

    A training image has objects of two folds only. The training list of a fold has only images without any object of
    its novel classes, even a hidden one. These are more than half of the images.

    Args:
        seed: Seed of the renderer; another seed gives another data set of the same kind.
    """

    name = "shapes20i"
    has_ignore = True
    root = None

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._indices: dict[Split, pd.DataFrame] = {}

    @classmethod
    def open(cls, root: Path | None = None, **options: object) -> Self:
        """Open the data set; the only option is `seed`, from 0 to 2**63 - 1.

        Raises:
            UsageError: If there is a root, an unknown option, or an invalid seed.
        """
        if root is not None:
            raise UsageError(f"{cls.name} has no files, so no root ({root}): it is rendered", "leave --root out")
        cls.refuse_options(options, ("seed",))
        seed = options.get("seed", 0)
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < _SEED_LIMIT:
            raise UsageError(f"the seed of {cls.name} is a whole number from 0 to 2**63 - 1, not {seed!r}")
        return cls(seed)

    @classmethod
    def seen_in_training(cls, fold: int) -> tuple[str, ...] | None:
        """Return the names of the 15 base classes of a fold."""
        return tuple(shape.name for place, shape in enumerate(CLASSES) if place // CLASSES_PER_FOLD != fold)

    @property
    def class_names(self) -> Mapping[int, str]:
        """The names of the label values 1..20."""
        return {value: shape.name for value, shape in enumerate(CLASSES, start=1)}

    def split_fingerprint(self, split: Split) -> str:
        """Return the hex sha256 of the renderer's version, the list rule and the seed; equal for all splits."""
        self._check_split(split)
        return _sha256(self.facts)

    @property
    def facts(self) -> str:
        """The facts that decide labels and lists, which are the same above and under water."""
        return f"{VERSION}; {dict(COUNTS)} pictures; at least {MIN_PIXELS} pixels; seed {self.seed}"

    @property
    def list_order(self) -> str:
        """By name, then by class."""
        return "canonical (by name)"

    def fold_classes(self, fold: int, split: Split = "val") -> tuple[int, ...]:
        """Return the 5 novel classes of a fold for "val", its 15 base classes for "train"."""
        first = self.check_fold(fold) * CLASSES_PER_FOLD + 1
        novel = tuple(range(first, first + CLASSES_PER_FOLD))
        if self._check_split(split) == "val":
            return novel
        return tuple(value for value in self.class_names if value not in novel)

    def index(self, split: Split) -> pd.DataFrame:
        """Return `name`, `class_id`, `pixels` of every class in every image, by name and class."""
        if self._check_split(split) not in self._indices:
            shipped = shipped_index(split, self.facts)
            if shipped is None:
                name = f"{Shapes20i.name}-{split}"
                shipped = cached_index(name, _sha256(self.facts), lambda: self.count(split))
            self._indices[split] = shipped
        return self._indices[split]

    def entries(self, fold: int, split: Split = "val") -> pd.DataFrame:
        """Return (image, class) by name and class, where the class has at least `MIN_PIXELS`.

        For "train", images in which an object of the fold's novel classes was placed are left out.
        """
        index = self.index(split)
        admitted = index["class_id"].isin(self.fold_classes(fold, split)) & (index["pixels"] >= MIN_PIXELS)
        if split == "train":
            novel = set(self.fold_classes(fold, "val"))
            seen = [name for name, placed in self._placed.items() if novel & placed]
            admitted &= ~index["name"].isin(seen)
        return index.loc[admitted, ["name", "class_id"]].reset_index(drop=True)

    def image(self, name: str) -> Image:
        """Return an image: RGB uint8 (H, W, 3), its sides between 176 and 240."""
        return _rendered(self.seed, *self._place(name))[0].copy()

    def label(self, name: str) -> Label:
        """Return the label map: uint8 (H, W), 0, 1..20, and 255 on the borders of objects, two pixels wide."""
        return _labelled(self.seed, *self._place(name)).copy()

    def image_size(self, name: str) -> tuple[int, int]:
        """Return (height, width); nothing is rendered."""
        scene = _scene(self.seed, *self._place(name))
        return scene.height, scene.width

    @cached_property
    def _placed(self) -> dict[str, set[int]]:
        """The classes of all objects of each training image, visible or not."""
        shipped = shipped_placed(self.facts)
        return self.draw_placed() if shipped is None else shipped

    def draw_placed(self) -> dict[str, set[int]]:
        """Plan all training images, and return the classes of their objects, visible or not."""
        numbers = range(1, COUNTS["train"] + 1)
        return {
            f"train_{number:04d}": {item.class_id for item in _scene(self.seed, "train", number).items}
            for number in numbers
        }

    def _check_split(self, split: Split) -> Split:
        if split not in COUNTS:
            raise UsageError(f"{self.name} has no split '{split}': it has train and val", "--split val")
        return split

    def _place(self, name: str) -> tuple[Split, int]:
        for split, count in COUNTS.items():
            digits = name.removeprefix(f"{split}_")
            if len(digits) == 4 and digits.isascii() and digits.isdecimal() and 1 <= int(digits) <= count:
                return split, int(digits)
        ranges = " and ".join(f"{split}_0001 to {split}_{count:04d}" for split, count in COUNTS.items())
        raise MissingError(f"{self.name} has no image '{name}': it has {ranges}")

    def count(self, split: Split) -> pd.DataFrame:
        """Render all label maps of a split and count their pixels, as `index` returns them."""
        rows: list[tuple[str | int, ...]] = []
        for number in tracked(range(1, COUNTS[split] + 1), f"drawing the {split} masks", "masks"):
            label = render_label(_scene(self.seed, split, number))
            pixels = np.bincount(label.ravel(), minlength=256)
            found = [value for value in self.class_names if pixels[value]]
            rows += [(f"{split}_{number:04d}", value, int(pixels[value])) for value in found]
        return frame_of(rows)


class Shapes20iUnderwater(Shapes20i):
    """The scenes of `shapes20i` under water: red is gone, blue-green haze grows with distance, blur, specks, noise."""

    name = "shapes20i-underwater"

    def split_fingerprint(self, split: Split) -> str:
        """Return the hex sha256 of the renderer's two versions, the list rule and the seed."""
        self._check_split(split)
        return _sha256(f"{WATER_VERSION}; {self.facts}")

    def image(self, name: str) -> Image:
        """Return an image: RGB uint8 (H, W, 3), with the same size as above water."""
        return _submerged(self.seed, *self._place(name)).copy()


if __name__ == "__main__":
    data = Shapes20i()
    write(FILE, data.facts, {split: data.count(split) for split in COUNTS}, data.draw_placed())
