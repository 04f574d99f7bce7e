"""The sums that the numbers are ratios of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fssbench.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

MAX_SUM = 1 << 62
"""No fold has so many pixels."""
_FIXED = 4
_PER_BASE_CLASS = 3


@dataclass(frozen=True)
class BaseClasses:
    """How the base classes of a fold are counted.

    Attributes:
        known: They, rising.
        whole: Whether one that no label holds counts 0; it is left out of the mean else, as BAM's test.py does.
        generalised: Whether they were asked together with the novel classes: they are foreground then.
    """

    known: tuple[int, ...]
    whole: bool = False
    generalised: bool = False


@dataclass(frozen=True)
class ClusterCounts:
    """The counts of one fold: a row per cluster (the episodes of one query image within a stratum).

    `clusters` names each by its stratum and its query image, rising. The stratum is the class of 1-way episodes, 0 for
    episodes of several ways, which belong to no one class.

    `sums` int64 (clusters, 2 C + 4 + 3 B): intersection per class, union per class, intersection and union of the
    background, episodes answered exactly, episodes; of each base class intersection, union, pixels of the truth.
    """

    fold: int
    classes: tuple[int, ...]
    clusters: tuple[tuple[int, str], ...]
    sums: Integers
    episodes_per_class: Integers
    base: BaseClasses | None = None

    def ratios(self, sums: Integers | Floats) -> Ratios:
        """Return the ratios of summed counts (..., 2 C + 4 + 3 B)."""
        width = len(self.classes)
        intersection, union = sums[..., :width], sums[..., width : 2 * width]
        rest = 2 * width + _FIXED
        background, background_union, exact, episodes = np.moveaxis(sums[..., 2 * width : rest], -1, 0)
        per_class = 100.0 * intersection / np.maximum(union, 1)
        both, either = intersection.sum(axis=-1), union.sum(axis=-1)
        base_miou = total_miou = None
        if self.base is not None:
            # One block per count, each with a column per base class.
            base_both, base_either, truth = np.moveaxis(
                sums[..., rest:].reshape(*sums.shape[:-1], _PER_BASE_CLASS, len(self.base.known)), -2, 0
            )
            base_iou = (100.0 * base_both / np.maximum(base_either, 1)).sum(axis=-1)
            counted = len(self.base.known) if self.base.whole else (truth > 0).sum(axis=-1)
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

    @property
    def episodes(self) -> int:
        """How many episodes were counted."""
        return int(self.sums[:, 2 * len(self.classes) + _FIXED - 1].sum())

    def class_degrees_of_freedom(self, place: int) -> int:
        """Return the degrees of freedom of the spread of one class: the clusters that have a pixel of it, less 1."""
        return max(0, int(np.count_nonzero(self.sums[:, len(self.classes) + place])) - 1)

    @property
    def base_counted(self) -> tuple[int, ...]:
        """The base classes that the mean is over."""
        if self.base is None:
            return ()
        if self.base.whole:
            return self.base.known
        truth = self.sums[:, self.sums.shape[1] - len(self.base.known) :].sum(axis=0)
        return tuple(c for c, pixels in zip(self.base.known, truth, strict=True) if pixels)


@dataclass(frozen=True)
class Ratios:
    """Per cent; each of shape (), or (draws,) for a bootstrap; None for what was not asked."""

    miou: Floats
    fb_iou: Floats
    exact_ratio: Floats
    base_miou: Floats | None = None
    total_miou: Floats | None = None
    per_class: Floats | None = None


RATIOS = ("miou", "fb_iou", "exact_ratio", "base_miou", "total_miou")
"""The numbers among them; `per_class` differs in length from fold to fold."""


def mean_ratios(over: Sequence[Ratios]) -> Ratios:
    """Return the mean of each number over runs or folds; None where one of them has none."""
    known = {name: [its for ratios in over if (its := getattr(ratios, name)) is not None] for name in RATIOS}
    return Ratios(**{name: np.mean(its, axis=0) for name, its in known.items() if len(its) == len(over)})


def cluster_counts(
    frame: pd.DataFrame, fold: int, classes: tuple[int, ...] | None, base: BaseClasses | None
) -> ClusterCounts:
    """Return the counts of the rows of one fold.

    Args:
        frame: Its rows.
        fold: Its number.
        classes: Its classes; default those that were asked.
        base: Its base classes, where the rows count them.

    Raises:
        UsageError: If a row does not fit the classes, or itself, or there are more pixels than a sum holds.
    """
    _check_size([*frame["union"], *(() if base is None else map(_unions, frame["base"]))], fold)
    asked = [tuple(int(c) for c in row) for row in frame["classes"]]
    known = classes or tuple(sorted({c for row in asked for c in row}))
    place = {class_id: number for number, class_id in enumerate(known)}
    stray = next((c for row in asked for c in row if c not in place), None)
    if stray is not None:
        raise UsageError(f"fold {fold} has episodes of class {stray}, which is not among its classes {list(known)}")
    # Rows of one class form a stratum; with several ways an episode belongs to no one class.
    keys = [(row[0] if len(row) == 1 else 0, str(q)) for row, q in zip(asked, frame["query"], strict=True)]
    clusters = {key: number for number, key in enumerate(sorted(set(keys)))}
    width = len(known)
    rest = 2 * width + _FIXED
    sums = np.zeros((len(clusters), rest + _PER_BASE_CLASS * len(base.known if base else ())), dtype=np.int64)
    episodes_per_class = np.zeros(width, dtype=np.int64)
    answers = zip(frame["intersection"], frame["union"], frame["present"], frame["truth"], strict=True)
    for key, row, (intersection, union, present, truth) in zip(keys, asked, answers, strict=True):
        if not len(intersection) == len(union) == len(row) + 1 or not len(present) == len(truth) == len(row):
            raise UsageError(f"fold {fold} has an episode of {len(row)} classes with counts of another number")
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
    """Refuse counts whose sums 64 bits do not hold: NumPy would go on with what is left of them."""
    pixels = sum(int(count) for counts in unions for count in counts)
    if pixels >= MAX_SUM:
        raise UsageError(f"fold {fold} counts {pixels} pixels, more than pictures have")


def base_classes_of(frame: pd.DataFrame) -> tuple[int, ...]:
    """Return the base classes that the rows of a fold count, rising."""
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
