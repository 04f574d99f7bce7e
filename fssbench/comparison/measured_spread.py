"""The standard deviation of an mIoU, or of a difference of two, by the bootstrap on rows or on a part of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fssbench.metrics.bootstrap import bootstrap, clusters_of
from fssbench.metrics.counts import mean_ratios
from fssbench.metrics.fold_counts import CountingRules, count_folds

if TYPE_CHECKING:
    import pandas as pd

_PER_CLASS = 5
"""A part of a list is measured if each class has so many episodes in it."""


def measured_spread(
    frames: Sequence[pd.DataFrame], lengths: Mapping[int, int], parts: int, draws: int, seed: int
) -> float | None:
    """Return the standard deviation by the bootstrap for lists of 1 / `parts` of the length, from all parts.

    None if a class has few episodes in a part, or if the lists hold several runs and would be divided.

    Args:
        frames: The rows of a run, or of two on the same episodes, whose difference is then measured.
        lengths: Episodes per run for each fold whose list holds several runs.
        parts: How many parts each list is divided into; 1 for the whole lists.
        draws: Number of bootstrap draws.
        seed: Seed of the bootstrap.

    Returns:
        In percentage points of the mean over the folds.
    """
    variances = []
    for part in range(parts):
        own = [_part(frame, parts, part) for frame in frames]
        if parts > 1 and (lengths or not _has_all(own[0], frames[0])):
            return None
        folds = zip(*(count_folds(one, CountingRules(run_length=lengths or None)) for one in own), strict=True)
        drawn = []
        for fold in folds:
            generator = np.random.default_rng([seed, fold[0].total.fold, parts, part])
            ratios = iter(bootstrap([p for one in fold for p in one.parts], draws, generator))
            means = [mean_ratios([next(ratios) for _ in one.parts]).miou for one in fold]
            drawn.append(means[1] - means[0] if len(means) > 1 else means[0])
        variances.append(float(np.var(np.mean(drawn, axis=0))))
    return float(np.mean(variances) ** 0.5)


def degrees_of_freedom(frame: pd.DataFrame, lengths: Mapping[int, int]) -> int:
    """Return the degrees of freedom of the mean over the folds; 0 if one of them has none."""
    found = []
    for fold in count_folds(frame, CountingRules(run_length=lengths or None)):
        clusters = clusters_of([fold.total])
        found.append(len(clusters) - len({stratum for stratum, _ in clusters}))
    return sum(found) if all(found) else 0


def _part(frame: pd.DataFrame, parts: int, part: int) -> pd.DataFrame:
    """Return one of several equal parts of the list of each fold."""
    if parts == 1:
        return frame
    lengths = frame.groupby("fold")["episode"].transform("size") // parts
    return frame[(frame["episode"] // lengths) == part]


def _has_all(part: pd.DataFrame, whole: pd.DataFrame) -> bool:
    """Return whether each class has some episodes in a part of the rows."""
    counts: dict[tuple[int, int], int] = {}
    for fold, classes in zip(part["fold"], part["classes"], strict=True):
        for class_id in classes:
            counts[fold, class_id] = counts.get((fold, class_id), 0) + 1
    wanted = {(fold, c) for fold, classes in zip(whole["fold"], whole["classes"], strict=True) for c in classes}
    return all(counts.get(key, 0) >= _PER_CLASS for key in wanted)
