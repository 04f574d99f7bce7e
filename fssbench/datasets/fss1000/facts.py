"""What is known of FSS-1000's splits: files, counts, class ids and hashes of HSNet's release."""

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
class SideFacts:
    """One side of the data set.

    Attributes:
        file: Name of the list in the release's data/splits/fss.
        classes: How many classes it holds.
        first: HSNet's class id of the first of them in sorted order.
        sha256: Hash of the sorted names, as `hash_of` takes it.
    """

    file: str
    classes: int
    first: int
    sha256: str


@cache
def facts() -> Mapping[Split, SideFacts]:
    """Return the facts of fss1000.toml."""
    with (Path(__file__).parent / "facts.toml").open("rb") as file:
        raw = tomllib.load(file)
    sides: tuple[Split, ...] = ("train", "val", "test")
    return {side: SideFacts(**raw["sides"][side]) for side in sides}


def hash_of(names: Iterable[str]) -> str:
    """Return the hex sha256 of the sorted names joined by newlines."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()
