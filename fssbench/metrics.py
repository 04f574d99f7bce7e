"""From rows to numbers: mIoU, FB-IoU, exact ratio, and how far chance moves them.

All sums are over exact integers, so neither the order of the rows nor how the work was split changes a digit. The
releases sum in float32 and lose the last pixels of large sums: their numbers differ by about 1e-6 of their size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from fssbench.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

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
    """The three numbers that papers print, in per cent.

    Attributes:
        miou: Mean over the classes of a fold of each class's IoU.
        fb_iou: Mean of the IoU of foreground and of background, each over all episodes of a fold.
        exact_ratio: Share of episodes in which every answer "this class is (not) in the query" is right.
    """

    miou: float
    fb_iou: float
    exact_ratio: float


@dataclass(frozen=True, eq=False)
class FoldSummary(Scores):
    """The numbers of one fold.

    Attributes:
        fold: Its number.
        episodes: How many episodes were counted.
        classes: The classes that the mean is over.
        asked: Those of them that an episode asked; the others count 0.
        intervals: For "miou", "fb_iou", "exact_ratio" the confidence interval.
    """

    fold: int
    episodes: int
    classes: tuple[int, ...]
    asked: tuple[int, ...]
    intervals: Mapping[str, Interval]


@dataclass(frozen=True, eq=False)
class Summary(Scores):
    """The numbers of a run: per fold, and their plain mean over the folds, as papers print it.

    Attributes:
        episodes: How many episodes were counted.
        folds: Each fold's numbers, by rising fold.
        per_class: A row per (fold, class): `fold`, `class_id`, `episodes` (that asked it), `intersection`, `union`
            (pixels), `iou`, `low`, `high` (per cent).
        intervals: For "miou", "fb_iou", "exact_ratio" the confidence interval of the mean over the folds.
    """

    episodes: int
    folds: tuple[FoldSummary, ...]
    per_class: pd.DataFrame
    intervals: Mapping[str, Interval]


def summarise(
    frame: pd.DataFrame,
    classes: Sequence[int] | Mapping[int, Sequence[int]] | None = None,
    *,
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
    folds = sorted({int(fold) for fold in frame["fold"]})
    tallies = [_tally(frame[frame["fold"] == fold], fold, _classes_of(classes, fold, folds)) for fold in folds]
    samples = [_bootstrap(tally, draws, np.random.default_rng([seed, tally.fold])) for tally in tallies]
    summaries = tuple(_summary_of(tally, sample, level) for tally, sample in zip(tallies, samples, strict=True))
    means = _Ratios(*(np.mean([getattr(sample, name) for sample in samples], axis=0) for name in _RATIOS))
    return Summary(
        miou=float(np.mean([fold.miou for fold in summaries])),
        fb_iou=float(np.mean([fold.fb_iou for fold in summaries])),
        exact_ratio=float(np.mean([fold.exact_ratio for fold in summaries])),
        episodes=len(frame),
        folds=summaries,
        per_class=_class_table(tallies, samples, level),
        intervals=_intervals(means, level),
    )


_RATIOS = ("miou", "fb_iou", "exact_ratio")
_BLOCK = 1 << 22


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


@dataclass(frozen=True)
class _Tally:
    """The counts of one fold: a row per cluster (the episodes of one query within a stratum).

    `sums` int64 (clusters, 2 C + 4): intersection per class, union per class, intersection and union of the
    background, episodes answered exactly, episodes.
    """

    fold: int
    classes: tuple[int, ...]
    sums: Integers
    strata: Integers
    times_asked: Integers


@dataclass(frozen=True)
class _Ratios:
    """Per cent; each of shape (), or (draws,) for a bootstrap."""

    miou: Floats
    fb_iou: Floats
    exact_ratio: Floats
    per_class: Floats | None = None


def _tally(frame: pd.DataFrame, fold: int, classes: tuple[int, ...] | None) -> _Tally:
    asked = [tuple(int(c) for c in row) for row in frame["classes"]]
    known = classes or tuple(sorted({c for row in asked for c in row}))
    place = {class_id: number for number, class_id in enumerate(known)}
    stray = next((c for row in asked for c in row if c not in place), None)
    if stray is not None:
        raise UsageError(f"fold {fold} has episodes of class {stray}, which is not among its classes {list(known)}")
    # Rows of one class form a stratum; with several ways an episode belongs to no one class.
    keys = [(row[0] if len(row) == 1 else 0, cast("str", q)) for row, q in zip(asked, frame["query"], strict=True)]
    clusters = {key: number for number, key in enumerate(sorted(set(keys)))}
    width = len(known)
    sums = np.zeros((len(clusters), 2 * width + 4), dtype=np.int64)
    times_asked = np.zeros(width, dtype=np.int64)
    answers = zip(frame["intersection"], frame["union"], frame["present"], frame["truth"], strict=True)
    for key, row, (intersection, union, present, truth) in zip(keys, asked, answers, strict=True):
        if not len(intersection) == len(union) == len(row) + 1 or not len(present) == len(truth) == len(row):
            raise UsageError(f"fold {fold} has an episode of {len(row)} classes with counts of another number")
        counts = sums[clusters[key]]
        places = [place[c] for c in row]
        for n, position in enumerate(places, 1):
            counts[position] += intersection[n]
            counts[width + position] += union[n]
        counts[2 * width :] += (intersection[0], union[0], tuple(present) == tuple(truth), 1)
        times_asked[places] += 1
    strata = np.array([stratum for stratum, _ in clusters], dtype=np.int64)
    return _Tally(fold, known, sums, strata, times_asked)


def _ratios(sums: npt.NDArray[np.int64] | Floats) -> _Ratios:
    """Return the ratios of summed counts (..., 2 C + 4)."""
    width = (sums.shape[-1] - 4) // 2
    intersection, union = sums[..., :width], sums[..., width : 2 * width]
    background, background_union, exact, episodes = np.moveaxis(sums[..., 2 * width :], -1, 0)
    per_class = 100.0 * intersection / np.maximum(union, 1)
    foreground = intersection.sum(axis=-1) / np.maximum(union.sum(axis=-1), 1)
    return _Ratios(
        miou=per_class.mean(axis=-1),
        fb_iou=50.0 * (foreground + background / np.maximum(background_union, 1)),
        exact_ratio=100.0 * exact / np.maximum(episodes, 1),
        per_class=per_class,
    )


def _bootstrap(tally: _Tally, draws: int, generator: np.random.Generator) -> _Ratios:
    totals = np.zeros((draws, tally.sums.shape[1]))
    for stratum in np.unique(tally.strata):
        sums = tally.sums[tally.strata == stratum]
        # A class's clusters touch few columns; the others stay zero.
        columns = np.flatnonzero(sums.any(axis=0))
        size = len(sums)
        values = sums[:, columns].astype(np.float64)
        # In blocks, so that a long list does not fill the memory.
        block = max(1, _BLOCK // size)
        for first in range(0, draws, block):
            rows = min(block, draws - first)
            picked = generator.integers(0, size, (rows, size)) + size * np.arange(rows)[:, None]
            times = np.bincount(picked.ravel(), minlength=rows * size).reshape(rows, size)
            totals[first : first + rows, columns] += times.astype(np.float64) @ values
    return _ratios(totals)


def _intervals(sample: _Ratios, level: float) -> dict[str, Interval]:
    if not sample.miou.size:
        return {}
    tails = [50.0 * (1.0 - level), 50.0 * (1.0 + level)]
    return {name: Interval(*map(float, np.percentile(getattr(sample, name), tails))) for name in _RATIOS}


def _summary_of(tally: _Tally, sample: _Ratios, level: float) -> FoldSummary:
    ratios = _ratios(tally.sums.sum(axis=0))
    return FoldSummary(
        miou=float(ratios.miou),
        fb_iou=float(ratios.fb_iou),
        exact_ratio=float(ratios.exact_ratio),
        fold=tally.fold,
        episodes=int(tally.sums[:, -1].sum()),
        classes=tally.classes,
        asked=tuple(c for c, times in zip(tally.classes, tally.times_asked, strict=True) if times),
        intervals=_intervals(sample, level),
    )


def _class_table(tallies: list[_Tally], samples: list[_Ratios], level: float) -> pd.DataFrame:
    import pandas as pd

    tables = []
    tails = [50.0 * (1.0 - level), 50.0 * (1.0 + level)]
    for tally, sample in zip(tallies, samples, strict=True):
        width = len(tally.classes)
        sums = tally.sums.sum(axis=0)
        drawn = cast("Floats", sample.per_class)
        low, high = np.percentile(drawn, tails, axis=0) if len(drawn) else np.full((2, width), np.nan)
        columns = {
            "fold": np.full(width, tally.fold, dtype=np.int64),
            "class_id": np.array(tally.classes, dtype=np.int64),
            "episodes": tally.times_asked,
            "intersection": sums[:width],
            "union": sums[width : 2 * width],
            "iou": cast("Floats", _ratios(sums).per_class),
            "low": low,
            "high": high,
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)
