"""What a check says: a number that is expected, what was measured, and how far apart they may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fssbench.metrics.intervals import Interval

Verdict = Literal["pass", "miss", "none"]

MEASURES = {"miou": "mIoU", "fb_iou": "FB-IoU", "exact_ratio": "ER", "weights": "weights"}
"""What is checked, and as tables print it."""


@dataclass(frozen=True)
class Tolerance:
    """How far a measured number may be from the expected one.

    Attributes:
        below: Per cent points that it may be lower.
        above: Per cent points that it may be higher.
        tier: Name of the case that decides, e.g. "same weights and episodes".
        source: Where the tolerance comes from.
    """

    below: float
    above: float
    tier: str
    source: str

    def admits(self, difference: float) -> bool:
        """Return whether measured - expected, in per cent points, is within the tolerance."""
        # A hair more, so that 0.3 admits 64.3 - 64.0 in binary floating point.
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
        folders: The run folders, with commas between.
    """

    name: str
    folders: str


@dataclass(frozen=True)
class Check:
    """One number held against its expectation.

    Attributes:
        subject: What was measured.
        measure: A key of `MEASURES`.
        fold: Its fold; None for the mean over the folds.
        expected: In per cent; None where nothing is comparable.
        measured: In per cent; None where it is not known.
        tolerance: None where there is no verdict.
        interval: Confidence interval of the measured number, over resampled episodes; None where there is none.
        verdict: "pass", "miss", or "none" where the two are not comparable.
        source: Where the expected number stands.
        remark: Why there is no verdict, or what else has to be said; empty if nothing.
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
        """Measured less expected, in per cent points; None unless both are known."""
        return None if self.expected is None or self.measured is None else self.measured - self.expected

    @property
    def title(self) -> str:
        """What is checked, e.g. "fold 0 mIoU"."""
        where = "mean" if self.fold is None else f"fold {self.fold}"
        return f"{where} {MEASURES[self.measure]}"


@dataclass(frozen=True)
class Report:
    """All checks of a command.

    Attributes:
        against: What the runs were held against, e.g. "printed numbers".
        checks: In the order of the runs.
        uncompared: What should have been compared and could not be, with the reason.
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
        """How many checks have a verdict."""
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
    """Return a check with its verdict; `numbers` are expected and measured, in per cent."""
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
    """Return a check without verdict, with the reason."""
    return Check(subject, measure, fold, expected, measured, None, None, "none", source, reason)
