"""Confidence intervals: how far chance moves a number, from what a bootstrap drew.

An interval is x ± t s: x the number itself, s the standard deviation of its bootstrap draws, t the quantile of
Student's distribution. Percentiles of the draws, the usual choice, double the bias that a ratio of sums has for few
pictures, and know nothing of how few there are: where there are few they miss the truth more often, and BCa intervals
do no better (docs/statistics.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A confidence interval, in per cent."""

    low: float
    high: float


def interval(value: float, drawn: Floats, freedom: int, level: float, lowest: float = 0.0) -> Interval:
    """Return the confidence interval of a number.

    Args:
        value: The number, in per cent.
        drawn: Its bootstrap draws, (draws,).
        freedom: Degrees of freedom: clusters less strata. With 0 of them nothing is known, and the interval is whole.
        level: Its nominal coverage, between 0 and 1.
        lowest: The smallest value there is: 0 for a share, -100 for a difference of shares. The largest is 100.
    """
    if freedom < 1:
        return Interval(lowest, 100.0)
    reach = student_quantile(0.5 + level / 2.0, freedom) * float(np.std(drawn))
    return Interval(max(lowest, value - reach), min(100.0, value + reach))


@cache
def student_quantile(share: float, freedom: int) -> float:
    """Return the quantile of Student's t distribution.

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
