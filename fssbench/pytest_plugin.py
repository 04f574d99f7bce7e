"""A pytest plugin, so that the tests of a method's own repository can check its numbers: "still 66.1 ± 0.4".

def test_still_66(fssbench_check):
    fssbench_check.number("runs/mine", miou=66.1, tolerance=0.4)

pytest loads this file at every start, so it imports nothing else until the fixture is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from fssbench.checking import Report
    from fssbench.results import Results


class Checker:
    """The fixture `fssbench_check`."""

    def number(
        self,
        run: str | Path | Results,
        *,
        tolerance: float,
        miou: float | None = None,
        fb_iou: float | None = None,
        exact_ratio: float | None = None,
        fold: int | None = None,
    ) -> None:
        """Fail the test unless a run has the stated numbers.

        Args:
            run: A run folder, a folder of runs of one configuration, or the result of `fssbench.evaluate`.
            tolerance: The tolerance in both directions, in percentage points.
            miou: Expected mIoU in per cent. At least one number must be stated.
            fb_iou: Expected FB-IoU in per cent.
            exact_ratio: Expected exact ratio in per cent.
            fold: The fold; None for the mean over the folds of the run.

        Raises:
            UsageError: If no number is stated, or the run can't be checked: it is unfinished, has a limit, or the
                folder has several configurations.
            MissingError: If there is no such run.
        """
        from fssbench.checking.stated import against_stated

        expected = {"miou": miou, "fb_iou": fb_iou, "exact_ratio": exact_ratio}
        _fail_on_miss(against_stated(run, expected, fold, tolerance))

    def against(
        self,
        *runs: str | Path,
        to: Literal["published", "baseline"] = "published",
        tolerance: float | None = None,
        baselines: str | Path | None = None,
    ) -> None:
        """Fail the test unless `fssbench check` passes, with its arguments.

        Raises:
            MissingError: If a run does not exist, or there is nothing to compare it with.
        """
        from fssbench.checking import stated_tolerance
        from fssbench.checking.report import report_of
        from fssbench.errors import MissingError

        stated = None if tolerance is None else stated_tolerance(tolerance, "stated by the test")
        report = report_of([Path(run) for run in runs], to, stated, None if baselines is None else Path(baselines))
        _fail_on_miss(report)
        if report.uncompared:
            raise MissingError(f"nothing to compare with: {report.uncompared[0]}")


def _fail_on_miss(report: Report) -> None:
    from fssbench.checking.junit import describe

    __tracebackhide__ = True
    if report.missed:
        pytest.fail("\n".join(f"{check.subject.name}: {describe(check)}" for check in report.missed), pytrace=False)


@pytest.fixture(scope="session")
def fssbench_check() -> Checker:
    """Checks measured numbers: `.number(run, miou=66.1, tolerance=0.4)`, `.against(run, to="published")`."""
    return Checker()
