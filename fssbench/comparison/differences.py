"""The differences of the metrics of two runs, with intervals and p-values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import cast

import numpy as np

from fssbench.comparison.permutation import permutation_p, swaps, undecided
from fssbench.metrics.bootstrap import bootstrap
from fssbench.metrics.counts import Floats, Ratios, mean_ratios
from fssbench.metrics.fold_counts import FoldCounts
from fssbench.metrics.intervals import Interval, interval_of_mean
from fssbench.metrics.summary import sample_of


@dataclass(frozen=True)
class Difference:
    """One metric of a method and of the reference.

    Attributes:
        measure: "miou", "fb_iou", "exact_ratio", "base_miou" or "total_miou"; or one of `fssbench.comparison.further`.
        fold: The fold; None for the mean over the folds.
        reference: The reference's metric, in per cent.
        value: The method's metric, in per cent.
        difference: value - reference, in percentage points.
        interval: The confidence interval of the difference, or why it can't be given.
        p_value: The two-sided p-value of the permutation test; NaN if it can't be given.
        p_holm: The p-value with Holm's correction for the number of methods; NaN if it can't be given.
        no_p: Why there is no p-value; empty if there is one.
    """

    measure: str
    fold: int | None
    reference: float
    value: float
    difference: float
    interval: Interval
    p_value: float
    p_holm: float
    no_p: str = ""


def bootstrapped(runs: Sequence[FoldCounts], draws: int, generator: np.random.Generator) -> list[Ratios]:
    """Return the metrics of each run, all for the same draws."""
    drawn = iter(bootstrap([part for one in runs for part in one.parts], draws, generator))
    return [mean_ratios([next(drawn) for _ in one.parts]) for one in runs]


def differences(
    folds: Sequence[tuple[FoldCounts, FoldCounts]],
    drawn: Sequence[tuple[Ratios, Ratios]],
    measures: Sequence[str],
    draws: int,
    level: float,
    seed: int,
) -> list[Difference]:
    """Return the differences of two runs, not yet corrected for the number of methods."""
    numbers = [(mine.ratios(), theirs.ratios()) for mine, theirs in folds]
    swapped = swaps(folds, draws, np.random.default_rng([seed, draws]))
    found = []
    for measure in measures:
        values = np.array([[_value(run, measure) for run in runs] for runs in numbers], dtype=np.float64)
        moved = np.array([_value(theirs, measure) - _value(mine, measure) for mine, theirs in drawn])
        chance = np.array([by_measure[measure] for by_measure in swapped])
        rows = [(fold[0].total.fold, [place]) for place, fold in enumerate(folds)]
        for fold, places in [*rows, *([(None, list(range(len(folds))))] if len(folds) > 1 else [])]:
            reference, value = values[places].mean(axis=0).tolist()
            difference = value - reference
            by_chance = chance[places].mean(axis=0)
            no_p = undecided(by_chance)
            p_value = nan if no_p else permutation_p(difference, by_chance)
            samples = [sample_of(folds[n][0].total, float(values[n, 1] - values[n, 0]), moved[n]) for n in places]
            bounds = interval_of_mean(samples, level, -100.0)
            found.append(Difference(measure, fold, reference, value, difference, bounds, p_value, p_value, no_p))
    return found


def _value(ratios: Ratios, measure: str) -> Floats:
    return cast("Floats", getattr(ratios, measure))
