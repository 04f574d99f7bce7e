"""From rows to metrics: mIoU, FB-IoU, exact ratio, and their confidence intervals.

All sums are exact integers, so the result does not depend on the order of the rows or on how the work was split. The
releases sum in float32, which is not exact for large sums: their metrics differ by about 1e-6 (relative).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from fssbench.errors import UsageError
from fssbench.metrics.bootstrap import bootstrap, degrees_of_freedom, totals_of
from fssbench.metrics.counts import RATIOS, ClusterCounts, Floats, Ratios, mean_ratios
from fssbench.metrics.fold_counts import COLUMNS, CountingRules, FoldCounts, count_folds
from fssbench.metrics.intervals import FEW, Interval, Sample, interval, interval_of_mean, not_given
from fssbench.metrics.scores import FoldSummary, Scores, Summary

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "DRAWS", "LEVEL", "FoldSummary", "Interval", "Scores", "Summary", "summarise"]

DRAWS = 10_000
LEVEL = 0.95
NOT_DRAWN = "none was drawn"

Totals = Sequence[Floats] | None
"""The sums of a fold in each draw, as a list of one; None where they are not drawn yet."""


def summarise(
    frame: pd.DataFrame,
    classes: Sequence[int] | Mapping[int, Sequence[int]] | None = None,
    *,
    base_classes: Sequence[int] | Mapping[int, Sequence[int]] | None = None,
    generalised: bool = False,
    run_length: int | Mapping[int, int] | None = None,
    draws: int = DRAWS,
    level: float = LEVEL,
    seed: int = 0,
) -> Summary:
    """Return the metrics of the rows of a run.

    For each class and fold, intersections and unions are summed over the episodes before the ratio is taken
    (`AverageMeter` in HSNet's common/logger.py and in iFSL's fs-cs/common/evaluation.py). In an N-way episode, way n
    counts for class n of the episode. Foreground is the sum over the classes, background the sum over the episodes.

    Intervals are x ± t s (bootstrap.py, intervals.py). s is the standard deviation over bootstrap draws: each draw
    resamples the query images, with all episodes of an image, within each class for 1-way episodes and within the fold
    for more ways. t is the quantile of Student's t distribution. The intervals cover the choice of the queries, not the
    variance of training. With few queries per class they are too narrow, because the ratio is biased: a nominal 95 %
    is about 92 % with 40 queries per class, and 90 % with 10 (docs/statistics.md). One that can't be given, such as
    that of a single query, has NaN at its ends, and the reason (`Interval`).

    Args:
        frame: A row per episode, with the columns `COLUMNS`; see `fssbench.results.Row`.
        classes: The classes of the fold, or of each fold. A class without an episode then counts as 0, as in the
            releases. Default: the classes of the episodes.
        base_classes: The base classes of the fold, or of each fold, if the rows count them (column `base`). A base
            class that is in no label map then counts as 0. Default: the base classes that are in a label map.
        generalised: Whether novel and base classes were predicted together, so that both are foreground.
        run_length: Episodes per run, for all folds or for each, if a list holds several runs one after the other
            (column `episode`). The metrics and their intervals are then those of the mean over the runs; the per-class
            table is of all runs together.
        draws: Number of bootstrap draws; 0 omits the intervals.
        level: Nominal coverage of the intervals.
        seed: Seed of the bootstrap.

    Raises:
        UsageError: If there is no row, a column is missing, or `classes` does not fit the rows.

    Examples:
        >>> import fssbench
        >>> dataset = fssbench.open_dataset("shapes20i")
        >>> episodes = fssbench.episodes(dataset, fold=0, way=1, shot=1, protocol="shapes", count=3)
        >>> results = fssbench.evaluate(fssbench.build("all-foreground"), dataset, episodes)
        >>> summary = fssbench.summarise(results.frame)
        >>> f"mIoU {summary.miou:.2f} %, FB-IoU {summary.fb_iou:.2f} %"
        'mIoU 5.26 %, FB-IoU 2.72 %'
    """
    folds = count_folds(frame, CountingRules(classes, base_classes, generalised, run_length))
    return summary_of(folds, draws=draws, level=level, seed=seed)


def totals_together(
    many: Sequence[Sequence[FoldCounts]], draws: int, seed: int = 0, measures: Collection[str] = RATIOS
) -> list[list[Totals]]:
    """Return the sums in each draw for the folds of several runs, each as `summary_of` would draw them alone.

    Runs of one list share their draws, and are multiplied with them at once. A fold with several runs in its list is
    left to `summary_of`: its totals are None.

    Args:
        many: The counts of the folds of each run.
        draws: As for `summarise`.
        seed: As for `summarise`.
        measures: The metrics that get an interval; `summary_of` must not be called for others.
    """
    found: list[list[Totals]] = [[None] * len(folds) for folds in many]
    alike: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for number, folds in enumerate(many):
        for place, counts in enumerate(folds):
            if not counts.runs:
                alike.setdefault((counts.total.fold, id(counts.total.clusters)), []).append((number, place))
    for (fold, _), places in alike.items():
        parts = [many[number][place].total for number, place in places]
        for (number, place), totals in zip(places, totals_of(parts, draws, (seed, fold), measures), strict=True):
            found[number][place] = [totals]
    return found


def summary_of(
    folds: Sequence[FoldCounts],
    *,
    draws: int = DRAWS,
    level: float = LEVEL,
    seed: int = 0,
    by_class: bool = True,
    totals: Sequence[Totals] = (),
    measures: Collection[str] = RATIOS,
) -> Summary:
    """Return the metrics of folds whose counts are known, sorted by fold; see `summarise`.

    Args:
        folds: The counts.
        draws: As for `summarise`.
        level: As for `summarise`.
        seed: As for `summarise`.
        by_class: Whether the table of the classes is wanted; it takes longer than the rest where no interval is drawn,
            and needs pandas. Without it the summary has none (`per_class` is None).
        totals: The result of `totals_together` for these folds, if it is known already.
        measures: The metrics that get an interval.
    """
    if draws < 0 or not 0 < level < 1:
        raise UsageError(f"draws are 0 or more and a level is between 0 and 1, not {draws} and {level}")
    known = totals or [None] * len(folds)
    drawn = [_draw(counts, draws, (seed, counts.total.fold), one) for counts, one in zip(folds, known, strict=True)]
    summaries = tuple(
        _fold_summary(counts, sample, level, measures) for counts, sample in zip(folds, drawn, strict=True)
    )
    numbers = mean_ratios([counts.ratios() for counts in folds])
    complete = min(len(fold.runs) for fold in summaries)
    return Summary(
        **_values(numbers),
        episodes=sum(counts.total.episodes for counts in folds),
        folds=summaries,
        per_class=_class_table(folds, drawn, level) if by_class else cast("pd.DataFrame", None),
        intervals=_intervals([name for name in _values(numbers) if name in measures], folds, drawn, level),
        runs=tuple(_mean_scores([fold.runs[run] for fold in summaries]) for run in range(complete)),
    )


@dataclass(frozen=True)
class _Drawn:
    """The bootstrap draws of a fold: of its metrics, and of its classes over all episodes."""

    numbers: Ratios
    per_class: Floats


def _draw(counts: FoldCounts, draws: int, seed: tuple[int, int], totals: Totals) -> _Drawn:
    if not draws:
        none = np.zeros(0)
        return _Drawn(Ratios(none, none, none), np.zeros((0, len(counts.total.classes))))
    total, *runs = bootstrap([counts.total, *counts.runs], draws, seed, totals)
    return _Drawn(mean_ratios(runs or [total]), cast("Floats", total.per_class))


def _values(ratios: Ratios) -> dict[str, float]:
    return {name: float(value) for name in RATIOS if (value := getattr(ratios, name)) is not None}


def _mean_scores(over: Sequence[Scores]) -> Scores:
    columns = {name: [getattr(scores, name) for scores in over] for name in RATIOS}
    return Scores(
        **{name: float(np.mean(values)) for name, values in columns.items() if all(v is not None for v in values)}
    )


def _intervals(
    names: Iterable[str], folds: Sequence[FoldCounts], drawn: Sequence[_Drawn], level: float
) -> dict[str, Interval]:
    """Return the interval of the mean over folds, by metric."""
    if not drawn[0].numbers.miou.size:
        return {}
    parts = [
        (counts.total, _values(counts.ratios()), sample.numbers) for counts, sample in zip(folds, drawn, strict=True)
    ]
    return {
        name: interval_of_mean(
            [sample_of(total, values[name], getattr(numbers, name)) for total, values, numbers in parts], level
        )
        for name in names
    }


def sample_of(total: ClusterCounts, value: float, drawn: Floats) -> Sample:
    """Return a metric of a fold with its draws.

    Args:
        total: The counts of the fold.
        value: The metric, in per cent.
        drawn: Its draws, (draws,).
    """
    few = "there is one query image" if len(total.clusters) == 1 else FEW
    return Sample(value, drawn, degrees_of_freedom([total]), f"fold {total.fold}", few)


def _fold_summary(counts: FoldCounts, drawn: _Drawn, level: float, measures: Collection[str]) -> FoldSummary:
    numbers, total = counts.ratios(), counts.total
    return FoldSummary(
        **_values(numbers),
        fold=total.fold,
        episodes=total.episodes,
        classes=total.classes,
        asked=tuple(c for c, times in zip(total.classes, total.episodes_per_class, strict=True) if times),
        intervals=_intervals([name for name in _values(numbers) if name in measures], [counts], [drawn], level),
        base_classes=total.base_counted,
        runs=tuple(Scores(**_values(run.ratios(run.sums.sum(axis=0)))) for run in counts.runs),
        without_truth=counts.without_truth,
    )


def _class_table(folds: Sequence[FoldCounts], drawn: Sequence[_Drawn], level: float) -> pd.DataFrame:
    import pandas as pd

    tables = []
    for counts, sample in zip((fold.total for fold in folds), drawn, strict=True):
        width = len(counts.classes)
        sums = counts.sums.sum(axis=0)
        iou = cast("Floats", counts.ratios(sums).per_class)
        bounds = [
            interval(
                float(value),
                sample.per_class[:, place],
                counts.class_degrees_of_freedom(place),
                level,
                few=f"{'one query image has' if sums[width + place] else 'no query image has'} a pixel of it",
            )
            if len(sample.per_class)
            else not_given(NOT_DRAWN)
            for place, value in enumerate(iou)
        ]
        columns = {
            "fold": np.full(width, counts.fold, dtype=np.int64),
            "class_id": np.array(counts.classes, dtype=np.int64),
            "episodes": counts.episodes_per_class,
            "intersection": sums[:width],
            "union": sums[width : 2 * width],
            "iou": iou,
            "low": [each.low for each in bounds],
            "high": [each.high for each in bounds],
            "no_interval": [each.reason for each in bounds],
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)
