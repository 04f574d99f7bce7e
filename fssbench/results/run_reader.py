"""Runs as they are read back from their folders.

run.json and episodes-foldN.json hold what was asked, rows.jsonl what was answered, summary.json what it means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.files import file_size, without_mark, write_text
from fssbench.metrics.fold_counts import CountingRules, FoldCounts, count_folds
from fssbench.metrics.summary import DRAWS, Summary, summary_of, with_all_classes
from fssbench.results.record import Run
from fssbench.results.rows import MAX_NUMBER, Row, frame_of, read_rows

if TYPE_CHECKING:
    import pandas as pd
    from pydantic import TypeAdapter

RUN, ROWS, SUMMARY = "run.json", "rows.jsonl", "summary.json"
LISTS = "episodes-fold*.json"
PARTS = "rows-part*.jsonl"
"""What further processes of a run write, each its own, until the first has them all in one file."""
SHARDS = "shard-*-of-*"
"""Folders of parts of a run, inside the folder where the whole is put together."""
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

    def fold_counts(self, *, all_classes: bool = False) -> list[FoldCounts]:
        """Return the counts of each fold that has a row.

        Args:
            all_classes: Count a class that no episode asked as 0 instead of leaving it out.

        Raises:
            UsageError: If there is no row.
        """
        run = self.run
        strict = all_classes and run.generalised
        counting = CountingRules(
            run.classes if all_classes else None,
            {fold.fold: fold.base_classes for fold in run.folds} if strict else None,
            run.generalised,
            {fold.fold: fold.run_length for fold in run.folds if fold.run_length},
        )
        return count_folds(self.frame, counting)

    def summary(
        self, *, all_classes: bool = False, draws: int | None = None, counts: Sequence[FoldCounts] | None = None
    ) -> Summary:
        """Return mIoU, FB-IoU, exact ratio with intervals; see `fssbench.summarise`.

        Numbers are over the classes that an episode asks; `miou_all_classes` is over all of a fold, the others as 0.

        Args:
            all_classes: Count a class that no episode asked as 0, as the releases do, instead of leaving it out.
                Whole lists of the protocols ask every class.
            draws: Bootstrap draws; 0 for no intervals.
            counts: What `fold_counts` has returned for the same classes, if it was called already.
        """
        found = self.fold_counts(all_classes=all_classes) if counts is None else counts
        summary = summary_of(found, draws=DRAWS if draws is None else draws)
        if all_classes or self._asks_all(summary):
            return with_all_classes(summary, summary)
        return with_all_classes(summary, summary_of(self.fold_counts(all_classes=True), draws=0))

    def _asks_all(self, summary: Summary) -> bool:
        """Return whether the numbers are over all classes of the folds: in each run, where there are several."""
        records = {fold.fold: fold for fold in self.run.folds}
        return not any(
            fold.runs
            or len(fold.asked) < len(records[fold.fold].classes)
            or (self.run.generalised and len(fold.base_classes) < len(records[fold.fold].base_classes))
            for fold in summary.folds
        )


@cache
def schema() -> TypeAdapter[Run]:
    """Return what run.json is checked against."""
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
        if file_size(path) > MAX_BYTES:
            raise BrokenFileError(f"{path} is too large for the record of a run")
        raw = without_mark(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingError(f"there is no run in {folder}", "fssbench eval --out DIR makes one") from error
    except OSError as error:
        raise BrokenFileError(f"can't read {path}: {error.strerror}") from error
    try:
        run = schema().validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BrokenFileError(
            f"{path} is no record of a run that this version reads{f' ({where})' if where else ''}: {first['msg']}"
        ) from error
    if name := _out_of_bounds(run):
        raise BrokenFileError(f"{path} is no record of a run that this version reads ({name}): out of bounds")
    return run


def _out_of_bounds(run: Run) -> str:
    """Return the name of a number that no run has; empty if there is none."""
    for name, least, numbers in (
        ("way", 1, [run.way]),
        ("shot", 1, [run.shot]),
        ("limit", 1, [run.limit]),
        ("folds.fold", 0, [fold.fold for fold in run.folds]),
        ("folds.episodes", 0, [fold.episodes for fold in run.folds]),
        ("folds.unanswered", 0, [fold.unanswered for fold in run.folds]),
        ("folds.run_length", 1, [fold.run_length for fold in run.folds]),
        ("folds.classes", 0, [value for fold in run.folds for value in fold.classes]),
        ("folds.base_classes", 0, [value for fold in run.folds for value in fold.base_classes]),
    ):
        if any(number is not None and not least <= number < MAX_NUMBER for number in numbers):
            return name
    return "" if run.shard is None or 1 <= run.shard[0] <= run.shard[1] else "shard"


def load_run(folder: str | Path) -> Results:
    """Return a stored run, finished or not (`Results.missing`).

    Raises:
        MissingError: If there is no run.
        BrokenFileError: If one of its files is not as it was written; with the line.
    """
    folder = Path(folder)
    run = read_run(folder)
    return Results(frame_of(stored_rows(folder, run)), run, folder)


def stored_rows(folder: Path, run: Run) -> list[Row]:
    """Return all rows of a run, those too that several processes have written and not yet brought together.

    Raises:
        MissingError: If there is no file of rows.
        BrokenFileError: If a row is none, or is not of the run.
    """
    parts = sorted(folder.glob(PARTS))
    rows = read_rows(folder / ROWS) if (folder / ROWS).exists() or not parts else []
    check_rows(rows, run, folder / ROWS)
    seen = {(row.fold, row.episode) for row in rows}
    for path in parts:
        found = read_rows(path)
        check_rows(found, run, path)
        # One that was copied already before the process died is the same row.
        rows += [row for row in found if (row.fold, row.episode) not in seen]
        seen |= {(row.fold, row.episode) for row in found}
    return rows


def check_rows(rows: Sequence[Row], run: Run, path: Path) -> None:
    """Refuse rows of episodes that a run does not ask.

    Raises:
        BrokenFileError: Naming `path` and the first such row.
    """
    sizes = {fold.fold: fold.episodes for fold in run.folds}
    for row in rows:
        if row.episode >= sizes.get(row.fold, 0):
            raise BrokenFileError(f"{path} has fold {row.fold}, episode {row.episode}, which the run does not ask")


def write_atomically(path: Path, text: str) -> None:
    """Write a small text file, all or nothing.

    Raises:
        UsageError: If it can't be written.
    """
    try:
        write_text(path, text)
    except OSError as error:
        raise UsageError(f"can't write {path}: {error.strerror}") from error
