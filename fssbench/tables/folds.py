"""How many folds a data set of a table has."""

from __future__ import annotations

PAPERS = 4
"""Folds of the papers' tables, and of data sets that are not known here."""

_PRINTED = frozenset({"pascal5i", "coco20i"})
"""Data sets that have so many: printed tables need not import them, and with them NumPy."""


def fold_count_of(name: str) -> int:
    """Return the number of folds; of "A_to_B", trained on A and tested on B, those of A."""
    from fssbench.datasets import REGISTRY, list_datasets

    trained_on = name.partition("_to_")[0]
    if trained_on in _PRINTED:
        return PAPERS
    return REGISTRY.get(trained_on).fold_count if trained_on in list_datasets() else PAPERS
