"""Several runs of one protocol, each with its own seed.

Releases that evaluate several runs print their mean (PANet), or their mean and the best of them (BAM). Here the result
is the mean with the standard deviation. The best of several runs is not reported, as it grows with their number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fssbench.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from fssbench.metrics.summary import FoldSummary, Summary


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of a metric over R runs, in per cent.

    Attributes:
        mean: The mean.
        std: The sample standard deviation (divided by R - 1).
    """

    mean: float
    std: float


def runs_of(frame: pd.DataFrame, run_length: int | Mapping[int, int]) -> Iterator[pd.DataFrame]:
    """Yield the rows of each run, for all folds together; runs without rows are left out.

    Args:
        frame: Rows with the columns `fold` and `episode` (`fssbench.results.Row`).
        run_length: Episodes per run, for all folds or for each.

    Raises:
        UsageError: If the column `episode` is missing, or a run length is not positive.
    """
    if "episode" not in frame.columns:
        raise UsageError("rows without the column 'episode' can't be split into runs")
    lengths = run_length if isinstance(run_length, Mapping) else {int(fold): run_length for fold in set(frame["fold"])}
    if any(lengths.get(int(fold), 0) < 1 for fold in set(frame["fold"])):
        raise UsageError("the runs of each fold need a length of 1 or more episodes")
    numbers = frame["episode"] // frame["fold"].map(lengths)
    for number in sorted(set(numbers)):
        yield frame[numbers == number]


def spread_of(summary: Summary | FoldSummary, measure: str) -> Spread | None:
    """Return mean and standard deviation of a metric over the runs of a summary; None for fewer than two runs.

    Args:
        summary: The summary of a fold, or of all folds (each run then has its mean over the folds).
        measure: "miou" or another metric of `fssbench.metrics.summary.Scores`.
    """
    values = [getattr(run, measure) for run in summary.runs]
    return Spread(float(np.mean(values)), float(np.std(values, ddof=1))) if len(values) > 1 else None
