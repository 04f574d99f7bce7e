"""A data set that is nothing but lists: all that drawing episodes needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from fssbench.datasets.dataset import Dataset, Image, Label, Split


class ListsOnly(Dataset):
    """Lists without photos and masks."""

    def __init__(self, name: str, pairs: list[tuple[str, int]], classes: tuple[int, ...] | None = None) -> None:
        self.name = name  # type: ignore[misc]
        self.root = None
        self.pairs = pairs
        self.classes = tuple(sorted(classes or {class_id for _, class_id in pairs}))

    @classmethod
    def open(cls, root: Path | None = None, **options: object) -> Self:
        raise AssertionError("not opened by name")

    @property
    def class_names(self) -> Mapping[int, str]:
        return {class_id: f"class{class_id}" for class_id in self.classes}

    def split_fingerprint(self, split: Split) -> str:
        return "0" * 64

    @property
    def list_order(self) -> str:
        return "as given"

    def fold_classes(self, fold: int, split: Split = "val") -> tuple[int, ...]:
        self.check_fold(fold)
        return self.classes

    def index(self, split: Split) -> pd.DataFrame:
        return self.entries(0, split).assign(pixels=5000)

    def entries(self, fold: int, split: Split = "val") -> pd.DataFrame:
        frame = pd.DataFrame(self.pairs, columns=["name", "class_id"])
        return frame.astype({"class_id": np.int64})

    def image(self, name: str) -> Image:
        raise AssertionError("episodes need no photo")

    def label(self, name: str) -> Label:
        raise AssertionError("drawing needs no mask")


def synthetic(name: str, classes: tuple[int, ...] = (6, 7, 8, 9, 10), images: int = 30) -> ListsOnly:
    """A data set whose lists differ in length and share images."""
    pairs = [
        (f"image_{number:04d}", class_id)
        for number in range(images)
        for class_id in classes
        if (number * 7 + class_id * 3) % (class_id % 4 + 2) < 2
    ]
    return ListsOnly(name, pairs, classes)
