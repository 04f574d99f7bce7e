"""What a change of a run is worth: the difference of a metric before and after, with its clustered interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from fssbench.errors import UsageError
from fssbench.metrics.bootstrap import bootstrap, degrees_of_freedom
from fssbench.metrics.counts import Ratios, mean_ratios
from fssbench.metrics.fold_counts import CountingRules, FoldCounts, count_folds
from fssbench.metrics.intervals import Interval, Sample, interval_of_mean
from fssbench.metrics.summary import DRAWS, LEVEL

if TYPE_CHECKING:
    import pandas as pd

    from fssbench.results.record import Run

Measure = Literal["miou", "fb_iou", "exact_ratio"]
MEASURES: dict[Measure, str] = {"miou": "mIoU", "fb_iou": "FB-IoU", "exact_ratio": "ER"}


@dataclass(frozen=True)
class Worth:
    """A difference of a metric.

    Attributes:
        before: The metric before, in per cent: the mean over the folds.
        after: The metric after.
        points: after - before, in percentage points.
        interval: Its confidence interval.
    """

    before: float
    after: float
    points: float
    interval: Interval


def value_of(frame: pd.DataFrame, run: Run, folds: Sequence[int], measure: Measure) -> float:
    """Return a metric of the rows of a run, in per cent: the mean over these folds.

    Raises:
        UsageError: If there is no row.
    """
    return float(np.mean([_value(one.ratios(), measure) for one in _counts(frame, run, folds)]))


def worth(
    before: tuple[pd.DataFrame, Run],
    after: tuple[pd.DataFrame, Run],
    folds: Sequence[int],
    measure: Measure = "miou",
    *,
    draws: int = DRAWS,
    level: float = LEVEL,
    seed: int = 0,
) -> Worth:
    """Return the difference of a metric between two sets of rows.

    The bootstrap draws the same query images for both (`fssbench.metrics.bootstrap`), so that an image in both moves
    both: on the same episodes it is that of `fssbench compare`. Of two lists with few images in common the interval is
    nearly that of two independent runs.

    Args:
        before: Rows, and the record that says how they are averaged.
        after: The same after the change.
        folds: The folds whose metrics are averaged.
        measure: The metric.
        draws: Number of bootstrap draws.
        level: Nominal coverage of the interval.
        seed: Seed of the bootstrap.

    Raises:
        UsageError: If there is no row of a fold.
    """
    pairs = list(zip(_counts(*before, folds), _counts(*after, folds), strict=True))
    values = np.array([[_value(one.ratios(), measure) for one in pair] for pair in pairs])
    samples = []
    for (mine, theirs), (x, y), fold in zip(pairs, values, folds, strict=True):
        drawn = bootstrap([*mine.parts, *theirs.parts], draws, np.random.default_rng([seed, fold]))
        first, second = mean_ratios(drawn[: len(mine.parts)]), mean_ratios(drawn[len(mine.parts) :])
        moved = np.asarray(getattr(second, measure) - getattr(first, measure))
        samples.append(Sample(float(y - x), moved, degrees_of_freedom([mine.total, theirs.total])))
    x, y = values.mean(axis=0).tolist()
    return Worth(x, y, y - x, interval_of_mean(samples, level, -100.0))


def _counts(frame: pd.DataFrame, run: Run, folds: Sequence[int]) -> list[FoldCounts]:
    rows = frame[frame["fold"].isin(list(folds))]
    lengths = {fold.fold: fold.run_length for fold in run.folds if fold.run_length}
    found = count_folds(rows, CountingRules(None, None, run.generalised, lengths))
    if len(found) != len(folds):
        raise UsageError(f"there are rows of {len(found)} of the {len(folds)} folds")
    return found


def _value(ratios: Ratios, measure: Measure) -> float:
    return float(getattr(ratios, measure))
