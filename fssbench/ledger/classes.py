"""The classes of data sets by name, without opening them, and the base classes that training sees."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path

from fssbench.datasets.catalogue import REGISTRY, built_in
from fssbench.datasets.transfer.classes import plain

_FACTS = {
    "pascal5i": "pascal5i/facts.toml",
    "coco20i": "coco20i/facts.toml",
    "isaid5i": "isaid5i/facts.toml",
    "suim": "targets/suim.toml",
    "deepglobe": "targets/deepglobe.toml",
    "isic2018": "targets/isic2018.toml",
    "chestxray": "targets/chestxray.toml",
}
"""The file with the classes of each data set whose names are known without its files."""


@cache
def class_names(dataset: str) -> tuple[str, ...] | None:
    """Return the names of the classes of a data set; None if only its files have them."""
    known = built_in()
    scenes = known[dataset].scenes if dataset in known else dataset
    if scenes == "shapes20i":
        from fssbench.datasets.shapes20i.classes import CLASSES

        return tuple(shape.name for shape in CLASSES)
    if scenes not in _FACTS:
        return None
    path = Path(__file__).parents[1] / "datasets" / _FACTS[scenes]
    return tuple(tomllib.loads(path.read_text(encoding="utf-8"))["classes"])


def base_classes(dataset: str, fold: int) -> tuple[str, ...] | None:
    """Return the names of the classes that training on a fold sees; None if that is not known without its files."""
    if dataset not in REGISTRY.names():
        return None
    return REGISTRY.get(dataset).seen_in_training(fold)


def common(tested: Iterable[str], seen: Iterable[str]) -> tuple[str, ...]:
    """Return the tested classes that are among others, by their names: tvmonitor is tv, motorbike is motorcycle."""
    known = _plain(tuple(seen))
    return tuple(name for name in tested if plain(name) in known)


@lru_cache(maxsize=256)
def _plain(names: tuple[str, ...]) -> frozenset[str]:
    # A table of many runs looks the same classes up for each of them.
    return frozenset(map(plain, names))
