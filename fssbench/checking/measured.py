"""The numbers to check, from runs: the folds of one configuration are combined, each number with its interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.checking.verdict import Subject
from fssbench.errors import MissingError
from fssbench.metrics.summary import FoldSummary, Interval, Summary, summary_of
from fssbench.tables.measurements import MeasuredFold as CountedFold
from fssbench.tables.measurements import Measurement, dataset_key, fold_count, group_folds, read_folds
from fssbench.tables.runs import deduplicated, find_runs

if TYPE_CHECKING:
    from fssbench.results import Run
from fssbench.results.arguments import goes_on
from fssbench.results.record import FoldRecord, Start


@dataclass(frozen=True, eq=False)
class MeasuredFold:
    """One fold.

    Attributes:
        record: The record of the fold.
        partial: Why the fold can't be compared; empty if the whole list was evaluated.
        part: How many episodes were evaluated, if it is only the first ones of the list (`--limit`) and nothing else is
            missing; otherwise 0.
        starts: When and where the run was started.
        counted: The counts; None if there are no rows.
        summarise: Returns the metrics of all folds, with intervals, which take long.
    """

    record: FoldRecord
    partial: str
    part: int
    starts: tuple[Start, ...]
    counted: CountedFold | None
    summarise: Callable[[], Summary | None]

    @property
    def numbers(self) -> FoldSummary | None:
        """The metrics of the fold, without intervals; None if there are no rows."""
        return None if self.counted is None else self.counted.summary

    def interval(self, measure: str) -> Interval | None:
        """Return the interval of a metric."""
        summary = self.summarise()
        folds = () if summary is None else summary.folds
        return next((fold.intervals.get(measure) for fold in folds if fold.fold == self.record.fold), None)


@dataclass(frozen=True, eq=False)
class Measured:
    """Folds of one configuration, from one run or several.

    Attributes:
        run: One of the runs.
        subject: The name in tables.
        folds: The folds, sorted by number.
        summarise: Returns the metrics of all folds, with intervals, which take long; None if there are no rows.
    """

    run: Run
    subject: Subject
    folds: tuple[MeasuredFold, ...]
    summarise: Callable[[], Summary | None]

    @property
    def summary(self) -> Summary | None:
        """The metrics of all folds, with intervals; None if there are no rows."""
        return self.summarise()

    @cached_property
    def numbers(self) -> Summary | None:
        """The metrics of all folds, without intervals; None if there are no rows."""
        counts = [fold.counted.counts for fold in self.folds if fold.counted is not None]
        return summary_of(counts, draws=0, by_class=False) if counts else None

    @property
    def whole(self) -> bool:
        """Whether every fold of the data set is complete, so that the mean is comparable with the papers' mean."""
        return len(self.folds) == fold_count(self.run) and not any(fold.partial for fold in self.folds)


def measured(folders: Iterable[Path]) -> list[Measured]:
    """Read runs; a folder of runs means all runs in it.

    Raises:
        MissingError: If a folder does not exist, or has no run.
        BrokenFileError: If a run is damaged.
    """
    paths: list[Path] = []
    for folder in folders:
        found = find_runs(folder) if folder.is_dir() else []
        if not found:
            raise MissingError(f"there is no run in {folder}", "fssbench eval --out DIR makes one")
        # A run is checked once, even if it is found in several folders.
        paths = deduplicated(paths, found)
    runs: dict[Path, Run] = {}
    folds_with_rows: dict[Path, dict[int, CountedFold]] = {}
    for path in paths:
        runs[path], folds_with_rows[path] = read_folds(path)
    combined = [_combined(one, runs) for one in group_folds((runs[path], folds_with_rows[path]) for path in paths)]
    return [*combined, *(_measured([path], {}, runs) for path in paths if not folds_with_rows[path])]


def _combined(one: Measurement, runs: Mapping[Path, Run]) -> Measured:
    return _measured(sorted({fold.folder for fold in one.folds.values()}), one.folds, runs)


def _measured(
    folders: Sequence[Path], folds_with_rows: Mapping[int, CountedFold], runs: Mapping[Path, Run]
) -> Measured:
    """Combine folds.

    Args:
        folders: The folders of the runs.
        folds_with_rows: The folds that have rows, each from one of the runs.
        runs: The record of each run.
    """
    level = max(runs[folder].interval_level for folder in folders)

    @cache
    def summarise() -> Summary | None:
        return (
            summary_of([folds_with_rows[fold].counts for fold in sorted(folds_with_rows)], level=level)
            if folds_with_rows
            else None
        )

    folds: dict[int, MeasuredFold] = {}
    for folder in folders:
        run = runs[folder]
        for record in run.folds:
            # A fold without rows in one run may have rows in another; if it has none, it is reported as incomplete.
            counted = folds_with_rows.get(record.fold)
            if counted is None or counted.folder == folder:
                rows = 0 if counted is None else run.expected(record) - counted.missing
                reason = explain_incomplete(run, record, rows)
                cut = run.requested(record) < record.episodes and not explain_incomplete(run, record, rows, cut=True)
                part = run.requested(record) if cut else 0
                folds[record.fold] = MeasuredFold(record, reason, part, run.starts, counted, summarise)
    subject = Subject(subject_name(runs[folders[0]]), ", ".join(map(str, folders)))
    return Measured(runs[folders[0]], subject, tuple(folds[fold] for fold in sorted(folds)), summarise)


def explain_incomplete(run: Run, record: FoldRecord, rows: int, *, cut: bool = False) -> str:
    """Return why a fold is not the result of a whole list; empty if it is.

    Args:
        run: The run.
        record: The fold.
        rows: How many rows it has.
        cut: Whether a list of which only the first episodes are evaluated (`--limit`) will do.
    """
    if run.is_shard:
        return f"shard {run.as_shard} of a run, only a part of the list (fssbench merge)"
    if run.requested(record) < record.episodes and not cut:
        option = "--limit" if run.until is None else "--until: the data decided how many"
        return f"only the first {run.requested(record)} of {record.episodes} episodes were evaluated ({option})"
    if record.unanswered:
        return f"{record.unanswered} episodes without a prediction are left out"
    if missing := run.expected(record) - rows:
        return f"unfinished: {missing} episodes are missing ({goes_on(run)})"
    if record.leaking:
        return f"training on {run.train_dataset} has seen classes that are tested: {', '.join(record.leaking)}"
    if record.left_out:
        return f"{len(record.left_out)} classes were left out of the draw"
    return ""


def subject_name(run: Run) -> str:
    """Return the name of a run on one line: method, variant, backbone, precision, data set, ways, shots."""
    method = run.method
    variant = method.variant if method.variant not in (None, method.task) else ""
    precision = "" if run.precision == "float32" else run.precision
    words = [
        method.name,
        variant,
        method.backbone,
        precision,
        dataset_key(run),
        "FS-CS" if method.task == "fscs" else "",
    ]
    return " ".join([*(word for word in words if word), f"{run.way}-way", f"{run.shot}-shot"])
