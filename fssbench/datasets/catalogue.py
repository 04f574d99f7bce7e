"""The data sets by name; their code is imported only when one is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fssbench.errors import UsageError
from fssbench.registry import Registry

if TYPE_CHECKING:
    from fssbench.datasets.dataset import Dataset


PAPERS = 4
"""Folds of the papers' tables, and of data sets that are not known here."""


_PRINTED = frozenset({"pascal5i", "coco20i"})
"""Data sets that have so many: printed tables need not import them, and with them NumPy."""


def fold_count_of(name: str) -> int:
    """Return the number of folds; of "A_to_B", trained on A and tested on B, those of A."""
    trained_on = name.partition("_to_")[0]
    if trained_on in _PRINTED:
        return PAPERS
    return REGISTRY.get(trained_on).fold_count if trained_on in list_datasets() else PAPERS


REGISTRY: Registry[type[Dataset]] = Registry(
    "dataset",
    "fssbench.datasets.dataset:Dataset",
    {
        "pascal5i": "fssbench.datasets.pascal5i.dataset:Pascal5i",
        "coco20i": "fssbench.datasets.coco20i.dataset:Coco20i",
        "fss1000": "fssbench.datasets.fss1000.dataset:FSS1000",
        "folder": "fssbench.datasets.folder.dataset:Folder",
        "suim": "fssbench.datasets.targets.suim:Suim",
        "deepglobe": "fssbench.datasets.targets.deepglobe:DeepGlobe",
        "isic2018": "fssbench.datasets.targets.isic2018:Isic2018",
        "chestxray": "fssbench.datasets.targets.chestxray:ChestXray",
        "shapes20i": "fssbench.datasets.shapes20i.dataset:Shapes20i",
        "shapes20i-underwater": "fssbench.datasets.shapes20i.dataset:Shapes20iUnderwater",
    },
)


def list_datasets() -> list[str]:
    """Return the names of all data sets, sorted.

    Examples:
        >>> import fssbench
        >>> "pascal5i" in fssbench.list_datasets()
        True
    """
    return REGISTRY.names()


def require_training(name: str, remedy: str) -> None:
    """Refuse a data set as what weights were trained on if it trains nothing.

    Args:
        name: One of `list_datasets()`.
        remedy: What to do instead.

    Raises:
        UsageError: If it has no training classes.
    """
    if REGISTRY.get(name).seen_in_training(0) == ():
        raise UsageError(f"{name} trains nothing: it is asked of weights that were trained elsewhere", remedy)
