"""Reading runs from their folders.

run.json and episodes-foldN.json define what is evaluated, rows.jsonl has the counts, and summary.json the metrics.
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
from fssbench.ledger.facts import declared
from fssbench.metrics.fold_counts import CountingRules, FoldCounts, count_folds
from fssbench.metrics.scores import with_all_classes
from fssbench.metrics.summary import DRAWS, Summary, summary_of
from fssbench.results.derived import by_class, frame_of_run
from fssbench.results.record import Run
from fssbench.results.rows import MAX_NUMBER, Row, read_rows
from fssbench.unique_keys import refuse_repeated

if TYPE_CHECKING:
    import pandas as pd
    from pydantic import TypeAdapter

RUN, ROWS, SUMMARY = "run.json", "rows.jsonl", "summary.json"
LISTS = "episodes-fold*.json"
PARTS = "rows-part*.jsonl"
"""The files of the further processes of a run, one each, until the first process gathers the rows in one file."""
SHARDS = "shard-*-of-*"
"""The folders of the shards of a run, in the folder of the whole run."""
MAX_BYTES = 1 << 26
"""A larger run.json is refused."""


class Existing(StrEnum):
    """What to do if the folder already has a run."""

    REFUSE = "refuse"
    RESUME = "resume"
    OVERWRITE = "overwrite"


@dataclass(frozen=True, eq=False, repr=False)
class Results:
    """The results of a run.

    Attributes:
        frame: A row per episode and a column per attribute of `fssbench.results.Row`, sorted by fold and episode; and
            the columns `class_names` and `iou`, which are not stored (`fssbench.results.derived`).
        run: The record of the run: method, weights, episodes, environment.
        folder: The folder of the run; None if it was not stored.
    """

    frame: pd.DataFrame
    run: Run
    folder: Path | None = None

    @property
    def missing(self) -> int:
        """Number of episodes that have no row yet."""
        return sum(self.run.expected(fold) for fold in self.run.folds) - len(self.frame)

    def by_class(self) -> pd.DataFrame:
        """Return a row for each class of each episode, with its name, IoU in per cent and pixel counts."""
        return by_class(self.frame)

    def fold_counts(self, *, all_classes: bool = False) -> list[FoldCounts]:
        """Return the counts of each fold that has a row.

        Args:
            all_classes: Count a class without an episode as 0 instead of leaving it out.

        Raises:
            UsageError: If there is no row.
        """
        run = self.run
        all_base_classes = all_classes and run.generalised
        counting = CountingRules(
            run.classes if all_classes else None,
            {fold.fold: fold.base_classes for fold in run.folds} if all_base_classes else None,
            run.generalised,
            {fold.fold: fold.run_length for fold in run.folds if fold.run_length},
        )
        return count_folds(self.frame, counting)

    def summary(
        self, *, all_classes: bool = False, draws: int | None = None, counts: Sequence[FoldCounts] | None = None
    ) -> Summary:
        """Return mIoU, FB-IoU and exact ratio with intervals; see `fssbench.summarise`.

        The metrics are over the classes that have episodes. `miou_all_classes` is over all classes of a fold, where a
        class without an episode counts as 0.

        Args:
            all_classes: Count a class without an episode as 0, as the releases do, instead of leaving it out. In
                complete lists of the protocols, every class has episodes.
            draws: Number of bootstrap draws; 0 for no intervals.
            counts: The result of `fold_counts` for the same classes, if it is known already.
        """
        found = self.fold_counts(all_classes=all_classes) if counts is None else counts
        summary = summary_of(found, draws=DRAWS if draws is None else draws, level=self.run.interval_level)
        if all_classes or self._has_all_classes(summary):
            return with_all_classes(summary, summary)
        return with_all_classes(summary, summary_of(self.fold_counts(all_classes=True), draws=0))

    def __repr__(self) -> str:
        from fssbench.results.shown import results_text

        return f"<{results_text(self)}>"

    def _repr_html_(self) -> str:
        from fssbench.results.shown import results_html

        return results_html(self)

    def _has_all_classes(self, summary: Summary) -> bool:
        """Return whether every class of the folds has an episode, so that both ways of averaging are the same.

        With several runs the result is False, as a class may be missing in one of them.
        """
        records = {fold.fold: fold for fold in self.run.folds}
        return not any(
            fold.runs
            or len(fold.asked) < len(records[fold.fold].classes)
            or (self.run.generalised and len(fold.base_classes) < len(records[fold.fold].base_classes))
            for fold in summary.folds
        )


@cache
def schema() -> TypeAdapter[Run]:
    """Return the schema of run.json."""
    from pydantic import TypeAdapter

    return TypeAdapter(Run)


def read_run(folder: Path) -> Run:
    """Read the record of a run from its folder.

    Raises:
        MissingError: If there is no run.
        BrokenFileError: If run.json is damaged, or of a later version.
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
            f"{path} is not a record of a run that this version can read{f' ({where})' if where else ''}: "
            f"{first['msg']}"
        ) from error
    refuse_repeated(raw, path)
    try:
        declared(dict(run.method.ledger), run.method.name)
    except UsageError as error:
        raise BrokenFileError(f"{path} is not a record of a run that this version can read: {error.message}") from error
    if name := _out_of_bounds(run):
        raise BrokenFileError(f"{path} is not a record of a run that this version can read ({name}): out of bounds")
    return run


def _out_of_bounds(run: Run) -> str:
    """Return the name of the first number that is out of bounds; empty if there is none."""
    for name, least, numbers in (
        ("way", 1, [run.way]),
        ("shot", 1, [run.shot]),
        ("limit", 1, [run.limit]),
        ("folds.fold", 0, [fold.fold for fold in run.folds]),
        ("folds.episodes", 0, [fold.episodes for fold in run.folds]),
        ("folds.in_shard", 0, [fold.in_shard for fold in run.folds]),
        ("folds.unanswered", 0, [fold.unanswered for fold in run.folds]),
        ("folds.run_length", 1, [fold.run_length for fold in run.folds]),
        ("folds.classes", 0, [value for fold in run.folds for value in fold.classes]),
        ("folds.base_classes", 0, [value for fold in run.folds for value in fold.base_classes]),
    ):
        if any(number is not None and not least <= number < MAX_NUMBER for number in numbers):
            return name
    if any((fold.in_shard is None) != (run.cut == "order") for fold in run.folds):
        return "cut"
    if any(fold.in_shard is not None and fold.in_shard > fold.episodes for fold in run.folds):
        return "folds.in_shard"
    return "" if run.shard is None or 1 <= run.shard[0] <= run.shard[1] else "shard"


def load_run(folder: str | Path) -> Results:
    """Load a stored run, whether it is finished or not (`Results.missing`).

    Raises:
        MissingError: If there is no run.
        BrokenFileError: If one of its files is damaged; with the line.
    """
    folder = Path(folder)
    run = read_run(folder)
    return Results(frame_of_run(stored_rows(folder, run), run), run, folder)


def stored_rows(folder: Path, run: Run) -> list[Row]:
    """Return all rows of a run, including those in the separate files of several processes.

    Raises:
        MissingError: If there is no file of rows.
        BrokenFileError: If a row is damaged, or does not belong to the run.
    """
    parts = sorted(folder.glob(PARTS))
    rows = read_rows(folder / ROWS) if (folder / ROWS).exists() or not parts else []
    check_rows(rows, run, folder / ROWS)
    seen = {(row.fold, row.episode) for row in rows}
    for path in parts:
        found = read_rows(path)
        check_rows(found, run, path)
        # The process may have died after the row was copied: then it is in both files.
        rows += [row for row in found if (row.fold, row.episode) not in seen]
        seen |= {(row.fold, row.episode) for row in found}
    return rows


def check_rows(rows: Sequence[Row], run: Run, path: Path) -> None:
    """Refuse rows of episodes that are not in the run.

    Raises:
        BrokenFileError: With `path` and the first such row.
    """
    sizes = {fold.fold: fold.episodes for fold in run.folds}
    for row in rows:
        if row.episode >= sizes.get(row.fold, 0):
            raise BrokenFileError(f"{path} has fold {row.fold}, episode {row.episode}, which is not in the run")


def write_atomically(path: Path, text: str) -> None:
    """Write a small text file, whole or not at all.

    Raises:
        UsageError: If it can't be written.
    """
    try:
        write_text(path, text)
    except OSError as error:
        raise UsageError(f"can't write {path}: {error.strerror}") from error
