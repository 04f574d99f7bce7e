"""A data set of one folder: grey squares, four classes in two folds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from fssbench.datasets.checks import Count, Report, equal_count, report_of
from fssbench.datasets.dataset import Dataset, Image, Label, Split

SIDE = 96


class Toy(Dataset):
    """Pictures "c_n": number n of class c; each holds a square of its class."""

    name = "toy"
    root = None

    @classmethod
    def open(cls, root: Path | None = None, **options: object) -> Self:
        """Open it; it has no options."""
        cls.refuse_options(options)
        return cls()

    @property
    def class_names(self) -> Mapping[int, str]:
        """Four squares."""
        return {c: f"square {c}" for c in (1, 2, 3, 4)}

    def split_fingerprint(self, split: Split) -> str:
        """Return what stands for the drawing rule."""
        return "7" * 64

    @property
    def list_order(self) -> str:
        """By name."""
        return "canonical (by name)"

    @classmethod
    def seen_in_training(cls, fold: int) -> tuple[str, ...] | None:
        """Return the base classes."""
        return ("square 3", "square 4") if fold == 0 else ("square 1", "square 2")

    def fold_classes(self, fold: int, split: Split = "val") -> tuple[int, ...]:
        """Return two classes."""
        self.check_fold(fold)
        return ((1, 2), (3, 4))[fold if split == "val" else 1 - fold]

    def index(self, split: Split) -> pd.DataFrame:
        """Return a row per picture."""
        rows = [(f"{c}_{n}", c, 40 * 40) for c in self.class_names for n in range(4)]
        return pd.DataFrame(rows, columns=["name", "class_id", "pixels"])

    def entries(self, fold: int, split: Split = "val") -> pd.DataFrame:
        """Return the pictures of the fold's classes."""
        index = self.index(split)
        return index[index["class_id"].isin(self.fold_classes(fold, split))][["name", "class_id"]]

    def label(self, name: str) -> Label:
        """Return the square."""
        label = np.zeros((SIDE, SIDE), dtype=np.uint8)
        place = 8 + 10 * int(name[2:])
        label[place : place + 40, place : place + 40] = int(name[0])
        return label

    def image(self, name: str) -> Image:
        """Return the square in its grey."""
        noise = np.random.default_rng(sum(name.encode())).integers(0, 30, (SIDE, SIDE, 3))
        return (noise + 50 * self.label(name)[..., None]).astype(np.uint8)


def check(dataset: Toy, *, decode: bool) -> Report:
    """Count the pictures."""
    counts: list[Count] = [equal_count("pictures", len(dataset.index("val")), 16)]
    return report_of(dataset, counts, [])
