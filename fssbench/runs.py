"""Several runs of one protocol, each with its own seed: what papers make of them.

Releases that ask several runs print their mean (PANet), or their mean and the best of them (BAM); papers then quote
one of them without saying which.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from fssbench.errors import UsageError
from fssbench.metrics import FoldSummary, Scores, Summary

if TYPE_CHECKING:
    import pandas as pd

S = TypeVar("S", Summary, FoldSummary)


@dataclass(frozen=True)
class Spread:
    """One number over the runs, in per cent.

    Attributes:
        mean: Their mean.
        std: Their standard deviation, of the runs themselves and not of what they are drawn from (divided by R).
        best: The largest; over several folds the mean of each fold's largest, as the releases print fold by fold.
    """

    mean: float
    std: float
    best: float


def runs_of(frame: pd.DataFrame, run_length: int | Mapping[int, int]) -> Iterator[pd.DataFrame]:
    """Yield the rows of each run in turn, of all folds; runs without a row are left out.

    Args:
        frame: Rows with the columns `fold` and `episode` (`fssbench.results.Row`).
        run_length: Episodes per run, for all folds or for each.

    Raises:
        UsageError: If rows have no episode's number, or a run has no length.
    """
    if "episode" not in frame.columns:
        raise UsageError("rows without the column 'episode' can't be put into runs")
    lengths = run_length if isinstance(run_length, Mapping) else {int(fold): run_length for fold in set(frame["fold"])}
    if any(lengths.get(int(fold), 0) < 1 for fold in set(frame["fold"])):
        raise UsageError("the runs of each fold need a length of 1 or more episodes")
    numbers = frame["episode"] // frame["fold"].map(lengths)
    for number in sorted(set(numbers)):
        yield frame[numbers == number]


def with_runs(together: Summary, runs: Sequence[Summary]) -> Summary:
    """Return a summary whose numbers are the means over the runs.

    Args:
        together: Of all episodes as if they were one run: its intervals and its table of classes stay.
        runs: Of each run.
    """
    by_fold = {
        fold.fold: tuple(_scores(its) for run in runs for its in run.folds if its.fold == fold.fold)
        for fold in together.folds
    }
    folds = tuple(_mean(fold, by_fold[fold.fold], by_fold[fold.fold]) for fold in together.folds)
    complete = min(len(scores) for scores in by_fold.values())
    return _mean(replace(together, folds=folds), folds, tuple(_scores(run) for run in runs[:complete]))


def spread_of(summary: Summary | FoldSummary, measure: str) -> Spread:
    """Return how far the runs of a summary lie apart.

    Args:
        summary: With several runs.
        measure: "miou" or another number of `fssbench.metrics.Scores`.
    """
    values = [getattr(run, measure) for run in summary.runs]
    if isinstance(summary, FoldSummary):
        best = max(values)
    else:
        best = float(np.mean([max(getattr(run, measure) for run in fold.runs) for fold in summary.folds]))
    return Spread(float(np.mean(values)), float(np.std(values)), best)


def _scores(its: Scores) -> Scores:
    return Scores(its.miou, its.fb_iou, its.exact_ratio, base_miou=its.base_miou, total_miou=its.total_miou)


def _mean(summary: S, over: Sequence[Scores], runs: tuple[Scores, ...]) -> S:
    """Return a summary with the means over some scores as its numbers."""
    return replace(
        summary,
        miou=float(np.mean([its.miou for its in over])),
        fb_iou=float(np.mean([its.fb_iou for its in over])),
        exact_ratio=float(np.mean([its.exact_ratio for its in over])),
        base_miou=_mean_if_known([its.base_miou for its in over]),
        total_miou=_mean_if_known([its.total_miou for its in over]),
        runs=runs,
    )


def _mean_if_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None
