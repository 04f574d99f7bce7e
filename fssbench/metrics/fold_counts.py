"""From the rows of a run to the counts of its folds: which classes are counted, and which rows are one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fssbench.errors import UsageError
from fssbench.metrics.counts import BaseClasses, ClusterCounts, Ratios, base_classes_of, cluster_counts, mean_ratios
from fssbench.metrics.runs import runs_of

if TYPE_CHECKING:
    import pandas as pd

Classes = Sequence[int] | Mapping[int, Sequence[int]] | None
"""Classes of the fold, or of each fold; None for those that the rows have."""

COLUMNS = ("fold", "query", "classes", "intersection", "union", "present", "truth")
"""What a frame needs to be counted."""


@dataclass(frozen=True)
class FoldCounts:
    """The counts of one fold.

    Attributes:
        total: Of all its episodes.
        runs: Of each run, where the list holds several.
        without_truth: Classes that episodes ask although the truth of none has a pixel of them that is counted.
    """

    total: ClusterCounts
    runs: tuple[ClusterCounts, ...] = ()
    without_truth: tuple[int, ...] = ()

    @property
    def parts(self) -> tuple[ClusterCounts, ...]:
        """What the fold's numbers are means over."""
        return self.runs or (self.total,)

    def ratios(self) -> Ratios:
        """Return the fold's numbers: the means over its runs."""
        return mean_ratios([part.ratios(part.sums.sum(axis=0)) for part in self.parts])


@dataclass(frozen=True)
class CountingRules:
    """What is counted.

    Attributes:
        classes: The classes of the fold, or of each fold. Default: those that were asked.
        base_classes: Where the rows count base classes too, those. Default: those that the rows count.
        generalised: Whether novel and base classes were asked together.
        run_length: Episodes per run, of all folds or of each, where a list holds several runs.
        whole: Whether a base class that no label holds counts 0; default: if they are named.
    """

    classes: Classes = None
    base_classes: Classes = None
    generalised: bool = False
    run_length: int | Mapping[int, int] | None = None
    whole: bool | None = None


def count_folds(frame: pd.DataFrame, counting: CountingRules) -> list[FoldCounts]:
    """Return the counts of each fold, by rising fold.

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
        whole = known is not None if counting.whole is None else counting.whole
        base = BaseClasses(known or base_classes_of(rows), whole, counting.generalised)
    return cluster_counts(rows, fold, _classes_of(counting.classes, fold, folds), base)


def _without_truth(rows: pd.DataFrame) -> tuple[int, ...]:
    """Return the classes that are asked, but have no pixel in a label map, or in none where a pixel of them counts.

    A label map may lose its last pixel of a class on the way to the size at which it is counted. Rows of earlier
    versions say so only where the answer has no pixel of the class either.
    """
    there: dict[int, bool] = {}
    losses = rows["lost_query"] if "lost_query" in rows.columns else [None] * len(rows)
    for classes, truth, union, lost in zip(rows["classes"], rows["truth"], rows["union"], losses, strict=True):
        gone = lost if isinstance(lost, tuple) else (False,) * len(classes)
        for class_id, present, pixels, none_left in zip(classes, truth, union[1:], gone, strict=True):
            counts = bool(present and pixels and not none_left)
            there[int(class_id)] = there.get(int(class_id), False) or counts
    return tuple(sorted(class_id for class_id, found in there.items() if not found))


def _classes_of(classes: Classes, fold: int, folds: list[int]) -> tuple[int, ...] | None:
    if classes is None:
        return None
    if isinstance(classes, Mapping):
        if fold not in classes:
            raise UsageError(f"the rows have fold {fold}, of which no classes are given")
        return tuple(sorted(classes[fold]))
    if len(folds) > 1:
        raise UsageError(f"the rows have the folds {folds}: give the classes of each, as {{fold: classes}}")
    return tuple(sorted(classes))
