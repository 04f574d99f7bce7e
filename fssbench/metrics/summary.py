"""From rows to numbers: mIoU, FB-IoU, exact ratio, and how far chance moves them.

All sums are over exact integers, so neither the order of the rows nor how the work was split changes a digit. The
releases sum in float32 and lose the last pixels of large sums: their numbers differ by about 1e-6 of their size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np

from fssbench.errors import UsageError
from fssbench.metrics.bootstrap import bootstrap, degrees_of_freedom
from fssbench.metrics.counts import RATIOS, Floats, Ratios, mean_ratios
from fssbench.metrics.fold_counts import COLUMNS, CountingRules, FoldCounts, count_folds
from fssbench.metrics.intervals import Interval, Sample, interval, interval_of_mean

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "DRAWS", "LEVEL", "FoldSummary", "Interval", "Scores", "Summary", "summarise"]

DRAWS = 10_000
LEVEL = 0.95


@dataclass(frozen=True)
class Scores:
    """The numbers that papers print, in per cent.

    Attributes:
        miou: Mean over the classes of a fold of each class's IoU.
        fb_iou: Mean of the IoU of foreground and of background, each over all episodes of a fold.
        exact_ratio: Share of episodes in which every answer "this class is (not) in the query" is right.
        base_miou: Mean over the base classes of each one's IoU; None if they were not counted.
        total_miou: Mean over novel and base classes; None unless they were asked together.
        miou_all_classes: As `miou`, over all classes of a fold, those that no episode asks as 0; None where they are
            not known (`fssbench.results.Results.summary` knows them).
        base_miou_all_classes: As `base_miou`, those that no label holds as 0; None unless asked together.
        total_miou_all_classes: As `total_miou`, likewise.
    """

    miou: float
    fb_iou: float
    exact_ratio: float
    base_miou: float | None = field(default=None, kw_only=True)
    total_miou: float | None = field(default=None, kw_only=True)
    miou_all_classes: float | None = field(default=None, kw_only=True)
    base_miou_all_classes: float | None = field(default=None, kw_only=True)
    total_miou_all_classes: float | None = field(default=None, kw_only=True)


_Of = TypeVar("_Of", bound=Scores)


@dataclass(frozen=True, eq=False)
class FoldSummary(Scores):
    """The numbers of one fold.

    Attributes:
        fold: Its number.
        episodes: How many episodes were counted.
        classes: The classes that the mean is over.
        asked: Those of them that an episode asked; the others count 0.
        intervals: For "miou", "fb_iou", "exact_ratio", and "base_miou", "total_miou" where there are, the confidence
            interval.
        base_classes: The base classes that their mean is over.
        runs: Each run's numbers, where there are several; the fold's own are their means then.
        without_truth: Those of `asked` that no query has a pixel of: they count 0, however right the answers are.
    """

    fold: int
    episodes: int
    classes: tuple[int, ...]
    asked: tuple[int, ...]
    intervals: Mapping[str, Interval]
    base_classes: tuple[int, ...] = ()
    runs: tuple[Scores, ...] = ()
    without_truth: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Summary(Scores):
    """The numbers of a run: per fold, and their plain mean over the folds, as papers print it.

    Attributes:
        episodes: How many episodes were counted.
        folds: Each fold's numbers, by rising fold.
        per_class: A row per (fold, class): `fold`, `class_id`, `episodes` (that asked it), `intersection`, `union`
            (pixels), `iou`, `low`, `high` (per cent).
        intervals: For each of the numbers that there are the confidence interval of the mean over the folds.
        runs: Each run's means over the folds, where there are several runs.
    """

    episodes: int
    folds: tuple[FoldSummary, ...]
    per_class: pd.DataFrame
    intervals: Mapping[str, Interval]
    runs: tuple[Scores, ...] = ()

    @property
    def frame(self) -> pd.DataFrame:
        """The numbers as a frame: a row per fold, and one of their mean, whose `fold` is "mean".

        Columns are `fold`, `episodes`, and the attributes of `Scores`, in per cent; NaN for what is None.
        """
        import pandas as pd

        rows: list[tuple[str, FoldSummary | Summary]] = [
            *((str(fold.fold), fold) for fold in self.folds),
            ("mean", self),
        ]
        names = [each.name for each in fields(Scores)]
        columns = {"fold": [name for name, _ in rows], "episodes": [of.episodes for _, of in rows]}
        numbers = {name: [getattr(of, name) for _, of in rows] for name in names}
        return pd.DataFrame({**columns, **{name: pd.Series(of, dtype="float64") for name, of in numbers.items()}})


def with_all_classes(summary: Summary, counted_0: Summary) -> Summary:
    """Return a summary that also has the numbers of one in which the classes that no episode asks count 0.

    Args:
        summary: Over the classes that were asked.
        counted_0: Of the same rows, over all classes (`classes` and `base_classes` of `summarise`).
    """
    folds = tuple(
        replace(_with_all(fold, other), runs=tuple(map(_with_all, fold.runs, other.runs)))
        for fold, other in zip(summary.folds, counted_0.folds, strict=True)
    )
    return replace(_with_all(summary, counted_0), folds=folds, runs=tuple(map(_with_all, summary.runs, counted_0.runs)))


def _with_all(scores: _Of, other: Scores) -> _Of:
    together = scores.total_miou is not None
    return replace(
        scores,
        miou_all_classes=other.miou,
        base_miou_all_classes=other.base_miou if together else None,
        total_miou_all_classes=other.total_miou if together else None,
    )


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
    """Return the numbers that the rows of a run give.

    Per class and fold, intersections and unions are summed over the episodes before the ratio is taken
    (`AverageMeter` in HSNet's common/logger.py and in iFSL's fs-cs/common/evaluation.py). With N ways, way n counts
    for its class. Foreground is the sum over the classes, background the sum over the episodes' own background.

    Intervals are x ± t s: s from a bootstrap that draws query images, each with all its episodes, within each class
    for 1-way episodes and within the fold for more ways, and takes sums and ratios anew in each draw; t from Student's
    distribution (bootstrap.py, intervals.py). They say how far the choice of queries moves
    the number, not how far training does. With few queries of a class they are too narrow, as the ratio is biased then:
    of nominal 95 %, about 92 % at 40 queries a class and 90 % at 10 (docs/statistics.md).

    Args:
        frame: A row per episode, with the columns `COLUMNS`; see `fssbench.results.Row`.
        classes: The classes of the fold, or of each fold. One that no episode asks then counts 0, as in the
            releases. Default: the classes that were asked.
        base_classes: Where the rows count base classes too (column `base`): those of the fold, or of each fold. One
            that no label holds then counts 0. Default: those that a label holds.
        generalised: Whether novel and base classes were asked together, so that both are foreground.
        run_length: Episodes per run, of all folds or of each, where a list holds several runs one after the other
            (column `episode`). The numbers are then means over the runs, and the intervals are of these means; classes
            are of all together.
        draws: Number of bootstrap draws; 0 leaves the intervals out.
        level: Nominal coverage of the intervals.
        seed: Seed of the draws.

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


def summary_of(folds: Sequence[FoldCounts], *, draws: int = DRAWS, level: float = LEVEL, seed: int = 0) -> Summary:
    """Return the numbers of folds that are counted already, by rising fold; see `summarise`."""
    if draws < 0 or not 0 < level < 1:
        raise UsageError(f"draws are 0 or more and a level is between 0 and 1, not {draws} and {level}")
    drawn = [_draw(its, draws, np.random.default_rng([seed, its.total.fold])) for its in folds]
    summaries = tuple(_fold_summary(its, sample, level) for its, sample in zip(folds, drawn, strict=True))
    numbers = mean_ratios([its.ratios() for its in folds])
    complete = min(len(fold.runs) for fold in summaries)
    return Summary(
        **_values(numbers),
        episodes=sum(its.total.episodes for its in folds),
        folds=summaries,
        per_class=_class_table(folds, drawn, level),
        intervals=_intervals(_values(numbers), folds, drawn, level),
        runs=tuple(_mean_scores([fold.runs[run] for fold in summaries]) for run in range(complete)),
    )


@dataclass(frozen=True)
class _Drawn:
    """What a bootstrap drew of a fold: its numbers, and its classes over all episodes."""

    numbers: Ratios
    per_class: Floats


def _draw(its: FoldCounts, draws: int, generator: np.random.Generator) -> _Drawn:
    together, *runs = bootstrap([its.total, *its.runs], draws, generator)
    return _Drawn(mean_ratios(runs or [together]), cast("Floats", together.per_class))


def _values(ratios: Ratios) -> dict[str, float]:
    return {name: float(its) for name in RATIOS if (its := getattr(ratios, name)) is not None}


def _mean_scores(over: Sequence[Scores]) -> Scores:
    known = {name: [its for one in over if (its := getattr(one, name)) is not None] for name in RATIOS}
    return Scores(**{name: float(np.mean(its)) for name, its in known.items() if len(its) == len(over)})


def _intervals(
    names: Iterable[str], folds: Sequence[FoldCounts], drawn: Sequence[_Drawn], level: float
) -> dict[str, Interval]:
    """Return the interval of each number's mean over folds."""
    if not drawn[0].numbers.miou.size:
        return {}
    parts = [
        (_values(its.ratios()), sample.numbers, degrees_of_freedom([its.total]))
        for its, sample in zip(folds, drawn, strict=True)
    ]
    return {
        name: interval_of_mean(
            [Sample(values[name], getattr(numbers, name), freedom) for values, numbers, freedom in parts], level
        )
        for name in names
    }


def _fold_summary(its: FoldCounts, drawn: _Drawn, level: float) -> FoldSummary:
    numbers, together = its.ratios(), its.total
    return FoldSummary(
        **_values(numbers),
        fold=together.fold,
        episodes=together.episodes,
        classes=together.classes,
        asked=tuple(c for c, times in zip(together.classes, together.episodes_per_class, strict=True) if times),
        intervals=_intervals(_values(numbers), [its], [drawn], level),
        base_classes=together.base_counted,
        runs=tuple(Scores(**_values(run.ratios(run.sums.sum(axis=0)))) for run in its.runs),
        without_truth=its.without_truth,
    )


def _class_table(folds: Sequence[FoldCounts], drawn: Sequence[_Drawn], level: float) -> pd.DataFrame:
    import pandas as pd

    tables = []
    for its, sample in zip((fold.total for fold in folds), drawn, strict=True):
        width = len(its.classes)
        sums = its.sums.sum(axis=0)
        iou = cast("Floats", its.ratios(sums).per_class)
        bounds = [
            interval(float(value), sample.per_class[:, place], its.class_degrees_of_freedom(place), level)
            if len(sample.per_class)
            else Interval(np.nan, np.nan)
            for place, value in enumerate(iou)
        ]
        columns = {
            "fold": np.full(width, its.fold, dtype=np.int64),
            "class_id": np.array(its.classes, dtype=np.int64),
            "episodes": its.episodes_per_class,
            "intersection": sums[:width],
            "union": sums[width : 2 * width],
            "iou": iou,
            "low": [each.low for each in bounds],
            "high": [each.high for each in bounds],
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)
