"""Facts about the splits of FSS-1000: files, counts, class ids and hashes of HSNet's release."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fssbench.datasets.dataset import Split

IMAGES_PER_CLASS = 10


@dataclass(frozen=True)
class SplitFacts:
    """One split of the data set.

    Attributes:
        file: Name of the list in the release's data/splits/fss.
        classes: Number of classes.
        first: HSNet's class id of the first class in sorted order.
        sha256: Hash of the sorted names, as `hash_of` computes it.
    """

    file: str
    classes: int
    first: int
    sha256: str


@cache
def facts() -> Mapping[Split, SplitFacts]:
    """Read facts.toml."""
    with (Path(__file__).parent / "facts.toml").open("rb") as file:
        raw = tomllib.load(file)
    splits: tuple[Split, ...] = ("train", "val", "test")
    return {split: SplitFacts(**raw["sides"][split]) for split in splits}


def hash_of(names: Iterable[str]) -> str:
    """Return the hex sha256 of the sorted names joined by newlines."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()
