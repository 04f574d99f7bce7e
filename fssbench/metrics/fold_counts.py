"""The counts of each fold of a run: which classes are counted, and which rows belong to one repetition of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from fssbench.errors import UsageError
from fssbench.metrics.counts import BaseClasses, ClusterCounts, Ratios, base_classes_of, cluster_counts, mean_ratios
from fssbench.metrics.runs import runs_of

if TYPE_CHECKING:
    import pandas as pd

Classes = Sequence[int] | Mapping[int, Sequence[int]] | None
"""Classes of the only fold, or of each fold; None for the classes that occur in the rows."""

COLUMNS = ("fold", "query", "classes", "intersection", "union", "present", "truth")
"""The columns that a frame of rows must have."""


@dataclass(frozen=True)
class FoldCounts:
    """The counts of one fold.

    Attributes:
        total: Counts of all episodes.
        runs: Counts of each run, if the list holds several runs.
        without_truth: Classes of episodes that have no ground-truth pixel in any query where it would be counted.
    """

    total: ClusterCounts
    runs: tuple[ClusterCounts, ...] = ()
    without_truth: tuple[int, ...] = ()

    @property
    def parts(self) -> tuple[ClusterCounts, ...]:
        """The counts whose metrics are averaged: those of the runs, or the total."""
        return self.runs or (self.total,)

    def ratios(self) -> Ratios:
        """Return the metrics of the fold: the means over its runs."""
        return self._ratios

    @cached_property
    def _ratios(self) -> Ratios:
        return mean_ratios([part.ratios(part.sums.sum(axis=0)) for part in self.parts])


@dataclass(frozen=True)
class CountingRules:
    """Which classes and runs are counted.

    Attributes:
        classes: The classes of the fold, or of each fold. Default: the classes of the episodes.
        base_classes: The base classes of the fold, or of each fold, if the rows count them. Default: those that occur.
        generalised: Whether novel and base classes were predicted together.
        run_length: Episodes per run, for all folds or for each, if a list holds several runs.
        absent_as_zero: Whether a base class that is in no label map counts 0. Default: True if `base_classes` is set.
    """

    classes: Classes = None
    base_classes: Classes = None
    generalised: bool = False
    run_length: int | Mapping[int, int] | None = None
    absent_as_zero: bool | None = None


def count_folds(frame: pd.DataFrame, counting: CountingRules) -> list[FoldCounts]:
    """Return the counts of each fold, sorted by fold.

    Raises:
        UsageError: If there is no row, a column is missing, or the classes do not fit the rows.
    """
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise UsageError(f"a frame of rows has the column '{missing[0]}', this one has {', '.join(frame.columns)}")
    if frame.empty:
        raise UsageError("there is no episode to summarise")
    folds = sorted({int(fold) for fold in frame["fold"]})
    runs = list(runs_of(frame, counting.run_length)) if counting.run_length else []
    return [
        FoldCounts(
            _counts(frame, fold, folds, counting),
            tuple(_counts(run, fold, folds, counting) for run in runs if len(runs) > 1 and (run["fold"] == fold).any()),
            _without_truth(frame[frame["fold"] == fold]),
        )
        for fold in folds
    ]


def _counts(frame: pd.DataFrame, fold: int, folds: list[int], counting: CountingRules) -> ClusterCounts:
    rows = frame[frame["fold"] == fold]
    known = _classes_of(counting.base_classes, fold, folds)
    base = None
    if "base" in rows.columns and not rows["base"].isna().all():
        as_zero = known is not None if counting.absent_as_zero is None else counting.absent_as_zero
        base = BaseClasses(known or base_classes_of(rows), as_zero, counting.generalised)
    return cluster_counts(rows, fold, _classes_of(counting.classes, fold, folds), base)


def _without_truth(rows: pd.DataFrame) -> tuple[int, ...]:
    """Return the classes of episodes that have no counted ground-truth pixel in any query.

    A label map may lose the last pixel of a class when it is resized to the size at which pixels are counted. In rows
    of earlier versions this can only be seen where no pixel of the class was predicted either (union 0).
    """
    there: dict[int, bool] = {}
    losses = rows["lost_query"] if "lost_query" in rows.columns else [None] * len(rows)
    for classes, truth, union, lost in zip(rows["classes"], rows["truth"], rows["union"], losses, strict=True):
        absent = lost if isinstance(lost, tuple) else (False,) * len(classes)
        for class_id, present, pixels, none_left in zip(classes, truth, union[1:], absent, strict=True):
            counts = bool(present and pixels and not none_left)
            there[int(class_id)] = there.get(int(class_id), False) or counts
    return tuple(sorted(class_id for class_id, found in there.items() if not found))


def _classes_of(classes: Classes, fold: int, folds: list[int]) -> tuple[int, ...] | None:
    if classes is None:
        return None
    if isinstance(classes, Mapping):
        if fold not in classes:
            raise UsageError(f"the rows have fold {fold}, but `classes` has no classes for it")
        return tuple(sorted(classes[fold]))
    if len(folds) > 1:
        raise UsageError(f"the rows have the folds {folds}: give the classes of each, as {{fold: classes}}")
    return tuple(sorted(classes))
