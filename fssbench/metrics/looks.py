"""Looks at a growing list: after how many episodes they are, and the level that each of their intervals needs.

An evaluation that goes on until its interval is narrow looks at the interval several times, and stops at a look that
is narrow perhaps by chance. With intervals of 95 % at each look, one of them misses the truth more often than in 5 %.
So the looks are fixed before the first episode, and all of them use one higher level, such that all of their intervals
together hold the truth with the nominal probability (repeated confidence intervals: Jennison and Turnbull, JRSS B 51,
1989, with the constant boundary of Pocock, Biometrika 64, 1977). This holds whatever the reason to stop is.

The level is that of estimates with independent increments, as sums over episodes are: with n_1 < ... < n_K episodes,
Z_k = B(n_k) / √n_k of a Brownian motion B, and the critical value c solves P(|Z_1| ≤ c, ..., |Z_K| ≤ c) = level. The
probability is integrated look by look (Armitage, McPherson and Rowe, JRSS A 132, 1969).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np

from fssbench.metrics.counts import Floats

PER_CLASS = 20
"""Episodes of each class before the first look: with fewer, intervals are too narrow at any level."""
GROWTH = 1.5
"""How many times as many episodes a look has as the one before it."""
_LAST_GROWTH = 1.2
"""The last look but one leaves at least so many times as many episodes for the last."""
_NODES = 64
"""Points of the integral between the boundaries."""


def schedule_of(last: int, first: int) -> tuple[int, ...]:
    """Return after how many episodes to look: `first`, then 1.5 times as many each time, and at the end of the list.

    A look shortly before the end is left out, as it costs level and saves little.

    Args:
        last: All episodes.
        first: Episodes of the first look.

    Examples:
        >>> schedule_of(1000, 100)
        (100, 150, 225, 338, 507, 761, 1000)
        >>> schedule_of(80, 100)
        (80,)
    """
    looks = []
    number = first
    while number * _LAST_GROWTH <= last:
        looks.append(number)
        number = math.ceil(number * GROWTH)
    return (*looks, last)


@lru_cache(maxsize=64)
def level_of_each(looks: Sequence[int], level: float) -> float:
    """Return the level that the interval of each look needs, so that all of them together have `level`.

    Args:
        looks: Episodes of each look, increasing.
        level: Probability with which all intervals hold the truth, between 0 and 1.

    Examples:
        >>> round(level_of_each((100,), 0.95), 4)
        0.95
        >>> round(level_of_each((1, 2, 3, 4, 5), 0.95), 4)  # Pocock's c is 2.413
        0.9842
    """
    low, high = 0.0, 40.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if _all_within(looks, middle) < level else (low, middle)
    return math.erf(low / math.sqrt(2.0))


def _all_within(looks: Sequence[int], critical: float) -> float:
    """Return P(|Z_1| ≤ c, ..., |Z_K| ≤ c)."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    edge = critical * math.sqrt(looks[0])
    points, steps = edge * nodes, edge * weights
    density = _normal(points, math.sqrt(looks[0]))
    for before, now in pairwise(looks):
        edge = critical * math.sqrt(now)
        density = _normal(edge * nodes[:, None] - points[None, :], math.sqrt(now - before)) @ (steps * density)
        points, steps = edge * nodes, edge * weights
    return float((steps * density).sum())


def _normal(values: Floats, deviation: float) -> Floats:
    return np.exp(-0.5 * (values / deviation) ** 2) / (deviation * math.sqrt(2.0 * math.pi))
