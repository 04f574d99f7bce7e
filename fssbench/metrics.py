"""From rows to numbers: mIoU, FB-IoU, exact ratio, and how far chance moves them.

All sums are over exact integers, so neither the order of the rows nor how the work was split changes a digit. The
releases sum in float32 and lose the last pixels of large sums: their numbers differ by about 1e-6 of their size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np

from fssbench.errors import UsageError
from fssbench.tallies import BaseClasses, Floats, Ratios, Tally, base_classes_of, bootstrap, tally

if TYPE_CHECKING:
    import pandas as pd

DRAWS = 2000
LEVEL = 0.95
COLUMNS = ("fold", "query", "classes", "intersection", "union", "present", "truth")
"""What a frame needs to be summarised."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval, in per cent."""

    low: float
    high: float


@dataclass(frozen=True)
class Scores:
    """The numbers that papers print, in per cent.

    Attributes:
        miou: Mean over the classes of a fold of each class's IoU.
        fb_iou: Mean of the IoU of foreground and of background, each over all episodes of a fold.
        exact_ratio: Share of episodes in which every answer "this class is (not) in the query" is right.
        base_miou: Mean over the base classes of each one's IoU; None if they were not counted.
        total_miou: Mean over novel and base classes; None unless they were asked together.
    """

    miou: float
    fb_iou: float
    exact_ratio: float
    base_miou: float | None = field(default=None, kw_only=True)
    total_miou: float | None = field(default=None, kw_only=True)


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
    """

    fold: int
    episodes: int
    classes: tuple[int, ...]
    asked: tuple[int, ...]
    intervals: Mapping[str, Interval]
    base_classes: tuple[int, ...] = ()
    runs: tuple[Scores, ...] = ()


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

    Intervals are percentiles of a bootstrap that draws query images, each with all its episodes, as many as there
    are: within each class for 1-way episodes, within the fold for more ways. Sums and ratios are taken anew in each
    draw. They say how far the choice of queries moves the number, not how far training does.

    Args:
        frame: A row per episode, with the columns `COLUMNS`; see `fssbench.results.Row`.
        classes: The classes of the fold, or of each fold. One that no episode asks then counts 0, as in the
            releases. Default: the classes that were asked.
        base_classes: Where the rows count base classes too (column `base`): those of the fold, or of each fold. One
            that no label holds then counts 0. Default: those that a label holds.
        generalised: Whether novel and base classes were asked together, so that both are foreground.
        run_length: Episodes per run, of all folds or of each, where a list holds several runs one after the other
            (column `episode`). The numbers are then means over the runs; intervals and classes are of all together.
        draws: Number of bootstrap draws; 0 leaves the intervals out.
        level: Share of the draws that an interval covers.
        seed: Seed of the draws.

    Raises:
        UsageError: If there is no row, a column is missing, or `classes` does not fit the rows.
    """
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise UsageError(f"a frame of rows has the column '{missing[0]}', this one has {', '.join(frame.columns)}")
    if frame.empty:
        raise UsageError("there is no episode to summarise")
    if draws < 0 or not 0 < level < 1:
        raise UsageError(f"draws are 0 or more and a level is between 0 and 1, not {draws} and {level}")
    if run_length:
        from fssbench.runs import runs_of, with_runs

        counted = partial(summarise, classes=classes, base_classes=base_classes, generalised=generalised)
        runs = [counted(rows, draws=0) for rows in runs_of(frame, run_length)]
        together = counted(frame, draws=draws, level=level, seed=seed)
        return with_runs(together, runs) if len(runs) > 1 else together
    folds = sorted({int(fold) for fold in frame["fold"]})
    tallies = []
    for fold in folds:
        rows = frame[frame["fold"] == fold]
        base = _base_of(rows, _classes_of(base_classes, fold, folds), generalised=generalised)
        tallies.append(tally(rows, fold, _classes_of(classes, fold, folds), base))
    samples = [bootstrap(its, draws, np.random.default_rng([seed, its.fold])) for its in tallies]
    summaries = tuple(_summary_of(its, sample, level) for its, sample in zip(tallies, samples, strict=True))
    names = [name for name in _RATIOS if all(getattr(sample, name) is not None for sample in samples)]
    means = Ratios(**{name: np.mean([getattr(sample, name) for sample in samples], axis=0) for name in names})
    return Summary(
        **{name: float(np.mean([getattr(fold, name) for fold in summaries])) for name in names},
        episodes=len(frame),
        folds=summaries,
        per_class=_class_table(tallies, samples, level),
        intervals=_intervals(means, level),
        runs=(),
    )


_RATIOS = ("miou", "fb_iou", "exact_ratio", "base_miou", "total_miou")


def _base_of(rows: pd.DataFrame, known: tuple[int, ...] | None, *, generalised: bool) -> BaseClasses | None:
    if "base" not in rows.columns or rows["base"].isna().all():
        return None
    return BaseClasses(known or base_classes_of(rows), known is not None, generalised)


def _classes_of(
    classes: Sequence[int] | Mapping[int, Sequence[int]] | None, fold: int, folds: list[int]
) -> tuple[int, ...] | None:
    if classes is None:
        return None
    if isinstance(classes, Mapping):
        if fold not in classes:
            raise UsageError(f"the rows have fold {fold}, of which no classes are given")
        return tuple(sorted(classes[fold]))
    if len(folds) > 1:
        raise UsageError(f"the rows have the folds {folds}: give the classes of each, as {{fold: classes}}")
    return tuple(sorted(classes))


def _intervals(sample: Ratios, level: float) -> dict[str, Interval]:
    if not sample.miou.size:
        return {}
    tails = [50.0 * (1.0 - level), 50.0 * (1.0 + level)]
    drawn = {name: getattr(sample, name) for name in _RATIOS}
    return {
        name: Interval(*map(float, np.percentile(values, tails)))
        for name, values in drawn.items()
        if values is not None
    }


def _summary_of(its: Tally, sample: Ratios, level: float) -> FoldSummary:
    ratios = its.ratios(its.sums.sum(axis=0))
    return FoldSummary(
        miou=float(ratios.miou),
        fb_iou=float(ratios.fb_iou),
        exact_ratio=float(ratios.exact_ratio),
        base_miou=None if ratios.base_miou is None else float(ratios.base_miou),
        total_miou=None if ratios.total_miou is None else float(ratios.total_miou),
        fold=its.fold,
        episodes=its.episodes,
        classes=its.classes,
        asked=tuple(c for c, times in zip(its.classes, its.times_asked, strict=True) if times),
        intervals=_intervals(sample, level),
        base_classes=its.base_counted,
    )


def _class_table(tallies: list[Tally], samples: list[Ratios], level: float) -> pd.DataFrame:
    import pandas as pd

    tables = []
    tails = [50.0 * (1.0 - level), 50.0 * (1.0 + level)]
    for its, sample in zip(tallies, samples, strict=True):
        width = len(its.classes)
        sums = its.sums.sum(axis=0)
        drawn = cast("Floats", sample.per_class)
        low, high = np.percentile(drawn, tails, axis=0) if len(drawn) else np.full((2, width), np.nan)
        columns = {
            "fold": np.full(width, its.fold, dtype=np.int64),
            "class_id": np.array(its.classes, dtype=np.int64),
            "episodes": its.times_asked,
            "intersection": sums[:width],
            "union": sums[width : 2 * width],
            "iou": cast("Floats", its.ratios(sums).per_class),
            "low": low,
            "high": high,
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)
