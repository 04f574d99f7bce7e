"""Runs as numbers to check: folds of one configuration together, each number with its interval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.checking.verdict import Subject
from fssbench.errors import MissingError
from fssbench.metrics import FoldSummary, Summary, summarise
from fssbench.results import load_run
from fssbench.tables.chosen_runs import find_runs, merged
from fssbench.tables.measured import Measurement, asked_on, fold_count, measurements

if TYPE_CHECKING:
    from fssbench.results import Results, Run
    from fssbench.results.record import FoldRecord, Start


@dataclass(frozen=True, eq=False)
class MeasuredFold:
    """One fold.

    Attributes:
        record: What was asked.
        numbers: What was answered; None if nothing was.
        partial: Why it is compared with nothing; empty if all of the list was answered.
        starts: When and where.
    """

    record: FoldRecord
    numbers: FoldSummary | None
    partial: str
    starts: tuple[Start, ...]


@dataclass(frozen=True, eq=False)
class Measured:
    """Folds of one configuration, from one run or several.

    Attributes:
        run: One of the runs.
        subject: What stands in tables.
        folds: By rising number.
        summary: Of all folds together, with intervals; None if nothing was answered.
    """

    run: Run
    subject: Subject
    folds: tuple[MeasuredFold, ...]
    summary: Summary | None

    @property
    def whole(self) -> bool:
        """Whether every fold of the data set is there, so that the mean is the papers' mean."""
        return len(self.folds) == fold_count(self.run) and not any(fold.partial for fold in self.folds)


def measured(folders: Iterable[Path]) -> list[Measured]:
    """Read runs; a folder of runs stands for all in it.

    Raises:
        MissingError: If a folder is not there, or holds no run.
        BrokenFileError: If a run is damaged.
    """
    paths: list[Path] = []
    for folder in folders:
        found = find_runs(folder) if folder.is_dir() else []
        if not found:
            raise MissingError(f"there is no run in {folder}", "fssbench eval --out DIR makes one")
        # A run is checked once, however many of the folders it is found in.
        paths = merged(paths, found)
    loaded = {path: load_run(path) for path in paths}
    empty = [path for path in paths if loaded[path].frame.empty]
    together = [_together(one, loaded) for one in measurements(path for path in paths if path not in empty)]
    return [*together, *(_of([loaded[path]], [str(path)], None, {}) for path in empty)]


def _together(one: Measurement, loaded: dict[Path, Results]) -> Measured:
    import pandas as pd

    frames = [
        results.frame[results.frame["fold"] == fold]
        for fold, its in one.folds.items()
        for results in [loaded[its.folder]]
    ]
    lengths = {fold: its.record.run_length for fold, its in one.folds.items() if its.record.run_length}
    summary = summarise(
        pd.concat(frames, ignore_index=True), generalised=one.run.generalised, run_length=lengths or None
    )
    folders = sorted({its.folder for its in one.folds.values()})
    owners = {fold: str(its.folder) for fold, its in one.folds.items()}
    return _of([loaded[folder] for folder in folders], [str(folder) for folder in folders], summary, owners)


def _of(
    results: Sequence[Results], folders: Sequence[str], summary: Summary | None, owners: Mapping[int, str]
) -> Measured:
    """Put folds together; `owners` are the folders of the folds that were answered."""
    numbers = {} if summary is None else {fold.fold: fold for fold in summary.folds}
    folds: dict[int, MeasuredFold] = {}
    for its, folder in zip(results, folders, strict=True):
        for record in its.run.folds:
            # A fold that one run has not begun may be answered by another; if by none, it is still told.
            if owners.get(record.fold, folder) == folder:
                answered = int((its.frame["fold"] == record.fold).sum())
                reason = partial_reason(its.run, record, answered)
                folds[record.fold] = MeasuredFold(record, numbers.get(record.fold), reason, its.run.starts)
    subject = Subject(subject_name(results[0].run), ", ".join(folders))
    return Measured(results[0].run, subject, tuple(folds[fold] for fold in sorted(folds)), summary)


def partial_reason(run: Run, record: FoldRecord, answered: int) -> str:
    """Return why a fold's number is that of no list, empty if the whole list was answered."""
    if run.is_shard:
        return f"shard {run.share} of a run, only a part of the list (fssbench merge)"
    if run.asked(record) < record.episodes:
        return f"only the first {run.asked(record)} of {record.episodes} episodes were asked (--limit)"
    if record.unanswered:
        return f"{record.unanswered} episodes without a prediction are left out"
    if missing := run.expected(record) - answered:
        return f"unfinished: {missing} episodes are missing (fssbench eval ... --resume)"
    if record.leaking:
        return f"training on {run.train_dataset} has seen classes that are asked: {', '.join(record.leaking)}"
    if record.left_out:
        return f"{len(record.left_out)} classes were left out of the draw"
    return ""


def subject_name(run: Run) -> str:
    """Return what was measured, on one line."""
    method = run.method
    form = method.variant if method.variant not in (None, method.task) else ""
    precision = "" if run.precision == "float32" else run.precision
    words = [method.name, form, method.backbone, precision, asked_on(run), "FS-CS" if method.task == "fscs" else ""]
    return " ".join([*(word for word in words if word), f"{run.way}-way", f"{run.shot}-shot"])
