"""A rendered data set of a dozen pictures, and training runs that take a second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from fssbench.datasets.dataset import Dataset, Image, Label, Split
from fssbench.training.plan import Plan
from fssbench.training.recipe import Augmentation, Optimiser, Recipe
from fssbench.training.recipes import recipe

SIDE = 136
"""The smallest side at which the squeezing layers of ASNet work on the small backbone."""


class Squares(Dataset):
    """Four classes, two folds: squares whose grey is their class; names say which classes are in a picture."""

    name = "squares"
    fold_count = 2
    has_ignore = True

    def __init__(self) -> None:
        self.root = None
        pairs = [(1, 2), (3, 4), (1, 1), (2, 2), (3, 3), (4, 4), (1, 3), (2, 4)]
        self.contents = {f"{a}{b}_{n}": (a, b) for n in range(3) for a, b in pairs}

    @classmethod
    def open(cls, root: Path | None = None, **options: object) -> Self:
        return cls()

    @property
    def class_names(self) -> Mapping[int, str]:
        return {c: f"square {c}" for c in (1, 2, 3, 4)}

    def split_fingerprint(self, split: Split) -> str:
        return "squares"

    @property
    def list_order(self) -> str:
        return "by name"

    def fold_classes(self, fold: int, split: Split = "val") -> tuple[int, ...]:
        first, second = (1, 2), (3, 4)
        return (first, second)[fold] if split == "val" else (first, second)[1 - fold]

    def index(self, split: Split) -> pd.DataFrame:
        raise AssertionError("training needs no index")

    def entries(self, fold: int, split: Split = "val") -> pd.DataFrame:
        novel = set(self.fold_classes(fold))
        rows = []
        for name, classes in self.contents.items():
            if split == "train" and novel & set(classes):
                continue
            rows += [(name, c) for c in sorted(set(classes)) if c in self.fold_classes(fold, split)]
        return pd.DataFrame(rows, columns=["name", "class_id"]).astype({"class_id": np.int64})

    def label(self, name: str) -> Label:
        label = np.zeros((SIDE, SIDE + 20), dtype=np.uint8)
        for place, class_id in enumerate(self.contents[name]):
            top = 10 + 60 * place
            label[top : top + 50, 20:80] = 255
            label[top + 2 : top + 48, 22:78] = class_id
        return label

    def image(self, name: str) -> Image:
        noise = np.random.default_rng(sum(name.encode())).integers(0, 30, (SIDE, SIDE + 20, 3))
        return (noise + 50 * np.where(self.label(name) == 255, 0, self.label(name))[..., None]).astype(np.uint8)


class Indexed(Squares):
    """With an index; one picture of the side asked holds a novel class beside a base class."""

    def index(self, split: Split) -> pd.DataFrame:
        rows = [(name, c, 9) for name, classes in self.contents.items() for c in sorted(set(classes))]
        return pd.DataFrame(rows, columns=["name", "class_id", "pixels"])


def tiny_recipe(network: str, steps: int = 3) -> Recipe:
    """A recipe of the embedded data set, cut down; no validation."""
    options = {"hsnet": {"channels": (4, 4, 4)}, "asnet": {"channels": (16, 16)}}
    return replace(
        recipe(network, "shapes20i"),
        validation=None,
        steps=steps,
        batch=2,
        picture=(SIDE, SIDE),
        view=(SIDE, SIDE),
        options=options.get(network, {}),
        optimiser=Optimiser(1e-2, "cosine", 0.01),
        augmentation=Augmentation((0.7, 1.0), 30.0, 0.5, 0.5, 0.2),
    )


def tiny_plan(network: str, folder: Path, *, weights: Path | None = None, steps: int = 3, **changes: object) -> Plan:
    """A run of a few steps."""
    recipe = tiny_recipe(network, steps)
    plan = Plan(
        method=None if network == "small" else network,
        variant="",
        backbone="small",
        backbone_weights=weights,
        recipes={"": recipe},
        options=recipe.options,
        rules=None,
        dataset=Squares(),
        fold=0,
        seed=0,
        device="cpu",
        folder=folder,
        resume=False,
    )
    return replace(plan, **changes)  # type: ignore[arg-type]
