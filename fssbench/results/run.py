"""Run folders.

run.json and episodes-foldN.json hold what was asked, rows.jsonl what was answered, summary.json what it means.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from fssbench.atomic import write_text
from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.metrics import DRAWS, Summary, summarise
from fssbench.results.record import Run, first_difference
from fssbench.results.rows import Row, RowWriter, frame_of, read_rows
from fssbench.results.summary import summary_record

if TYPE_CHECKING:
    import pandas as pd
    from pydantic import TypeAdapter

    from fssbench.episode import EpisodeList

RUN, ROWS, SUMMARY = "run.json", "rows.jsonl", "summary.json"
MAX_BYTES = 1 << 26
"""A larger run.json is none."""


class Existing(StrEnum):
    """What to do with a run that is there already."""

    REFUSE = "refuse"
    RESUME = "resume"
    OVERWRITE = "overwrite"


@dataclass(frozen=True, eq=False)
class Results:
    """A run's answers.

    Attributes:
        frame: A row per episode, a column per attribute of `fssbench.results.Row`, by fold and episode.
        run: What was asked, by which weights, where.
        folder: Where the rows are; None if they were not stored.
    """

    frame: pd.DataFrame
    run: Run
    folder: Path | None = None

    @property
    def missing(self) -> int:
        """How many episodes are not answered yet."""
        return sum(self.run.expected(fold) for fold in self.run.folds) - len(self.frame)

    def summary(self, *, all_classes: bool = False, draws: int | None = None) -> Summary:
        """Return mIoU, FB-IoU, exact ratio with intervals; see `fssbench.summarise`.

        Args:
            all_classes: Count a class that no episode asked as 0, as the releases do, instead of leaving it out.
                Whole lists of the protocols ask every class.
            draws: Bootstrap draws; 0 for no intervals.
        """
        run = self.run
        strict = all_classes and run.generalised
        return summarise(
            self.frame,
            run.classes if all_classes else None,
            base_classes={fold.fold: fold.base_classes for fold in run.folds} if strict else None,
            generalised=run.generalised,
            run_length={fold.fold: fold.run_length for fold in run.folds if fold.run_length},
            draws=DRAWS if draws is None else draws,
        )


@cache
def _schema() -> TypeAdapter[Run]:
    from pydantic import TypeAdapter

    return TypeAdapter(Run)


def read_run(folder: Path) -> Run:
    """Return what a run folder says of itself.

    Raises:
        MissingError: If there is no run.
        BrokenFileError: If run.json is none, or of a later version.
    """
    from pydantic import ValidationError

    path = folder / RUN
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BrokenFileError(f"{path} is too large for the record of a run")
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingError(f"there is no run in {folder}", "fssbench eval --out DIR makes one") from error
    except OSError as error:
        raise BrokenFileError(f"can't read {path}: {error.strerror}") from error
    try:
        return _schema().validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BrokenFileError(
            f"{path} is no record of a run that this version reads{f' ({where})' if where else ''}: {first['msg']}"
        ) from error


def load_run(folder: str | Path) -> Results:
    """Return a stored run, finished or not (`Results.missing`).

    Raises:
        MissingError: If there is no run.
        BrokenFileError: If one of its files is not as it was written; with the line.
    """
    folder = Path(folder)
    run = read_run(folder)
    rows = read_rows(folder / ROWS)
    _check_rows(rows, run, folder / ROWS)
    return Results(frame_of(rows), run, folder)


def _check_rows(rows: Sequence[Row], run: Run, path: Path) -> None:
    sizes = {fold.fold: fold.episodes for fold in run.folds}
    for row in rows:
        if row.episode >= sizes.get(row.fold, 0):
            raise BrokenFileError(f"{path} has fold {row.fold}, episode {row.episode}, which the run does not ask")


class RunFolder:
    """A run being written. Nothing is written before the first row is there.

    Args:
        path: The folder.
        run: What is asked.
        lists: The episode list of each fold.
        existing: What to do if there is a run already.

    Attributes:
        rows: The rows that a run to be continued has already.

    Raises:
        UsageError: If there is a run and `existing` is "refuse"; or it is to be continued and asked something else.
        BrokenFileError: If the run to be continued is damaged.
    """

    def __init__(self, path: Path, run: Run, lists: Mapping[int, EpisodeList], existing: Existing) -> None:
        self.path = path
        self.run = run
        self.rows: list[Row] = []
        self._lists = lists
        self._writer: RowWriter | None = None
        self._started = False
        check_folder(path, existing)
        if existing is Existing.RESUME and (path / RUN).exists():
            try:
                self._continue()
            except BaseException:
                self.close()
                raise

    def append(self, row: Row) -> None:
        """Write one row; before the first, the folder with run.json and the episode lists."""
        writer = self._writer if self._started and self._writer else self._start()
        writer.append(row)
        self.rows.append(row)

    def close(self) -> None:
        """Let go of the files; what was written stays."""
        if self._writer is not None:
            self._writer.close()

    def discard(self) -> None:
        """Take back what this run has written; the folder goes too, unless it holds something else."""
        self.close()
        if self._writer is not None:
            for old in (self.path / SUMMARY, self.path / ROWS, self.path / RUN, *self.path.glob("episodes-fold*.json")):
                old.unlink(missing_ok=True)
            if not any(self.path.iterdir()):
                self.path.rmdir()

    def finish(self) -> Results:
        """Write summary.json and return the results."""
        results = Results(frame_of(self.rows), self.run, self.path)
        if self.rows and not results.missing:
            write_atomically(self.path / SUMMARY, json.dumps(summary_record(results.summary()), indent=1) + "\n")
        return results

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _continue(self) -> None:
        stored = check_continues(self.path, self.run)
        self.run = replace(self.run, starts=stored.starts + self.run.starts)
        # Locked before it is read: another run must not write in between.
        self._writer = RowWriter(self.path / ROWS)
        self.rows = read_rows(self.path / ROWS)
        _check_rows(self.rows, stored, self.path / ROWS)
        for row in self.rows:
            episode = self._lists[row.fold][row.episode]
            if (row.query, row.classes, row.supports) != (episode.query, episode.classes, episode.supports):
                raise BrokenFileError(
                    f"{self.path / ROWS}: fold {row.fold}, episode {row.episode} is not the list's episode",
                    "start the run again with --overwrite",
                )
            if self.run.limit is not None and row.episode >= self.run.limit:
                raise UsageError(
                    f"the run in {self.path} holds fold {row.fold}, episode {row.episode}, "
                    f"which --limit {self.run.limit} leaves out",
                    "leave --limit out, or give another --out",
                )

    def _start(self) -> RowWriter:
        from fssbench.episode import write_episodes

        if self._writer is None:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UsageError(f"can't make {self.path}: {error.strerror}", "give another --out") from error
            self._writer = RowWriter(self.path / ROWS)
        if not self.rows:
            for old in (self.path / RUN, *self.path.glob("episodes-fold*.json")):
                old.unlink(missing_ok=True)
            self._writer.clear()
        (self.path / SUMMARY).unlink(missing_ok=True)
        for fold, episodes in self._lists.items():
            write_episodes(episodes, self.path / f"episodes-fold{fold}.json")
        write_atomically(self.path / RUN, _schema().dump_json(self.run, indent=1).decode() + "\n")
        self._started = True
        return self._writer


def check_folder(path: Path, existing: Existing) -> None:
    """Refuse a folder that a run can't be written to; nothing is written.

    Raises:
        UsageError: If it holds a run that is neither to be continued nor replaced, or other files.
    """
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file, not a folder", "give another --out")
    if not path.exists() or not any(path.iterdir()):
        return
    if not (path / RUN).exists() and not (path / ROWS).exists():
        raise UsageError(f"{path} holds other files than a run's", "give another --out")
    if existing is Existing.REFUSE:
        raise UsageError(
            f"{path} holds a run already",
            "continue it with --resume, replace it with --overwrite, or give another --out",
        )


def check_continues(path: Path, run: Run) -> Run:
    """Return the run that is stored in a folder if `run` asks the same of the same.

    Raises:
        UsageError: Naming the first field that differs.
        BrokenFileError: If what is stored can't be read.
    """
    stored = read_run(path)
    if found := first_difference(stored, run):
        raise UsageError(
            f"the run in {path} can't be continued: "
            f"its {found.field} is {found.stored}, this command's is {found.asked}",
            "type the command as before, or give another --out",
        )
    return stored


def write_atomically(path: Path, text: str) -> None:
    """Write a small text file, all or nothing.

    Raises:
        UsageError: If it can't be written.
    """
    try:
        write_text(path, text)
    except OSError as error:
        raise UsageError(f"can't write {path}: {error.strerror}") from error
