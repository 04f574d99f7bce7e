"""The counts of a fold, summed by query image, and the ratios (IoU, exact ratio) computed from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fssbench.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

MAX_SUM = 1 << 62
"""An upper limit for the sum of the pixels of a fold; no real fold reaches it."""
FIXED_COLUMNS = 4
"""Columns that do not belong to a class: background intersection and union, exact episodes, episodes."""
_PER_BASE_CLASS = 3
"""Columns of a base class: intersection, union, ground-truth pixels."""


@dataclass(frozen=True)
class BaseClasses:
    """How the base classes of a fold are counted.

    Attributes:
        known: Their label values, sorted.
        absent_as_zero: Whether the IoU of a base class that is in no label map counts as 0. Otherwise the class is left
            out of the mean, as in BAM's test.py.
        generalised: Whether base and novel classes were predicted together. Base classes are foreground then.
    """

    known: tuple[int, ...]
    absent_as_zero: bool = False
    generalised: bool = False


@dataclass(frozen=True)
class ClusterCounts:
    """The counts of one fold, with a row per cluster. A cluster is the episodes of one query image within a stratum.

    Attributes:
        fold: The fold.
        classes: The novel classes, C of them.
        clusters: Stratum and query image of each cluster, sorted. The stratum is the class in 1-way episodes, and 0
            in episodes of several ways.
        sums: int64 (clusters, 2 C + 4 + 3 B). The columns are: intersection of each class, union of each class,
            intersection and union of the background, number of episodes whose predicted presence is right for all
            classes, number of episodes; then for the B base classes their intersections, unions, and ground-truth
            pixels.
        episodes_per_class: int64 (C,): number of episodes that contain each class.
        base: How base classes are counted; None if they are not.
    """

    fold: int
    classes: tuple[int, ...]
    clusters: tuple[tuple[int, str], ...]
    sums: Integers
    episodes_per_class: Integers
    base: BaseClasses | None = None

    def ratios(self, sums: Integers | Floats) -> Ratios:
        """Return the ratios of counts that are summed over clusters, (..., 2 C + 4 + 3 B)."""
        width = len(self.classes)
        intersection, union = sums[..., :width], sums[..., width : 2 * width]
        rest = 2 * width + FIXED_COLUMNS
        background, background_union, exact, episodes = np.moveaxis(sums[..., 2 * width : rest], -1, 0)
        per_class = 100.0 * intersection / np.maximum(union, 1)
        both, either = intersection.sum(axis=-1), union.sum(axis=-1)
        base_miou = total_miou = None
        if self.base is not None:
            # Three blocks of columns, each with a column per base class.
            base_both, base_either, truth = np.moveaxis(
                sums[..., rest:].reshape(*sums.shape[:-1], _PER_BASE_CLASS, len(self.base.known)), -2, 0
            )
            base_iou = (100.0 * base_both / np.maximum(base_either, 1)).sum(axis=-1)
            counted = len(self.base.known) if self.base.absent_as_zero else (truth > 0).sum(axis=-1)
            base_miou = base_iou / np.maximum(counted, 1)
            if self.base.generalised:
                total_miou = (per_class.sum(axis=-1) + base_iou) / (width + counted)
                both, either = both + base_both.sum(axis=-1), either + base_either.sum(axis=-1)
        return Ratios(
            miou=per_class.mean(axis=-1),
            fb_iou=50.0 * (both / np.maximum(either, 1) + background / np.maximum(background_union, 1)),
            exact_ratio=100.0 * exact / np.maximum(episodes, 1),
            base_miou=base_miou,
            total_miou=total_miou,
            per_class=per_class,
        )

    def needed_for(self, measures: Collection[str]) -> Booleans:
        """Return which columns of `sums` metrics are computed from, bool (columns,).

        Those of presence are for the exact ratio alone, which few tables show.
        """
        needed = np.ones(self.sums.shape[1], dtype=np.bool_)
        rest = 2 * len(self.classes) + FIXED_COLUMNS
        needed[rest - 2 : rest] = "exact_ratio" in measures
        return needed

    @cached_property
    def strata(self) -> tuple[int, ...]:
        """The number of clusters in each stratum, in the order of the strata."""
        return strata_of(self.clusters)

    @property
    def episodes(self) -> int:
        """How many episodes were counted."""
        return int(self.sums[:, 2 * len(self.classes) + FIXED_COLUMNS - 1].sum())

    def class_degrees_of_freedom(self, place: int) -> int:
        """Return the degrees of freedom for the IoU of one class: clusters with a pixel of the class, minus 1."""
        return max(0, int(np.count_nonzero(self.sums[:, len(self.classes) + place])) - 1)

    @property
    def base_counted(self) -> tuple[int, ...]:
        """The base classes that the mean is over."""
        if self.base is None:
            return ()
        if self.base.absent_as_zero:
            return self.base.known
        truth = self.sums[:, self.sums.shape[1] - len(self.base.known) :].sum(axis=0)
        return tuple(c for c, pixels in zip(self.base.known, truth, strict=True) if pixels)


@dataclass(frozen=True)
class Ratios:
    """Metrics in per cent, each of shape (), or (draws,) for a bootstrap; None for a metric that does not apply."""

    miou: Floats
    fb_iou: Floats
    exact_ratio: Floats
    base_miou: Floats | None = None
    total_miou: Floats | None = None
    per_class: Floats | None = None


RATIOS = ("miou", "fb_iou", "exact_ratio", "base_miou", "total_miou")
"""The metrics that can be averaged over folds. `per_class` can't, as its length differs between folds."""


def mean_ratios(over: Sequence[Ratios]) -> Ratios:
    """Return the mean of each metric over runs or folds; None where one of them does not have the metric."""
    if len(over) == 1:
        return replace(over[0], per_class=None)
    columns = {name: [getattr(ratios, name) for ratios in over] for name in RATIOS}
    means = {name: np.mean(values, axis=0) for name, values in columns.items() if all(v is not None for v in values)}
    return Ratios(**means)


def strata_of(clusters: Iterable[tuple[int, str]]) -> tuple[int, ...]:
    """Return the number of clusters in each stratum; the clusters are sorted."""
    return tuple(Counter(map(itemgetter(0), clusters)).values())


def cluster_counts(
    frame: pd.DataFrame, fold: int, classes: tuple[int, ...] | None, base: BaseClasses | None
) -> ClusterCounts:
    """Sum the rows of one fold by cluster.

    Args:
        frame: The rows of the fold.
        fold: The fold.
        classes: The novel classes; default: the classes of the episodes.
        base: The base classes, if the rows count them.

    Raises:
        UsageError: If a row has a class that is not among `classes`, its counts do not match its classes, or the sums
            are too large.
    """
    _check_size([*frame["union"], *(() if base is None else map(_unions, frame["base"]))], fold)
    episodes = [tuple(int(c) for c in row) for row in frame["classes"]]
    known = classes or tuple(sorted({c for row in episodes for c in row}))
    place = {class_id: number for number, class_id in enumerate(known)}
    stray = next((c for row in episodes for c in row if c not in place), None)
    if stray is not None:
        raise UsageError(f"fold {fold} has episodes of class {stray}, which is not among its classes {list(known)}")
    # The 1-way episodes of a class form a stratum; episodes of several ways form a single one.
    keys = [(row[0] if len(row) == 1 else 0, str(q)) for row, q in zip(episodes, frame["query"], strict=True)]
    clusters = {key: number for number, key in enumerate(sorted(set(keys)))}
    width = len(known)
    rest = 2 * width + FIXED_COLUMNS
    sums = np.zeros((len(clusters), rest + _PER_BASE_CLASS * len(base.known if base else ())), dtype=np.int64)
    episodes_per_class = np.zeros(width, dtype=np.int64)
    columns = zip(frame["intersection"], frame["union"], frame["present"], frame["truth"], strict=True)
    for key, row, (intersection, union, present, truth) in zip(keys, episodes, columns, strict=True):
        if not len(intersection) == len(union) == len(row) + 1 or not len(present) == len(truth) == len(row):
            raise UsageError(
                f"fold {fold} has an episode of {len(row)} classes with counts of another number of classes"
            )
        counts = sums[clusters[key]]
        places = [place[c] for c in row]
        for n, position in enumerate(places, 1):
            counts[position] += intersection[n]
            counts[width + position] += union[n]
        counts[2 * width : rest] += (intersection[0], union[0], tuple(present) == tuple(truth), 1)
        episodes_per_class[places] += 1
    if base is not None:
        _add_base(sums[:, rest:], [clusters[key] for key in keys], frame["base"], base.known, fold)
    return ClusterCounts(fold, known, tuple(clusters), sums, episodes_per_class, base)


def _unions(entries: Iterable[tuple[int, int, int, int]] | None) -> tuple[int, ...]:
    return tuple(entry[2] for entry in entries or ())


def _check_size(unions: Iterable[Iterable[int]], fold: int) -> None:
    """Refuse counts whose sum does not fit into 64 bits: NumPy would overflow without an error."""
    pixels = sum(int(count) for counts in unions for count in counts)
    if pixels >= MAX_SUM:
        raise UsageError(f"fold {fold} counts {pixels} pixels, more than images can have")


def base_classes_of(frame: pd.DataFrame) -> tuple[int, ...]:
    """Return the base classes that occur in the rows of a fold, sorted."""
    return tuple(sorted({int(entry[0]) for entries in frame["base"] for entry in entries or ()}))


def _add_base(
    sums: Integers,
    clusters: Iterable[int],
    rows: Iterable[Iterable[tuple[int, int, int, int]] | None],
    known: tuple[int, ...],
    fold: int,
) -> None:
    place = {class_id: number for number, class_id in enumerate(known)}
    for cluster, entries in zip(clusters, rows, strict=True):
        if entries is None:
            raise UsageError(f"fold {fold} has episodes that count base classes and others that do not")
        for class_id, *counts in entries:
            if class_id not in place:
                raise UsageError(f"fold {fold} counts class {class_id}, which is not among its base classes")
            sums[cluster, place[class_id] :: len(known)] += counts
