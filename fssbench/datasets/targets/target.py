"""The base class of target data sets: all their images are for testing, and none for training."""

from __future__ import annotations

import tomllib
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fssbench.datasets.dataset import Image, Label, Split
from fssbench.datasets.io.images import read_photo, value_counts
from fssbench.datasets.io.index_cache import cached_index, fingerprint_of, frame_of, key_of
from fssbench.datasets.untrained import UntrainedDataset
from fssbench.errors import MissingError, UsageError

if TYPE_CHECKING:
    import pandas as pd

FOREGROUND = 128
"""Value from which a pixel of a binary mask, or a channel of a colour-coded mask, counts as set."""


@dataclass(frozen=True)
class TargetFacts:
    """The content of the TOML file of a target data set.

    Attributes:
        classes: Names of the label values 1..C.
        images: Number of images in the complete release, by part; a part without a known number is left out.
    """

    classes: tuple[str, ...]
    images: Mapping[str, int]


@cache
def target_facts(name: str) -> TargetFacts:
    """Read the TOML file of a target data set."""
    with (Path(__file__).parent / f"{name}.toml").open("rb") as file:
        raw = tomllib.load(file)
    return TargetFacts(tuple(raw["classes"]), raw.get("official", {}).get("images", {}))


class TargetDataset(UntrainedDataset):
    """A data set with one fold and the split "test": every image is listed under each class that has a pixel in it.

    A subclass defines where masks and photos are (`mask_files`, `labels`, `label`, `photo_path`).
    """

    evaluated_split: Split = "test"
    exact_index = True
    whole_photos: bool = True
    """Whether an image is a whole photo, not a part of one."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @abstractmethod
    def mask_files(self) -> list[Path]:
        """Return the files that decide labels and lists, in a fixed order.

        Raises:
            MissingError: If there is none.
        """

    @abstractmethod
    def labels(self) -> Iterator[tuple[str, Label]]:
        """Yield the name and the label map (H, W) of each image, in list order."""

    @abstractmethod
    def photo_path(self, name: str) -> Path:
        """Return the path of the photo; the file may be missing."""

    @property
    def parts(self) -> Mapping[str, int]:
        """The number of existing images of each part, with the names of `official`."""
        return {"all": len(self.image_names)}

    @property
    def official(self) -> Mapping[str, int]:
        """The number of images of each part in the release, if it is known."""
        return target_facts(self.name).images

    @cached_property
    def class_names(self) -> Mapping[int, str]:
        """The names of the label values."""
        return dict(enumerate(target_facts(self.name).classes, 1))

    @cached_property
    def image_names(self) -> tuple[str, ...]:
        """All images that have a pixel of any class, in list order."""
        return tuple(self._index["name"].drop_duplicates())

    @property
    def list_order(self) -> str:
        """By file name, as the releases sort."""
        return "canonical (by name)"

    def split_fingerprint(self, split: Split) -> str:
        """Return the hex sha256 over rule, pixels per image and class, and lists."""
        self._check_split(split)
        rule = {"dataset": self.name, "labels": self.rule, "order": self.list_order}
        return fingerprint_of(
            rule, self._index, zip(self._index["name"], self._index["class_id"].tolist(), strict=True)
        )

    def fold_classes(self, fold: int, split: Split = "test") -> tuple[int, ...]:
        """Return all classes; none for "train"."""
        self.check_fold(fold)
        return () if split == "train" else tuple(self.class_names)

    def entries(self, fold: int, split: Split = "test") -> pd.DataFrame:
        """Return every image under each class that has a pixel in it, image by image."""
        self.check_fold(fold)
        return self.index(split)[["name", "class_id"]]

    def image(self, name: str) -> Image:
        """Return the photo."""
        return read_photo(self.photo_path(name), self.remedy)

    def _check_split(self, split: Split) -> None:
        if split != "test":
            raise UsageError(f"{self.name} has no {split} images: all its images are for testing", "--split test")

    @cached_property
    def _index(self) -> pd.DataFrame:
        files = self.mask_files()
        if missing := next((path for path in files if not path.is_file()), None):
            raise MissingError(f"there is no mask {missing}", self.remedy)
        key = key_of(files, self.name, self.rule)
        return cached_index(f"{self.name}-test", key, lambda: index_of(self.labels()), self.root)


def index_of(labels: Iterator[tuple[str, Label]]) -> pd.DataFrame:
    """Return a row per (image, class) that has a pixel: `name`, `class_id`, `pixels`.

    Args:
        labels: Image names and label maps (H, W), 0 for background.
    """
    rows: list[tuple[str | int, ...]] = []
    for name, label in labels:
        pixels = value_counts(label)
        rows += [(name, int(c), int(pixels[c])) for c in np.flatnonzero(pixels[1:]) + 1]
    return frame_of(rows)
