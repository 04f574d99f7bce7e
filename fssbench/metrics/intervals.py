"""Confidence intervals of a metric, or of a mean of metrics, computed from bootstrap draws.

An interval is x ± t s, where x is the metric, s the standard deviation of its bootstrap draws, and t the quantile of
Student's t distribution. Percentile intervals, the usual choice, are worse for few images: they double the bias of a
ratio of sums, and do not depend on the number of images. Their coverage is lower, and that of BCa intervals is not
better (docs/statistics.md).

Where s is not known there is no interval, and the reason takes its place: no class has two images, all draws are equal
(the images that were not drawn need not be like these), or so few images spread so far that x ± t s is every possible
value. What is not known of a fold is not known of the mean over the folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import isnan, nan

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_ROUNDING = 1e-9
"""Draws, in per cent, that differ by less than this are equal up to rounding."""
_MANY = 30
"""From this many degrees of freedom, Student's quantile is within a few per cent of the normal distribution's."""


FEW = "no class has two query images"
_ONE_DRAW = "a single draw has no spread"
_EQUAL = "it is the same in all draws of the query images"
_WIDE = "so few query images leave every value possible"


@dataclass(frozen=True)
class Interval:
    """A confidence interval, in per cent, or the reason why it can't be given.

    Attributes:
        low: Its lower end; NaN if it can't be given.
        high: Its upper end; NaN if it can't be given.
        reason: Why it can't be given; empty if it is.
    """

    low: float
    high: float
    reason: str = ""

    @property
    def given(self) -> bool:
        """Whether there is an interval."""
        return not self.reason and not isnan(self.low)

    def text(self, form: str = ".1f") -> str:
        """Return the ends as text, each in a format of Python, e.g. "46.1 to 52.0"; "-" if it can't be given."""
        return f"{self.low:{form}} to {self.high:{form}}" if self.given else "-"


@dataclass(frozen=True, eq=False)
class Sample:
    """A metric with its bootstrap draws.

    Attributes:
        value: The metric, in per cent.
        drawn: Its bootstrap draws, (draws,).
        degrees_of_freedom: Number of clusters minus number of strata.
        name: What a mean calls it, e.g. "fold 0".
        few: Why there is no interval if there is no degree of freedom.
    """

    value: float
    drawn: Floats
    degrees_of_freedom: int
    name: str = ""
    few: str = FEW

    @property
    def unknown(self) -> str:
        """Why its spread is not known; empty if it is."""
        if self.degrees_of_freedom < 1:
            return self.few
        if self.drawn.size < 2:
            return _ONE_DRAW
        return _EQUAL if np.ptp(self.drawn) <= _ROUNDING else ""


def interval(
    value: float, drawn: Floats, degrees_of_freedom: int, level: float, lowest: float = 0.0, few: str = FEW
) -> Interval:
    """Return the confidence interval of a metric, or the reason why it can't be given.

    Args:
        value: The metric, in per cent.
        drawn: Its bootstrap draws, (draws,).
        degrees_of_freedom: Number of clusters minus number of strata. With 0 there is no interval.
        level: The nominal coverage, between 0 and 1.
        lowest: The smallest possible value: 0 for a metric, -100 for a difference of metrics. The largest is 100.
        few: Why there is no interval if there is no degree of freedom.
    """
    return interval_of_mean([Sample(value, drawn, degrees_of_freedom, few=few)], level, lowest)


def interval_of_mean(samples: Sequence[Sample], level: float, lowest: float = 0.0) -> Interval:
    """Return the confidence interval of the mean of metrics that were drawn independently, such as those of folds.

    There is none if that of one of the metrics can't be given, or if it would be every possible value.

    Args:
        samples: The metrics, each with the same number of draws.
        level: The nominal coverage, between 0 and 1.
        lowest: As for `interval`.
    """
    for sample in samples:
        if reason := sample.unknown:
            return not_given(f"{sample.name}: {reason}" if sample.name and len(samples) > 1 else reason)
    freedom = _pooled_freedom(samples)
    spread = float(np.std(np.mean([sample.drawn for sample in samples], axis=0)))
    reach = student_quantile(0.5 + level / 2.0, freedom) * spread
    value = float(np.mean([sample.value for sample in samples]))
    low, high = max(lowest, value - reach), min(100.0, value + reach)
    return not_given(_WIDE) if low <= lowest and high >= 100.0 else Interval(low, high)


def not_given(reason: str) -> Interval:
    """Return an interval that can't be given, with the reason."""
    return Interval(nan, nan, reason)


def _pooled_freedom(samples: Sequence[Sample]) -> float:
    """Return the degrees of freedom of a mean: their sum, unless one of them is small.

    Source: Welch, Biometrika 34, 1947, and Satterthwaite, Biometrics Bulletin 2, 1946.
    """
    degrees = [sample.degrees_of_freedom for sample in samples]
    if min(degrees) >= _MANY:
        return sum(degrees)
    variances = [float(np.var(sample.drawn)) for sample in samples]
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
