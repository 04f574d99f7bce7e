"""Differences that only some lists have: with the worst and best references, and of the rates of absent queries.

They are paired and tested as the others are: the bootstrap resamples query images with all their episodes, the
permutation test swaps the predictions of an image in all its episodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from fssbench.comparison.differences import Difference, bootstrapped, differences
from fssbench.comparison.permutation import by_image, permutation_p, tosses, undecided
from fssbench.metrics.absence import COUNTED, RATES, AbsenceSums, absence_sums, is_absent
from fssbench.metrics.bootstrap import resampled
from fssbench.metrics.counts import Floats
from fssbench.metrics.fold_counts import CountingRules, count_folds
from fssbench.metrics.intervals import Sample, interval_of_mean
from fssbench.metrics.references import chosen_rows

if TYPE_CHECKING:
    import pandas as pd

    from fssbench.results.record import Run

MEASURES = ("miou_worst", "miou_best", "miou_present", *RATES)
"""The measures that are made here."""


def further_differences(
    mine: pd.DataFrame, theirs: pd.DataFrame, run: Run, draws: int, level: float, seed: int
) -> list[Difference]:
    """Return the differences of a method and the reference that the list of a run has besides the usual ones.

    Args:
        mine: The rows of the reference.
        theirs: The rows of the method, of the same episodes in the same order.
        run: The record of the reference.
        draws: Number of bootstrap draws, and of permutations.
        level: Nominal coverage of the intervals.
        seed: Seed of both.
    """
    found: list[Difference] = []
    if run.references is not None:
        lengths = {fold.fold: fold.run_length or 1 for fold in run.folds}
        for measure, best in (("miou_worst", False), ("miou_best", True)):
            rows = [chosen_rows(frame, lengths, best=best) for frame in (mine, theirs)]
            found += _mious(measure, rows, draws, level, seed)
    if run.has_absent and "predicted" in mine.columns and "predicted" in theirs.columns:
        there = ~is_absent(mine)
        if there.any():
            found += _mious("miou_present", [mine[there], theirs[there]], draws, level, seed)
        found += _rates(mine, theirs, draws, level, seed)
    return found


def _mious(measure: str, frames: Sequence[pd.DataFrame], draws: int, level: float, seed: int) -> list[Difference]:
    mine, theirs = (count_folds(frame, CountingRules()) for frame in frames)
    folds = list(zip(mine, theirs, strict=True))
    drawn = []
    for fold in folds:
        one, other = bootstrapped(fold, draws, np.random.default_rng([seed, fold[0].total.fold]))
        drawn.append((one, other))
    found = differences(folds, drawn, ["miou"], draws, level, seed)
    return [replace(each, measure=measure) for each in found]


def _rates(mine: pd.DataFrame, theirs: pd.DataFrame, draws: int, level: float, seed: int) -> list[Difference]:
    """Return the differences of the rates for each fold that has them, and of their mean over the folds."""
    numbers = sorted({int(fold) for fold in mine["fold"]})
    folds = [tuple(absence_sums(frame[frame["fold"] == fold]) for frame in (mine, theirs)) for fold in numbers]
    values = np.array([[one.rates(one.sums.sum(axis=0)) for one in pair] for pair in folds])
    moved = [_moved(pair, draws, (seed, fold)) for pair, fold in zip(folds, numbers, strict=True)]
    chance = _swapped(folds, draws, np.random.default_rng([seed, draws]))
    found = []
    for place, measure in enumerate(RATES):
        known = [n for n in range(len(numbers)) if not np.isnan(values[n, :, place]).any()]
        groups: list[tuple[int | None, list[int]]] = [(numbers[n], [n]) for n in known]
        groups += [(None, known)] if len(numbers) > 1 and len(known) == len(numbers) else []
        for fold, places in groups:
            reference, value = values[places, :, place].mean(axis=0).tolist()
            # Resamples without an absent query, or with nothing else, have no rate.
            drawn = np.array([moved[n][:, place] for n in places])
            drawn = drawn[:, ~np.isnan(drawn).any(axis=0)]
            samples = [
                Sample(
                    float(values[n, 1, place] - values[n, 0, place]),
                    moves,
                    _degrees(folds[n][0], place),
                    f"fold {numbers[n]}",
                )
                for n, moves in zip(places, drawn, strict=True)
            ]
            by_chance = chance[places, :, place].mean(axis=0)
            no_p = undecided(by_chance)
            p_value = nan if no_p else permutation_p(value - reference, by_chance)
            bounds = interval_of_mean(samples, level, -100.0)
            found.append(Difference(measure, fold, reference, value, value - reference, bounds, p_value, p_value, no_p))
    return found


def _moved(pair: tuple[AbsenceSums, ...], draws: int, seed: tuple[int, int]) -> Floats:
    """Return the differences of the rates in each resample, the same images for both methods, (draws, rates)."""
    mine, theirs = pair
    both = np.concatenate([mine.sums, theirs.sums], axis=1)
    totals = resampled(mine.clusters, both, draws, seed)
    width = mine.sums.shape[1]
    return theirs.rates(totals[:, width:]) - mine.rates(totals[:, :width])


def _degrees(sums: AbsenceSums, rate: int) -> int:
    """Return the clusters that a rate counts, without one for each of their strata."""
    counted = np.flatnonzero(sums.sums[:, COUNTED[rate]])
    return len(counted) - len({sums.clusters[place][0] for place in counted})


def _swapped(folds: Sequence[tuple[AbsenceSums, ...]], draws: int, generator: np.random.Generator) -> Floats:
    """Return the differences of the rates under random swaps of the two methods for each image, (folds, draws, 3)."""
    images = sorted({query for mine, _ in folds for _, query in mine.clusters})
    place = {query: number for number, query in enumerate(images)}
    changes = [by_image(mine.clusters, theirs.sums - mine.sums, place) for mine, theirs in folds]
    found: list[list[Floats]] = [[] for _ in folds]
    for coins in tosses(draws, len(images), generator):
        for store, (mine, theirs), change in zip(found, folds, changes, strict=True):
            moved = coins @ change
            store.append(theirs.rates(theirs.sums.sum(axis=0) - moved) - mine.rates(mine.sums.sum(axis=0) + moved))
    return np.array([np.concatenate(parts) for parts in found])
