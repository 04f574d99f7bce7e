"""Writing the rows of a further process of a run, which the first process gathers (`fssbench.results.run_writer`)."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from fssbench.results.derived import frame_of_run
from fssbench.results.record import Run
from fssbench.results.row_writer import RowWriter
from fssbench.results.rows import Row
from fssbench.results.run_reader import PARTS, Results, read_run, stored_rows


class PartFolder:
    """Writes the rows of a further process of a run, into a file of its own. The first process has made the folder.

    Args:
        path: The folder.
        rank: Number of the process, from 1.

    Attributes:
        run: The record of the run, read from run.json.
        rows: The rows of the run that this process knows.

    Raises:
        BrokenFileError: If the run is damaged.
    """

    def __init__(self, path: Path, rank: int) -> None:
        self.path = path
        self.run = read_run(path)
        self.rows = stored_rows(path, self.run)
        self._writer = RowWriter(path / PARTS.replace("*", str(rank)))

    def append(self, row: Row) -> None:
        """Write one row."""
        self._writer.append(row)
        self.rows.append(row)

    def describe(self, run: Run) -> None:
        """Take another record; the first process writes it."""
        self.run = run

    def finish(self) -> Results:
        """Return the rows that this process knows; the first process knows all."""
        return Results(frame_of_run(self.rows, self.run), self.run, self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
