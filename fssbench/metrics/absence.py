"""What a method does with a query that holds no class of its episode, and with one that holds some.

An absent query is an episode whose query has no pixel of any of its classes. With P(e) the pixels of episode e that are
predicted as any of its classes and M(e) all pixels that are counted:

- empty: the share of the absent queries with P(e) = 0;
- false area: P(e) / M(e) of the absent queries, mean and median;
- wrongly empty: of the classes that are in a query of their episode, where pixels are counted, the share of which no
  pixel is predicted;
- mIoU with absent queries: that of all rows. The union of a class grows by the false positives in its absent queries;
- mIoU without: that of the other rows alone.

Numbers of several folds are the unweighted means of those of each, as papers do with mIoU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fssbench.metrics.counts import Floats
from fssbench.metrics.fold_counts import CountingRules, count_folds
from fssbench.metrics.summary import summary_of

if TYPE_CHECKING:
    import pandas as pd

RATES = ("empty", "false_area", "wrongly_empty")
"""The rates that are ratios of sums over episodes, in per cent; so they can be resampled."""
COUNTED = (0, 0, 3)
"""The column of `AbsenceSums.sums` that each rate is divided by."""


@dataclass(frozen=True)
class Absence:
    """The numbers of a fold, or of all folds; rates, areas and mIoU in per cent, NaN where there is nothing to count.

    Attributes:
        fold: The fold; None for the mean over all.
        absent: Number of absent queries.
        empty: Share of them in which nothing is predicted.
        false_area: Mean share of the pixels that is predicted in them.
        false_area_median: The median of that share.
        present: Number of classes that are in the query of their episode.
        wrongly_empty: Share of these of which nothing is predicted.
        miou: mIoU over all episodes.
        miou_present: mIoU over the episodes whose query holds a class of them.
    """

    fold: int | None
    absent: int
    empty: float
    false_area: float
    false_area_median: float
    present: int
    wrongly_empty: float
    miou: float
    miou_present: float


@dataclass(frozen=True, eq=False)
class AbsenceSums:
    """What the rates of a fold are computed from.

    Attributes:
        clusters: Stratum and query image of each cluster, sorted, as in `fssbench.metrics.counts.ClusterCounts`.
        sums: (clusters, 5): absent queries, empty ones of them, sum of their false areas, classes that are there, those
            of which nothing is predicted.
    """

    clusters: tuple[tuple[int, str], ...]
    sums: Floats

    def rates(self, totals: Floats) -> Floats:
        """Return `RATES` of sums over clusters, (..., 5), as (..., 3) in per cent; NaN for 0 of 0."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(100.0 * totals[..., (1, 2, 4)] / totals[..., COUNTED], dtype=np.float64)


def is_absent(frame: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return for each row whether its query holds no class of its episode, bool (rows,)."""
    return np.array([not any(truth) for truth in frame["truth"]], dtype=np.bool_)


def false_areas(frame: pd.DataFrame) -> Floats:
    """Return the share of the counted pixels of each absent query that are predicted as one of its classes, 0 to 1.

    All counted pixels are background there: those in the union of the background, but not in its intersection, are
    predicted as a class. This holds whatever the protocol counts of absent classes.
    """
    return np.array(
        [
            (union[0] - both[0]) / union[0] if union[0] else 0.0
            for both, union in zip(frame["intersection"], frame["union"], strict=True)
        ]
    )


def absence_sums(frame: pd.DataFrame) -> AbsenceSums:
    """Return the sums of the rows of one fold by cluster.

    Args:
        frame: Rows with the column `predicted` (`fssbench.results.Row`).
    """
    keys = [
        (classes[0] if len(classes) == 1 else 0, str(query))
        for classes, query in zip(frame["classes"], frame["query"], strict=True)
    ]
    clusters = sorted(set(keys))
    place = {key: number for number, key in enumerate(clusters)}
    sums = np.zeros((len(clusters), 5))
    lost = frame["lost_query"] if "lost_query" in frame.columns else [None] * len(frame)
    columns = zip(keys, is_absent(frame), false_areas(frame), frame["predicted"], frame["truth"], lost, strict=True)
    for key, absent, area, predicted, truth, gone in columns:
        row = sums[place[key]]
        if absent:
            row[:3] += (1, not any(predicted), area)
        # An object that has no pixel where pixels are counted can't be found.
        there = [there and not (gone and gone[n]) for n, there in enumerate(truth)]
        row[3] += sum(there)
        row[4] += sum(here and not pixels for here, pixels in zip(there, predicted, strict=True))
    return AbsenceSums(tuple(clusters), sums)


def absences(frame: pd.DataFrame, run_length: dict[int, int] | None = None) -> list[Absence]:
    """Return the numbers of each fold, sorted, and behind them those of all folds if there are several.

    Args:
        frame: Rows with the column `predicted`; not empty.
        run_length: Episodes per run of each fold, if a list holds several runs: mIoU is the mean over them.
    """
    folds = sorted({int(fold) for fold in frame["fold"]})
    found = [_of_fold(frame[frame["fold"] == fold], fold, (run_length or {}).get(fold)) for fold in folds]
    return [*found, _mean(found)] if len(found) > 1 else found


def _of_fold(frame: pd.DataFrame, fold: int, run_length: int | None) -> Absence:
    sums = absence_sums(frame)
    total = sums.sums.sum(axis=0)
    empty, area, wrongly = sums.rates(total).tolist()
    absent = is_absent(frame)
    areas = false_areas(frame[absent])
    return Absence(
        fold=fold,
        absent=int(total[0]),
        empty=empty,
        false_area=area,
        false_area_median=100.0 * float(np.median(areas)) if len(areas) else np.nan,
        present=int(total[3]),
        wrongly_empty=wrongly,
        miou=_miou(frame, run_length),
        miou_present=_miou(frame[~absent], run_length),
    )


def _miou(frame: pd.DataFrame, run_length: int | None) -> float:
    if frame.empty:
        return np.nan
    return summary_of(count_folds(frame, CountingRules(run_length=run_length)), draws=0, by_class=False).miou


def _mean(folds: Sequence[Absence]) -> Absence:
    def mean(name: str) -> float:
        return float(np.mean([getattr(fold, name) for fold in folds]))

    return Absence(
        fold=None,
        absent=sum(fold.absent for fold in folds),
        empty=mean("empty"),
        false_area=mean("false_area"),
        false_area_median=mean("false_area_median"),
        present=sum(fold.present for fold in folds),
        wrongly_empty=mean("wrongly_empty"),
        miou=mean("miou"),
        miou_present=mean("miou_present"),
    )
