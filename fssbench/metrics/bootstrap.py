"""Drawing the queries of a list anew, as often as it takes to see how far chance moves a number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

import numpy as np

from fssbench.metrics.counts import ClusterCounts, Floats, Integers, Ratios

_ONE_THREAD = 1 << 18
"""Multiplications up to which OpenBLAS takes one thread for a product of matrices (interface/gemm.c)."""
_BLOCK = 1 << 17
"""Weights that are held at once: they stay in a processor's cache, however long the list."""


def clusters_of(parts: Sequence[ClusterCounts]) -> list[tuple[int, str]]:
    """Return the clusters that any of the parts has, rising."""
    return sorted({cluster for counts in parts for cluster in counts.clusters})


def degrees_of_freedom(parts: Sequence[ClusterCounts]) -> int:
    """Return the degrees of freedom that a spread over draws has: clusters less strata."""
    clusters = clusters_of(parts)
    return len(clusters) - len({stratum for stratum, _ in clusters})


def bootstrap(parts: Sequence[ClusterCounts], draws: int, generator: np.random.Generator) -> list[Ratios]:
    """Return the ratios of each part in each of `draws` draws of clusters.

    Within a stratum of n clusters, n - 1 are drawn with replacement, each then counting n / (n - 1) times: so the
    spread of the draws is that of the stratum, where n of n draws would be too near to each other (Rao and Wu, JASA
    83, 1988; McCarthy and Snowden 1985). Strata of one cluster are drawn from together, see `_drawn_together`.

    All parts see the same draws, so that the draws of two runs of the same list can be subtracted.

    Args:
        parts: Of one fold: of its runs, or of several methods.
        draws: How many.
        generator: Random numbers.
    """
    clusters = clusters_of(parts)
    place = {cluster: number for number, cluster in enumerate(clusters)}
    edges = [0, *np.cumsum([counts.sums.shape[1] for counts in parts]).tolist()]
    pooled = np.zeros((len(clusters), edges[-1]))
    for counts, (first, last) in zip(parts, pairwise(edges), strict=True):
        pooled[[place[cluster] for cluster in counts.clusters], first:last] = counts.sums
    groups = _drawn_together([len(list(group)) for _, group in groupby(clusters, key=lambda cluster: cluster[0])])
    totals = np.zeros((draws, edges[-1]))
    done = 0
    for weights in _weights(groups, draws, generator):
        for some in _slices(weights, edges[-1]):
            totals[done : done + len(some)] = some @ pooled
            done += len(some)
    return [counts.ratios(totals[:, first:last]) for counts, (first, last) in zip(parts, pairwise(edges), strict=True)]


def _slices(weights: Floats, columns: int) -> Iterator[Floats]:
    """Yield the rows of weights, so many at a time that their product with `columns` is left to one thread.

    Products of a hundred rows and few columns gain nothing from threads, which spend several times the processor time
    on waiting for each other.
    """
    rows = max(1, _ONE_THREAD // max(1, weights.shape[1] * columns))
    yield from (weights[first : first + rows] for first in range(0, len(weights), rows))


def _drawn_together(sizes: Sequence[int]) -> list[Integers]:
    """Return the places of the clusters that are drawn from together: strata, those of one cluster as one.

    One cluster says nothing of the spread of its stratum. To leave it as it is would say that it has none, so that a
    number from few queries would look sure; collapsed strata spread rather too much instead (Cochran, Sampling
    Techniques, 1977, 5A.12). A stratum of one cluster that is alone in this joins the smallest of the others.

    Args:
        sizes: Clusters of each stratum.
    """
    edges = [0, *np.cumsum(sizes).tolist()]
    strata = [np.arange(first, last) for first, last in pairwise(edges)]
    single = [places for places in strata if len(places) == 1]
    others = [places for places in strata if len(places) > 1]
    if not single:
        return others
    if len(single) == 1 and others:
        single.append(others.pop(min(range(len(others)), key=lambda number: len(others[number]))))
    return [*others, np.concatenate(single)]


def _weights(groups: Sequence[Integers], draws: int, generator: np.random.Generator) -> Iterator[Floats]:
    """Yield how often each cluster counts in each draw, (some draws, clusters), in blocks."""
    width = sum(map(len, groups))
    for rows in blocks(draws, width):
        weights = np.ones((rows, width))
        for places in groups:
            size = len(places)
            if size > 1:
                # 16 bits are drawn twice as fast as 64.
                kind = np.uint16 if size <= 1 << 16 else np.uint32
                picked = generator.integers(0, size, (rows, size - 1), dtype=kind) + size * np.arange(rows)[:, None]
                times = np.bincount(picked.ravel(), minlength=rows * size).reshape(rows, size)
                weights[:, places] = times * (size / (size - 1))
        yield weights


def blocks(draws: int, width: int) -> Iterator[int]:
    """Yield the number of draws, in parts that need little memory where each draw has `width` random numbers."""
    rows = max(1, _BLOCK // max(1, width))
    yield from (min(rows, draws - first) for first in range(0, draws, rows))
