"""A run against numbers that are stated in a test: "still 66.1 ± 0.4"."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.checking.measured import explain_incomplete, measured, subject_name
from fssbench.checking.tolerances import stated_tolerance
from fssbench.checking.verdict import Report, Subject, judge
from fssbench.errors import UsageError

if TYPE_CHECKING:
    from fssbench.metrics.summary import FoldSummary, Summary
    from fssbench.results import Results, Run


def against_stated(
    run: str | Path | Results, expected: Mapping[str, float | None], fold: int | None, tolerance: float
) -> Report:
    """Compare a run with stated numbers.

    Args:
        run: A run folder, a folder of runs of one configuration, or results in memory.
        expected: The stated numbers by metric, in per cent; None for a metric that is not stated.
        fold: The fold; None for the mean over the folds of the run.
        tolerance: The tolerance in both directions, in percentage points.

    Raises:
        UsageError: If no number is stated, or the run has no such number.
        MissingError: If there is no such run.
    """
    stated = {measure: value for measure, value in expected.items() if value is not None}
    if not stated:
        raise UsageError("no number is stated", "e.g. fssbench_check.number(run, miou=66.1, tolerance=0.4)")
    allowed = stated_tolerance(tolerance, "stated by the test")
    record, subject, summary = _of_folders(Path(run)) if isinstance(run, str | Path) else _of_results(run)
    if "exact_ratio" in stated and record.method.task != "fscs":
        raise UsageError(f"{subject.name} has no exact ratio: only FS-CS predicts the presence of classes")
    numbers: Summary | FoldSummary = summary
    if fold is not None:
        by_fold = {fold_summary.fold: fold_summary for fold_summary in summary.folds}
        if fold not in by_fold:
            raise UsageError(f"{subject.name} has no fold {fold}, only {', '.join(map(str, by_fold))}")
        numbers = by_fold[fold]
    checks = tuple(
        judge(
            *(subject, measure, fold, (value, float(getattr(numbers, measure))), allowed),
            *(numbers.intervals.get(measure), "the test"),
        )
        for measure, value in stated.items()
    )
    return Report("stated numbers", checks, ())


def _of_folders(folder: Path) -> tuple[Run, Subject, Summary]:
    found = measured([folder])
    if len(found) > 1:
        names = "; ".join(f"{one.subject.name} ({one.subject.folders})" for one in found[:3])
        raise UsageError(f"{folder} has several measurements: {names}", "give the folder of one of them")
    [one] = found
    _refuse(one.subject, [fold.partial for fold in one.folds])
    if one.summary is None:
        raise UsageError(f"the run in {folder} has no rows")
    return one.run, one.subject, one.summary


def _of_results(results: Results) -> tuple[Run, Subject, Summary]:
    run = results.run
    subject = Subject(subject_name(run), str(results.folder or "in memory"))
    rows = {fold.fold: int((results.frame["fold"] == fold.fold).sum()) for fold in run.folds}
    _refuse(subject, [explain_incomplete(run, fold, rows[fold.fold]) for fold in run.folds])
    return run, subject, results.summary()


def _refuse(subject: Subject, reasons: list[str]) -> None:
    if reason := next(filter(None, reasons), ""):
        raise UsageError(f"{subject.name} ({subject.folders}) can't be checked: {reason}")
