"""The p-value of a difference: a permutation test, and Holm's correction for several tests.

Under the null hypothesis the two methods are exchangeable: for each query image, it does not matter which of the two
predictions came from which method (Fisher 1935; Pitman 1937). For each image, with all its episodes, the predictions
are swapped with probability 1/2, and the difference d_b is computed again, B times. The p-value is
p = (1 + #{|d_b| ≥ |d|}) / (1 + B). The test is valid for any number of images: if the methods are exchangeable,
P(p ≤ α) ≤ α (Phipson and Smyth, SAGMB 9, 2010). If they differ, but not in this metric, it holds approximately for many
images (docs/statistics.md). Where every swap leaves a difference of the same size, p could only be 1, and is not given:
the runs are equal in this number, or differ in one image alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isnan, nan

import numpy as np

from fssbench.metrics.bootstrap import blocks
from fssbench.metrics.counts import Floats, Integers, Ratios, mean_ratios
from fssbench.metrics.fold_counts import FoldCounts

EQUAL = 1e-9
"""Differences, in per cent, that are smaller than this are due to rounding."""


def permutation_p(difference: float, chance: Floats) -> float:
    """Return the two-sided p-value of `difference`, given the differences of all permutations, (draws,)."""
    return float((1 + np.count_nonzero(np.abs(chance) >= abs(difference) - EQUAL)) / (1 + len(chance)))


def undecided(chance: Floats) -> str:
    """Return why the differences of all permutations, (draws,), decide nothing; empty if they decide something."""
    sizes = np.abs(chance)
    if np.ptp(sizes) > EQUAL:
        return ""
    if sizes.max() <= EQUAL:
        return "no swap of predictions changes a number"
    return "every swap of predictions leaves a difference of the same size"


def swaps(
    folds: Sequence[tuple[FoldCounts, FoldCounts]], draws: int, generator: np.random.Generator
) -> list[Mapping[str, Floats]]:
    """Return the differences of all metrics under random swaps of the two methods, for each fold.

    All episodes of an image are swapped together, whatever their class, run or fold.

    Args:
        folds: The counts of the reference and of the other method, for each fold.
        draws: Number of permutations.
        generator: Source of the random numbers.

    Returns:
        For each fold, by metric: the differences, (draws,).
    """
    images = sorted({query for mine, _ in folds for _, query in mine.total.clusters})
    place = {query: number for number, query in enumerate(images)}
    pairs = [list(zip(mine.parts, theirs.parts, strict=True)) for mine, theirs in folds]
    by_part = []
    for fold in pairs:
        by_part += [by_image(mine.clusters, theirs.sums - mine.sums, place) for mine, theirs in fold]
    pooled = np.concatenate(by_part, axis=1)
    found: list[dict[str, list[Floats]]] = [{} for _ in folds]
    for coins in tosses(draws, len(images), generator):
        moved, first = coins @ pooled, 0
        for fold, store in zip(pairs, found, strict=True):
            ratios: tuple[list[Ratios], list[Ratios]] = ([], [])
            for mine, theirs in fold:
                change = moved[:, first : first + mine.sums.shape[1]]
                first += mine.sums.shape[1]
                ratios[0].append(mine.ratios(mine.sums.sum(axis=0) + change))
                ratios[1].append(theirs.ratios(theirs.sums.sum(axis=0) - change))
            means = [mean_ratios(of_method) for of_method in ratios]
            for measure in vars(means[0]):
                if getattr(means[0], measure) is not None:
                    store.setdefault(measure, []).append(getattr(means[1], measure) - getattr(means[0], measure))
    return [{measure: np.concatenate(parts) for measure, parts in store.items()} for store in found]


def by_image(clusters: Sequence[tuple[int, str]], changes: Floats | Integers, place: Mapping[str, int]) -> Floats:
    """Return what a swap of the predictions of each image changes in some sums, (images, sums).

    Args:
        clusters: The stratum and the query image of each row of `changes`.
        changes: The sums of the other method less those of the reference, (clusters, sums).
        place: The row of each image.
    """
    found = np.zeros((len(place), changes.shape[1]))
    np.add.at(found, [place[query] for _, query in clusters], changes)
    return found


def tosses(draws: int, images: int, generator: np.random.Generator) -> Iterator[Floats]:
    """Yield, a block at a time, which images are swapped in each permutation: 0 or 1, (rows, images)."""
    for rows in blocks(draws, images):
        yield generator.integers(0, 2, (rows, images), dtype=np.uint8).astype(np.float64)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values with Holm's correction: the j-th smallest of m times m - j + 1, made monotone.

    A p-value that can't be given (NaN) stays so, and counts among the m as the largest.

    Source: Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6, 1979.
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(
        sorted(range(len(p_values)), key=lambda n: 2.0 if isnan(p_values[n]) else p_values[n])
    ):
        if isnan(p_values[place]):
            corrected[place] = nan
            continue
        largest = max(largest, min(1.0, p_values[place] * (len(p_values) - rank)))
        corrected[place] = largest
    return corrected
