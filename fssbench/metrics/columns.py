"""Episodes in columns: the counts of a fold from arrays, where a run has many rows of one shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Self

import numpy as np
import numpy.typing as npt

from fssbench.errors import UsageError
from fssbench.metrics.counts import FIXED_COLUMNS, MAX_SUM, Booleans, ClusterCounts, Integers
from fssbench.metrics.fold_counts import FoldCounts

_SMALL = 1 << 16


@dataclass(frozen=True, eq=False)
class EpisodeColumns:
    """Episodes of N classes each, without base classes. The columns are those of `fssbench.results.Row`.

    Attributes:
        fold: int64 (E,).
        episode: int64 (E,).
        query: The names of the E query images, bytes (E,).
        classes: int64 (E, N).
        intersection: int64 (E, N + 1).
        union: int64 (E, N + 1).
        present: bool (E, N).
        truth: bool (E, N).
        lost_supports: int64 (E, N); 0 where none is lost.
        lost_query: bool (E, N).
    """

    fold: Integers
    episode: Integers
    query: npt.NDArray[np.bytes_]
    classes: Integers
    intersection: Integers
    union: Integers
    present: Booleans
    truth: Booleans
    lost_supports: Integers
    lost_query: Booleans

    def __len__(self) -> int:
        return len(self.fold)

    def of_fold(self, fold: int) -> Self:
        """Return the episodes of a fold."""
        there = self.fold == fold
        if there.all():
            return self
        return replace(self, **{field.name: getattr(self, field.name)[there] for field in fields(self)})


def count_columns(columns: EpisodeColumns, classes: Mapping[int, Sequence[int]] | None = None) -> list[FoldCounts]:
    """Return the counts of each fold, sorted by fold, as `fssbench.metrics.fold_counts.count_folds` does from a frame.

    Args:
        columns: The episodes, in any order.
        classes: The classes of each fold. Default: the classes of the episodes.

    Raises:
        UsageError: If there is no episode, an episode has a class that is not among `classes`, or the sums are too
            large.
    """
    if not len(columns):
        raise UsageError("there is no episode to summarise")
    return [
        _fold_counts(columns.of_fold(fold), fold, None if classes is None else tuple(sorted(classes[fold])))
        for fold in _values_of(columns.fold)
    ]


def _fold_counts(columns: EpisodeColumns, fold: int, classes: tuple[int, ...] | None) -> FoldCounts:
    if int(columns.union.max()) * columns.union.size >= MAX_SUM:  # rather too early: no sum may overflow
        raise UsageError(f"fold {fold} counts more pixels than images can have")
    evaluated = _values_of(columns.classes)
    known = classes or tuple(evaluated)
    if stray := sorted(set(evaluated) - set(known)):
        raise UsageError(f"fold {fold} has episodes of class {stray[0]}, which is not among its classes {list(known)}")
    width, way = len(known), columns.classes.shape[1]
    places = np.searchsorted(np.array(known), columns.classes)
    # The 1-way episodes of a class form a stratum; episodes of several ways form a single one.
    strata = columns.classes[:, 0] if way == 1 else np.zeros(len(columns), dtype=np.int64)
    clusters, cluster = _clusters_of(strata.tobytes(), columns.query.tobytes(), columns.query.itemsize)
    sums = np.zeros((len(clusters), 2 * width + FIXED_COLUMNS), dtype=np.int64)

    def add(column: Integers | int, numbers: Integers) -> None:
        np.add.at(sums.ravel(), cluster * sums.shape[1] + column, numbers)  # a view: `sums` is contiguous

    for n in range(way):
        add(places[:, n], columns.intersection[:, n + 1])
        add(width + places[:, n], columns.union[:, n + 1])
    add(2 * width, columns.intersection[:, 0])
    add(2 * width + 1, columns.union[:, 0])
    add(2 * width + 2, (columns.present == columns.truth).all(axis=1).astype(np.int64))
    add(2 * width + 3, np.ones(len(columns), dtype=np.int64))
    # A class twice in an episode counts once, as in `cluster_counts`.
    per_class = [int((columns.classes == class_id).any(axis=1).sum()) for class_id in known]
    there = columns.truth & (columns.union[:, 1:] > 0) & ~columns.lost_query
    without = tuple(sorted(set(evaluated) - set(_values_of(columns.classes[there]))))
    total = ClusterCounts(fold, known, clusters, sums, np.array(per_class, dtype=np.int64))
    return FoldCounts(total, (), without)


def _values_of(column: Integers) -> list[int]:
    """Return the values that occur in a column, sorted: folds or label values, which are small from 0."""
    largest = int(column.max()) if column.size else 0
    found = np.unique(column) if largest > _SMALL else np.flatnonzero(np.bincount(column.ravel()))
    return [int(value) for value in found]


@lru_cache(maxsize=64)
def _clusters_of(strata: bytes, queries: bytes, length: int) -> tuple[tuple[tuple[int, str], ...], Integers]:
    """Return the clusters, sorted, and that of each episode. Runs of one list have one copy of them."""
    names, name = np.unique(np.frombuffer(queries, dtype=f"S{length}"), return_inverse=True)
    stratum = np.frombuffer(strata, dtype=np.int64)
    keys, cluster = np.unique(stratum * len(names) + name, return_inverse=True)
    values, places = np.divmod(keys, len(names))
    texts = [text.decode("ascii") for text in names[places].tolist()]
    return tuple(zip(values.tolist(), texts, strict=True)), cluster
