"""Confidence intervals of a metric, or of a mean of metrics, computed from bootstrap draws.

An interval is x ± t s, where x is the metric, s the standard deviation of its bootstrap draws, and t the quantile of
Student's t distribution. Percentile intervals, the usual choice, are worse for few images: they double the bias of a
ratio of sums, and do not depend on the number of images. Their coverage is lower, and that of BCa intervals is not
better (docs/statistics.md).

If all draws are equal, s is 0, although few images prove little. The interval then follows the "rule of three" (Hanley
and Lippman-Hand, JAMA 249, 1983): with f degrees of freedom, a fraction of up to 1 - (1 - level)^(1 / f) of the images
may behave differently and have any value. With f = 0 the interval covers the whole range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_ROUNDING = 1e-9
"""Draws, in per cent, that differ by less than this are equal up to rounding."""
_MANY = 30
"""From this many degrees of freedom, Student's quantile is within a few per cent of the normal distribution's."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval, in per cent."""

    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Sample:
    """A metric with its bootstrap draws.

    Attributes:
        value: The metric, in per cent.
        drawn: Its bootstrap draws, (draws,).
        degrees_of_freedom: Number of clusters minus number of strata.
    """

    value: float
    drawn: Floats
    degrees_of_freedom: int


def interval(value: float, drawn: Floats, degrees_of_freedom: int, level: float, lowest: float = 0.0) -> Interval:
    """Return the confidence interval of a metric.

    Args:
        value: The metric, in per cent.
        drawn: Its bootstrap draws, (draws,).
        degrees_of_freedom: Number of clusters minus number of strata. With 0 the interval covers the whole range.
        level: The nominal coverage, between 0 and 1.
        lowest: The smallest possible value: 0 for a metric, -100 for a difference of metrics. The largest is 100.
    """
    return interval_of_mean([Sample(value, drawn, degrees_of_freedom)], level, lowest)


def interval_of_mean(samples: Sequence[Sample], level: float, lowest: float = 0.0) -> Interval:
    """Return the confidence interval of the mean of metrics that were drawn independently, such as those of folds.

    A metric whose draws are all equal widens the interval of the mean of k metrics by 1 / k of its own interval.

    Args:
        samples: The metrics, each with the same number of draws.
        level: The nominal coverage, between 0 and 1.
        lowest: As for `interval`.
    """
    count = len(samples)
    # The standard deviation of a single draw means nothing.
    spread = [sample for sample in samples if sample.degrees_of_freedom >= 1 and np.ptp(sample.drawn) > _ROUNDING]
    below = above = 0.0
    if spread:
        moved = np.mean([sample.drawn for sample in spread], axis=0) * (len(spread) / count)
        pooled = _pooled_freedom(
            [float(np.var(sample.drawn)) for sample in spread], [sample.degrees_of_freedom for sample in spread]
        )
        below = above = student_quantile(0.5 + level / 2.0, pooled) * float(np.std(moved))
    for sample in samples:
        if sample not in spread:
            unseen = 1.0 - (1.0 - level) ** (1.0 / sample.degrees_of_freedom) if sample.degrees_of_freedom >= 1 else 1.0
            below += unseen * (sample.value - lowest) / count
            above += unseen * (100.0 - sample.value) / count
    value = float(np.mean([sample.value for sample in samples]))
    return Interval(max(lowest, value - below), min(100.0, value + above))


def _pooled_freedom(variances: Sequence[float], degrees: Sequence[int]) -> float:
    """Return the degrees of freedom of a mean: their sum, unless one of them is small.

    Source: Welch, Biometrika 34, 1947, and Satterthwaite, Biometrics Bulletin 2, 1946.
    """
    if min(degrees) >= _MANY:
        return sum(degrees)
    parts = [each**2 / degree for each, degree in zip(variances, degrees, strict=True)]
    return float(sum(variances) ** 2 / sum(parts))


def student_quantile(probability: float, degrees_of_freedom: float) -> float:
    """Return the quantile of Student's t distribution.

    Args:
        probability: From 0.5 to below 1.
        degrees_of_freedom: ν, 1 or more. Between whole numbers, the logarithm of the quantile is interpolated linearly
            in 1 / ν.
    """
    whole = int(degrees_of_freedom)
    quantile = _student_quantile(probability, whole)
    if degrees_of_freedom == whole or not quantile:
        return quantile
    fraction = (1.0 - whole / degrees_of_freedom) * (whole + 1)
    return quantile * float((_student_quantile(probability, whole + 1) / quantile) ** fraction)


@cache
def _student_quantile(probability: float, degrees_of_freedom: int) -> float:
    """Return the quantile for whole ν.

    For whole ν, the distribution function is a finite series in the angle atan(t / √ν) (Abramowitz and Stegun 1964,
    26.7.3 and 26.7.4). It is inverted by bisection.

    Args:
        probability: From 0.5 to below 1.
        degrees_of_freedom: ν, 1 or more.
    """
    odd = degrees_of_freedom % 2
    # Factors from one power of the cosine to the next: 2/3 · 4/5 ... for odd ν, 1/2 · 3/4 ... for even ν.
    steps = np.arange(1, (degrees_of_freedom - 2) // 2 + 1, dtype=np.float64)
    factors = 2.0 * steps / (2.0 * steps + 1.0) if odd else (2.0 * steps - 1.0) / (2.0 * steps)
    low, high = 0.0, np.pi / 2.0
    for _ in range(60):
        angle = (low + high) / 2.0
        sine, cosine = np.sin(angle), np.cos(angle)
        series = 1.0 + float(np.cumprod(factors * cosine**2).sum())
        rest = sine * cosine * series if degrees_of_freedom > 1 else 0.0
        within = 2.0 / np.pi * (angle + rest) if odd else sine * series
        low, high = (angle, high) if within < 2.0 * probability - 1.0 else (low, angle)
    return float(np.sqrt(degrees_of_freedom) * np.tan(low))
