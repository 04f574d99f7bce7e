"""How likely a difference is by chance: a permutation test, and Holm's correction for many of them.

If two methods were alike, it would not matter which of them gave which of the two answers to a query image (Fisher
1935; Pitman 1937). So for each image, with all its episodes, a coin decides whether the answers are swapped, and the
difference d is taken anew, B times: p = (1 + #{|d_b| ≥ |d|}) / (1 + B). It is at most α in at most a share α of the
cases where the methods are alike, for any number of images (Phipson and Smyth, SAGMB 9, 2010). Where they differ, but
not in this number, that holds nearly, for many images (docs/statistics.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fssbench.metrics.bootstrap import blocks
from fssbench.metrics.counts import Floats, Ratios, mean_ratios
from fssbench.metrics.fold_counts import FoldCounts

EQUAL = 1e-9
"""Differences, in per cent, that only the order of additions makes."""


def permutation_p(difference: float, chance: Floats) -> float:
    """Return (1 + how many differences by chance are as large) / (1 + how many there are), two-sided."""
    return float((1 + np.count_nonzero(np.abs(chance) >= abs(difference) - EQUAL)) / (1 + len(chance)))


def swaps(
    folds: Sequence[tuple[FoldCounts, FoldCounts]], draws: int, generator: np.random.Generator
) -> list[Mapping[str, Floats]]:
    """Return for each fold the differences of its numbers where a coin swaps the answers to each query image.

    One coin serves all episodes of an image, whatever their class, run or fold.

    Args:
        folds: The counts of the reference and the other method.
        draws: How often all coins are thrown.
        generator: Random numbers.
    """
    images = sorted({query for mine, _ in folds for _, query in mine.total.clusters})
    place = {query: number for number, query in enumerate(images)}
    pairs = [list(zip(mine.parts, theirs.parts, strict=True)) for mine, theirs in folds]
    apart = []
    for fold in pairs:
        for mine, theirs in fold:
            by_image = np.zeros((len(images), mine.sums.shape[1]))
            np.add.at(by_image, [place[query] for _, query in mine.clusters], theirs.sums - mine.sums)
            apart.append(by_image)
    pooled = np.concatenate(apart, axis=1)
    found: list[dict[str, list[Floats]]] = [{} for _ in folds]
    for rows in blocks(draws, len(images)):
        coins = generator.integers(0, 2, (rows, len(images)), dtype=np.uint8).astype(np.float64)
        moved, first = coins @ pooled, 0
        for fold, store in zip(pairs, found, strict=True):
            answers: tuple[list[Ratios], list[Ratios]] = ([], [])
            for mine, theirs in fold:
                change = moved[:, first : first + mine.sums.shape[1]]
                first += mine.sums.shape[1]
                answers[0].append(mine.ratios(mine.sums.sum(axis=0) + change))
                answers[1].append(theirs.ratios(theirs.sums.sum(axis=0) - change))
            means = [mean_ratios(side) for side in answers]
            for measure in vars(means[0]):
                if getattr(means[0], measure) is not None:
                    store.setdefault(measure, []).append(getattr(means[1], measure) - getattr(means[0], measure))
    return [{measure: np.concatenate(parts) for measure, parts in store.items()} for store in found]


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number m: the j-th smallest times m - j + 1, none below a smaller one's.

    Source: Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6, 1979.
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, p_values[place] * (len(p_values) - rank)))
        corrected[place] = largest
    return corrected
