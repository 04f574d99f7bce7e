"""Confidence intervals: how far chance moves a number, or a mean of numbers, from what a bootstrap drew.

An interval is x ± t s: x the number itself, s the standard deviation of its bootstrap draws, t the quantile of
Student's distribution. Percentiles of the draws, the usual choice, double the bias that a ratio of sums has for few
pictures, and know nothing of how few there are: where there are few they miss the truth more often, and BCa intervals
do no better (docs/statistics.md).

Where all draws are alike they have no spread to go by, which says little if there are few images: then f images more
than strata that agree leave room for a share 1 - (1 - level)^(1 / f) of others that would not, whose part of the number
may be anything (the "rule of three"; Hanley and Lippman-Hand, JAMA 249, 1983). With f = 0 that is all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_ALIKE = 1e-9
"""Draws, in per cent, that only the order of additions makes differ."""
_MANY = 30
"""Degrees of freedom from which Student's quantile is within a few per cent of that of as many as there can be."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval, in per cent."""

    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Sample:
    """A number with what a bootstrap drew of it.

    Attributes:
        value: The number, in per cent.
        drawn: Its bootstrap draws, (draws,).
        freedom: Degrees of freedom: clusters less strata.
    """

    value: float
    drawn: Floats
    freedom: int


def interval(value: float, drawn: Floats, freedom: int, level: float, lowest: float = 0.0) -> Interval:
    """Return the confidence interval of a number.

    Args:
        value: The number, in per cent.
        drawn: Its bootstrap draws, (draws,).
        freedom: Degrees of freedom: clusters less strata. With 0 of them nothing is known, and the interval is whole.
        level: Its nominal coverage, between 0 and 1.
        lowest: The smallest value there is: 0 for a share, -100 for a difference of shares. The largest is 100.
    """
    return interval_of_mean([Sample(value, drawn, freedom)], level, lowest)


def interval_of_mean(samples: Sequence[Sample], level: float, lowest: float = 0.0) -> Interval:
    """Return the confidence interval of the mean of numbers that were drawn apart from each other, as those of folds.

    What is not known of one of them is not known of the mean: of k numbers, one whose draws do not spread brings in
    1 / k of its own interval, which is whole if it comes from one image.

    Args:
        samples: The numbers, with the same number of draws each.
        level: Its nominal coverage, between 0 and 1.
        lowest: As for `interval`.
    """
    count = len(samples)
    # One draw has no spread, whatever it is of.
    spread = [its for its in samples if its.freedom >= 1 and np.ptp(its.drawn) > _ALIKE]
    below = above = 0.0
    if spread:
        moved = np.mean([its.drawn for its in spread], axis=0) * (len(spread) / count)
        freedom = _pooled_freedom([float(np.var(its.drawn)) for its in spread], [its.freedom for its in spread])
        below = above = student_quantile(0.5 + level / 2.0, freedom) * float(np.std(moved))
    for its in samples:
        if its not in spread:
            unseen = 1.0 - (1.0 - level) ** (1.0 / its.freedom) if its.freedom >= 1 else 1.0
            below += unseen * (its.value - lowest) / count
            above += unseen * (100.0 - its.value) / count
    value = float(np.mean([its.value for its in samples]))
    return Interval(max(lowest, value - below), min(100.0, value + above))


def _pooled_freedom(variances: Sequence[float], freedoms: Sequence[int]) -> float:
    """Return the degrees of freedom of a mean: they add up, but not where one of few decides how far it spreads.

    Source: Welch, Biometrika 34, 1947, and Satterthwaite, Biometrics Bulletin 2, 1946.
    """
    if min(freedoms) >= _MANY:
        return sum(freedoms)
    parts = [each**2 / freedom for each, freedom in zip(variances, freedoms, strict=True)]
    return float(sum(variances) ** 2 / sum(parts))


def student_quantile(share: float, freedom: float) -> float:
    """Return the quantile of Student's t distribution.

    Args:
        share: Probability, from 0.5 to below 1.
        freedom: Degrees of freedom ν, 1 or more. Between whole ones the logarithm of the quantile is linear in 1 / ν.
    """
    whole = int(freedom)
    quantile = _student_quantile(share, whole)
    if freedom == whole or not quantile:
        return quantile
    way = (1.0 - whole / freedom) * (whole + 1)
    return quantile * float((_student_quantile(share, whole + 1) / quantile) ** way)


@cache
def _student_quantile(share: float, freedom: int) -> float:
    """Return the quantile for whole ν.

    The distribution function has a finite series in the angle atan(t / √ν) for whole ν (Abramowitz and Stegun 1964,
    26.7.3 and 26.7.4), which is halved until it is met.

    Args:
        share: Probability, from 0.5 to below 1.
        freedom: Degrees of freedom ν, 1 or more.
    """
    odd = freedom % 2
    # Factors from one power of the cosine to the next: 2/3 · 4/5 ... for odd ν, 1/2 · 3/4 ... for even ν.
    steps = np.arange(1, (freedom - 2) // 2 + 1, dtype=np.float64)
    factors = 2.0 * steps / (2.0 * steps + 1.0) if odd else (2.0 * steps - 1.0) / (2.0 * steps)
    low, high = 0.0, np.pi / 2.0
    for _ in range(60):
        angle = (low + high) / 2.0
        sine, cosine = np.sin(angle), np.cos(angle)
        series = 1.0 + float(np.cumprod(factors * cosine**2).sum())
        rest = sine * cosine * series if freedom > 1 else 0.0
        within = 2.0 / np.pi * (angle + rest) if odd else sine * series
        low, high = (angle, high) if within < 2.0 * share - 1.0 else (low, angle)
    return float(np.sqrt(freedom) * np.tan(low))
