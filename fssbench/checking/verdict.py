"""Checks and reports: the expected number, the measured number, the tolerance and the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fssbench.metrics.intervals import Interval

Verdict = Literal["pass", "miss", "none"]

MEASURES = {"miou": "mIoU", "fb_iou": "FB-IoU", "exact_ratio": "ER", "weights": "weights"}
"""The metrics that are checked, with their names in tables."""


@dataclass(frozen=True)
class Tolerance:
    """How far a measured number may be from the expected one.

    Attributes:
        below: How much lower it may be, in percentage points.
        above: How much higher it may be, in percentage points.
        tier: Name of the tier, e.g. "same weights and episodes".
        source: The reason for the tolerance.
    """

    below: float
    above: float
    tier: str
    source: str

    def admits(self, difference: float) -> bool:
        """Return whether measured - expected, in percentage points, is within the tolerance."""
        # The small margin makes 0.3 admit 64.4 - 64.1, which is slightly larger in floating point.
        return -self.below - 1e-9 <= difference <= self.above + 1e-9

    def __str__(self) -> str:
        if self.below == self.above == 0.0:
            return "exact"
        return f"±{self.above:.2f}" if self.below == self.above else f"-{self.below:.2f} +{self.above:.2f}"


@dataclass(frozen=True)
class Subject:
    """What was measured.

    Attributes:
        name: Method, data set, ways and shots, on one line.
        folders: The run folders, separated by commas.
    """

    name: str
    folders: str


@dataclass(frozen=True)
class Check:
    """The comparison of a measured with an expected number.

    Attributes:
        subject: What was measured.
        measure: A key of `MEASURES`.
        fold: The fold; None for the mean over the folds.
        expected: The expected number in per cent; None if there is none to compare with.
        measured: The measured number in per cent; None if it is not known.
        tolerance: The tolerance; None if there is no verdict.
        interval: Confidence interval of the measured number from resampled episodes; None if there is none.
        verdict: "pass", "miss", or "none" if the numbers are not comparable.
        source: Where the expected number was printed.
        remark: Why there is no verdict, or another caveat; empty if there is none.
    """

    subject: Subject
    measure: str
    fold: int | None
    expected: float | None
    measured: float | None
    tolerance: Tolerance | None
    interval: Interval | None
    verdict: Verdict
    source: str
    remark: str = ""

    @property
    def difference(self) -> float | None:
        """Measured minus expected, in percentage points; None unless both are known."""
        return None if self.expected is None or self.measured is None else self.measured - self.expected

    @property
    def title(self) -> str:
        """The number that is checked, e.g. "fold 0 mIoU"."""
        where = "mean" if self.fold is None else f"fold {self.fold}"
        return f"{where} {MEASURES[self.measure]}"


@dataclass(frozen=True)
class Report:
    """All checks of a command.

    Attributes:
        against: What the runs were compared with, e.g. "printed numbers".
        checks: The checks, in the order of the runs.
        uncompared: The runs and folds that could not be compared, with the reason.
    """

    against: str
    checks: tuple[Check, ...]
    uncompared: tuple[str, ...]

    @property
    def missed(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.verdict == "miss")

    @property
    def decided(self) -> int:
        """Number of checks with a verdict."""
        return sum(check.verdict != "none" for check in self.checks)


def judge(
    subject: Subject,
    measure: str,
    fold: int | None,
    numbers: tuple[float, float],
    tolerance: Tolerance,
    interval: Interval | None,
    source: str,
    remark: str = "",
) -> Check:
    """Return a check with its verdict; `numbers` are the expected and the measured number, in per cent."""
    expected, measured = numbers
    verdict: Verdict = "pass" if tolerance.admits(measured - expected) else "miss"
    return Check(subject, measure, fold, expected, measured, tolerance, interval, verdict, source, remark)


def not_comparable(
    subject: Subject,
    measure: str,
    fold: int | None,
    expected: float | None,
    measured: float | None,
    source: str,
    reason: str,
) -> Check:
    """Return a check without a verdict, with the reason."""
    return Check(subject, measure, fold, expected, measured, None, None, "none", source, reason)
