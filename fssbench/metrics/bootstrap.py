"""The bootstrap: the query images of an episode list are resampled, to estimate how far a metric varies by chance."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Self

import numpy as np
import numpy.typing as npt

from fssbench.metrics.counts import RATIOS, Booleans, ClusterCounts, Floats, Integers, Ratios, strata_of

_ONE_THREAD = 1 << 18
"""Up to this many multiplications, OpenBLAS computes a matrix product in one thread (interface/gemm.c)."""
_KEPT = 1 << 22
"""Up to so many weights are kept for the next run of the list: 32 MiB, for eight lists."""
_BLOCK = 1 << 17
"""Number of weights that are held at once. They fit into the processor's cache, whatever the length of the list."""


def clusters_of(parts: Sequence[ClusterCounts]) -> list[tuple[int, str]]:
    """Return the clusters that occur in any of the counts, sorted."""
    if _alike(parts):
        return list(parts[0].clusters)  # which are sorted
    return sorted({cluster for counts in parts for cluster in counts.clusters})


def degrees_of_freedom(parts: Sequence[ClusterCounts]) -> int:
    """Return the degrees of freedom of the standard deviation over draws: number of clusters minus number of strata."""
    sizes = _sizes_of(parts)
    return sum(sizes) - len(sizes)


def _sizes_of(parts: Sequence[ClusterCounts]) -> tuple[int, ...]:
    """Return the number of clusters in each stratum, in the order of the strata."""
    return parts[0].strata if _alike(parts) else strata_of(clusters_of(parts))


def _alike(parts: Sequence[ClusterCounts]) -> bool:
    """Return whether all parts are known to have the same clusters, as runs of one list have."""
    return all(counts.clusters is parts[0].clusters for counts in parts)


def bootstrap(
    parts: Sequence[ClusterCounts],
    draws: int,
    generator: np.random.Generator | Sequence[int],
    totals: Sequence[Floats] | None = None,
) -> list[Ratios]:
    """Return the ratios of each of the counts in each of `draws` resamples of the clusters.

    From a stratum of n clusters, n - 1 are drawn with replacement, and each is weighted by n / (n - 1). This makes the
    variance of the draws an unbiased estimate; with n draws it would be too small (Rao and Wu, JASA 83, 1988; McCarthy
    and Snowden 1985). Strata of one cluster are merged, see `_merge_single_strata`.

    All counts get the same draws, so that the draws of two runs of the same list can be subtracted.

    Args:
        parts: The counts of one fold: one for each of its runs, or one for each of several methods.
        draws: Number of resamples.
        generator: Source of the random numbers, or its seed. Runs of one list have the same clusters: with the same
            seed their weights are drawn once.
        totals: The result of `totals_of` for these parts, if it is known already.
    """
    found = totals_of(parts, draws, generator) if totals is None else totals
    return [counts.ratios(total) for counts, total in zip(parts, found, strict=True)]


def totals_of(
    parts: Sequence[ClusterCounts],
    draws: int,
    generator: np.random.Generator | Sequence[int],
    measures: Collection[str] = RATIOS,
) -> list[Floats]:
    """Return the weighted sums of the counts in each draw, (draws, columns) of each part.

    Args:
        parts: As for `bootstrap`.
        draws: As for `bootstrap`.
        generator: As for `bootstrap`.
        measures: The metrics that will be computed. The sums that only others are computed from are NaN.
    """
    edges = [0, *np.cumsum([counts.sums.shape[1] for counts in parts]).tolist()]
    sizes = _sizes_of(parts)
    groups = _merge_single_strata(sizes)
    needed = np.concatenate([counts.needed_for(measures) for counts in parts])
    drawn = [_Group.of(pooled, needed) for pooled in _pooled(parts, groups, edges)]
    # A row per column of the counts: those of a group are then added, and ratios computed, in whole rows.
    totals = np.zeros((edges[-1], draws))
    totals[~needed] = np.nan
    done = 0
    for block in _weights_of(sizes, draws, generator):
        rows = len(block[0])
        for group, weights in zip(drawn, block, strict=True):
            totals[group.columns, done : done + rows] += _product(group.pooled, weights.T)
        done += rows
    return [totals[first:last].T for first, last in pairwise(edges)]


@dataclass(frozen=True, eq=False)
class _Group:
    """The counts of the clusters that are drawn from together, without columns that aren't needed or are 0 in all.

    1-way episodes of a class have no counts of another: with C classes most columns are 0.

    Attributes:
        columns: The other columns, (M,).
        pooled: The counts, (M, clusters).
    """

    columns: npt.NDArray[np.intp]
    pooled: Floats

    @classmethod
    def of(cls, pooled: Floats, needed: Booleans) -> Self:
        """Return the counts, (clusters, columns), without these columns."""
        columns = np.flatnonzero(pooled.any(axis=0) & needed)
        return cls(columns, np.ascontiguousarray(pooled[:, columns].T))


def _pooled(parts: Sequence[ClusterCounts], groups: Sequence[Integers], edges: Sequence[int]) -> Iterator[Floats]:
    """Yield the counts of all parts next to each other, for the clusters of each group."""
    if _alike(parts):
        whole = np.concatenate([counts.sums for counts in parts], axis=1)
        yield from (whole[places].astype(np.float64) for places in groups)
        return
    clusters = clusters_of(parts)
    place = {cluster: number for number, cluster in enumerate(clusters)}
    pooled = np.zeros((len(clusters), edges[-1]))
    for counts, (first, last) in zip(parts, pairwise(edges), strict=True):
        pooled[[place[cluster] for cluster in counts.clusters], first:last] = counts.sums
    yield from (pooled[places] for places in groups)


def resampled(
    clusters: Sequence[tuple[int, str]], sums: Floats, draws: int, generator: np.random.Generator | Sequence[int]
) -> Floats:
    """Return the sums over the clusters in each of `draws` resamples, (draws, columns); see `bootstrap`.

    Args:
        clusters: Stratum and query image of each cluster, sorted.
        sums: (clusters, columns).
        draws: Number of resamples.
        generator: Source of the random numbers, or its seed.
    """
    sizes = strata_of(clusters)
    parts = [sums[places] for places in _merge_single_strata(sizes)]
    drawn = [
        sum(weights @ part for weights, part in zip(block, parts, strict=True))
        for block in _weights_of(sizes, draws, generator)
    ]
    return np.concatenate(drawn)


def _product(counts: Floats, weights: Floats) -> Floats:
    """Return the matrix product, (M, draws), in parts that are so small that OpenBLAS multiplies each in one thread.

    Products of a hundred draws and few columns are not faster with several threads: the threads mostly wait for each
    other, and use several times the processor time.

    Args:
        counts: (M, clusters).
        weights: (clusters, draws).
    """
    draws = weights.shape[1]
    product = np.empty((len(counts), draws))
    step = max(1, _ONE_THREAD // max(1, counts.size))
    for first in range(0, draws, step):
        np.matmul(counts, weights[:, first : first + step], out=product[:, first : first + step])
    return product


def _merge_single_strata(sizes: Sequence[int]) -> list[Integers]:
    """Return the indices of the clusters of each stratum, where all strata of a single cluster are merged into one.

    The variance of a stratum can't be estimated from one cluster. Without merging it would be 0, and an interval from
    few queries would be too narrow. Merged strata give an interval that is slightly too wide instead (Cochran, Sampling
    Techniques, 1977, 5A.12). If only one stratum has a single cluster, it is merged with the smallest other stratum.

    Args:
        sizes: Number of clusters in each stratum.
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


def _weights_of(
    sizes: Sequence[int], draws: int, generator: np.random.Generator | Sequence[int]
) -> Iterable[list[Floats]]:
    """Return the weights of `_weights` for strata of these sizes; those of a seed are kept unless they are large."""
    if isinstance(generator, np.random.Generator):
        return _weights(_merge_single_strata(sizes), draws, generator)
    if draws * sum(sizes) <= _KEPT:
        return _kept_weights(tuple(sizes), draws, tuple(generator))
    return _weights(_merge_single_strata(sizes), draws, np.random.default_rng(list(generator)))


@lru_cache(maxsize=8)
def _kept_weights(sizes: tuple[int, ...], draws: int, seed: tuple[int, ...]) -> list[list[Floats]]:
    drawn = _weights(_merge_single_strata(sizes), draws, np.random.default_rng(list(seed)))
    # Each cluster's weights lie next to each other, as `_product` takes them.
    whole = [np.asfortranarray(np.concatenate(parts)) for parts in zip(*drawn, strict=True)]
    for weights in whole:
        weights.flags.writeable = False
    return [whole]


def _weights(groups: Sequence[Integers], draws: int, generator: np.random.Generator) -> Iterator[list[Floats]]:
    """Yield the weight of each cluster in each draw: for each group (draws of the block, clusters), block by block."""
    width = sum(map(len, groups))
    for rows in blocks(draws, width):
        block = []
        for size in map(len, groups):
            if size == 1:
                block.append(np.ones((rows, 1)))
            else:
                # 16 bits are drawn twice as fast as 64.
                kind = np.uint16 if size <= 1 << 16 else np.uint32
                picked = generator.integers(0, size, (rows, size - 1), dtype=kind) + size * np.arange(rows)[:, None]
                times = np.bincount(picked.ravel(), minlength=rows * size).reshape(rows, size)
                block.append((times * (size / (size - 1))).astype(np.float64, copy=False))
        yield block


def blocks(draws: int, width: int) -> Iterator[int]:
    """Split `draws` into block sizes that need little memory, where each draw takes `width` random numbers."""
    rows = max(1, _BLOCK // max(1, width))
    yield from (min(rows, draws - first) for first in range(0, draws, rows))
