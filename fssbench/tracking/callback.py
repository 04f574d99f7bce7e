"""What is told of a run or a training while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fssbench.results.record import Run
    from fssbench.results.rows import Row
    from fssbench.results.run_reader import Results

Value = str | int | float | bool


class Callback:
    """Is told of an evaluation or a training. Each step does nothing here; a subclass defines those it needs.

    Steps are called one after the other in a thread of their own, so that they may take long; a callback that raises an
    error is told nothing more, and the run goes on (`fssbench.tracking.guarded`).
    """

    def run_started(self, number: int, run: Run, folder: Path | None) -> None:
        """A run begins or is continued.

        Args:
            number: Number of the run among those that are evaluated together, from 0.
            run: Its record; `starts` may still be empty.
            folder: Its folder; None if rows are kept in memory.
        """

    def row(self, number: int, row: Row) -> None:
        """An episode of a run was evaluated; the rows that a continued run had already are not told."""

    def run_finished(self, number: int, results: Results) -> None:
        """A run is complete: its rows, its record and its summary (`Results.summary`)."""

    def training_started(self, name: str, settings: Mapping[str, Value], folder: Path) -> None:
        """A training begins or is continued: its name, its settings, its folder."""

    def training_step(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """A step of a stage is done: loss, learning rate, and validation where there was one."""

    def training_finished(self, weights: Path) -> None:
        """The weights of a training are written."""

    def close(self, *, failed: bool) -> None:
        """Nothing more follows; with `failed` the run or training was interrupted or ended in an error."""
