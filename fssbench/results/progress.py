"""Progress of an evaluation: one bar on a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TextIO, runtime_checkable

from fssbench.escape import printable
from fssbench.progress import INTERVAL, animated
from fssbench.results.pace import Pace, RunningMeans
from fssbench.results.rows import Row

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

_ROOM = 60
"""Columns that the bar takes; the running mIoU stands next to it where there is room for it."""


@dataclass(frozen=True)
class Looked:
    """What a look at the intervals has shown (`fssbench eval --until`), when the runs go on.

    Attributes:
        text: The intervals, and how many episodes are expected, as a sentence.
        widths: The half width of each run alone.
        done: How many episodes all folds of all runs have.
        total: How many episodes all folds of all runs are expected to have at the end.
    """

    text: str
    widths: str
    done: int
    total: int


class Progress(Protocol):
    """Receives the progress of `fssbench.evaluate`."""

    def start(self, fold: int, total: int, *earlier: Sequence[Row]) -> None:
        """A fold begins. It will have `total` rows, including the rows `earlier` of each run."""

    def advance(self, row: Row, run: int = 0) -> None:
        """A row was added to a run; `run` is the index of the run among those evaluated together."""

    def looked(self, look: Looked) -> None:
        """The intervals were looked at, and the runs go on (`fssbench eval --until`)."""

    def close(self) -> None:
        """The last fold is done, or the run was interrupted."""


@runtime_checkable
class Planned(Protocol):
    """A progress that is also told what will be evaluated; one from outside need not be."""

    def plan(self, known: int, remaining: Sequence[int]) -> None:
        """So many episodes of all runs have a row, and so many each run has yet to evaluate."""

    def enter(self, dataset: str) -> None:
        """The next folds are of this one of several data sets."""


class Silent:
    """Shows no progress."""

    def start(self, fold: int, total: int, *earlier: Sequence[Row]) -> None:
        """Do nothing."""

    def advance(self, row: Row, run: int = 0) -> None:
        """Do nothing."""

    def looked(self, look: Looked) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class PlainLines:
    """Prints a line when the run begins, every ten seconds, and when it is done; for logs.

    Args:
        stream: Where to write; default stderr.
        headline: Printed before the first fold.
        interval: Seconds between two lines.
        folds: How many folds the run has.
    """

    def __init__(
        self, stream: TextIO | None = None, headline: str = "", interval: float = INTERVAL, folds: int = 1
    ) -> None:
        self._stream = stream or sys.stderr
        self._headline = headline
        self._interval = interval
        self._fold = 0
        self._miou = RunningMeans()
        self._pace = Pace(folds)
        self._printed = -interval
        self._widths = ""
        self._dataset = ""

    def plan(self, known: int, remaining: Sequence[int]) -> None:
        """Take what will be evaluated, for the time that is left."""
        self._pace.plan(known, remaining)

    def enter(self, dataset: str) -> None:
        """Name the data set from here on."""
        self._dataset = f"{dataset}, "

    def start(self, fold: int, total: int, *earlier: Sequence[Row]) -> None:
        """Print the number of episodes of the fold."""
        self._begin()
        self._miou = RunningMeans(*earlier)
        self._fold = fold
        self._pace.start(total, self._miou.count)
        if self._due:
            kept = f", {self._miou.count} of them already evaluated" if self._miou.count else ""
            self._print(f"{self._dataset}fold {fold}: {total} episodes{kept}")

    def advance(self, row: Row, run: int = 0) -> None:
        """Add an episode, and print a line if the interval is over."""
        self._pace.advance(run, row.seconds)
        self._miou.add(row, run)
        if self._due or self._pace.last:
            self._print(
                f"{self._dataset}fold {self._fold}: {self._pace.fold}, {self._pace.rate:.2f} episodes/s, "
                f"running mIoU {self._miou}{self._widths}, {self._pace.left} left"
            )

    def looked(self, look: Looked) -> None:
        """Print what a look has shown."""
        self._pace.expect(look.done, look.total)
        self._begin()
        if look.widths:
            self._widths = f" (of all folds {look.widths})"
        self._print(f"{look.text}, {self._pace.left} left" if look.widths else look.text)

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def _begin(self) -> None:
        if self._headline:
            self._print(self._headline)
            self._headline = ""

    @property
    def _due(self) -> bool:
        if time.monotonic() - self._printed < self._interval:
            return False
        self._printed = time.monotonic()
        return True

    def _print(self, line: str) -> None:
        self._stream.write("\n".join(map(printable, line.split("\n"))) + "\n")
        self._stream.flush()


class TerminalBar:
    """Shows the headline, and below it one bar with rate, running mIoU and remaining time until the run is done.

    Args:
        headline: Printed before the first fold.
        folds: How many folds the run has.
    """

    def __init__(self, headline: str = "", folds: int = 1) -> None:
        self._headline = headline
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._miou = RunningMeans()
        self._pace = Pace(folds)
        self._widths = ""
        self._dataset = ""

    def plan(self, known: int, remaining: Sequence[int]) -> None:
        """Take what will be evaluated, for the length of the bar and the time that is left."""
        self._pace.plan(known, remaining)

    def enter(self, dataset: str) -> None:
        """Name the data set from here on."""
        self._dataset = f"{dataset} "

    def start(self, fold: int, total: int, *earlier: Sequence[Row]) -> None:
        """Show the bar, or let it say that the next fold begins."""
        self._miou = RunningMeans(*earlier)
        self._pace.start(total, self._miou.count)
        if self._bar is None:
            self._bar = _bar()
            self._bar.start()
            for line in self._headline.split("\n") if self._headline else ():
                self._bar.console.print(printable(line), markup=False, emoji=False, highlight=False, soft_wrap=True)
            self._task = self._bar.add_task("", rate="", miou="", left="")
        self._update(f"{self._dataset}fold {fold}")

    def advance(self, row: Row, run: int = 0) -> None:
        """Move the bar."""
        self._pace.advance(run, row.seconds)
        self._miou.add(row, run)
        self._update()

    def looked(self, look: Looked) -> None:
        """Show the half width, and let the bar end where the run is expected to."""
        self._pace.expect(look.done, look.total)
        self._widths = f" {look.widths}" if look.widths else ""
        self._update()

    def _update(self, description: str | None = None) -> None:
        if self._bar is None or self._task is None:
            return
        done, total = self._pace.run
        miou = f"mIoU {self._miou}{self._widths}"
        room = self._bar.console.width - len(miou) >= _ROOM
        self._bar.update(
            self._task,
            completed=done,
            total=total,
            description=description,
            rate=f"{self._pace.rate:.2f} episodes/s",
            miou=miou if room else "",
            left=f"{self._pace.left} left",
        )

    def close(self) -> None:
        """Take the bar away: what follows are the numbers."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _bar() -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[miou]}"),
        TextColumn("{task.fields[left]}"),
        console=Console(stderr=True),
        transient=True,
        expand=True,
    )


def progress_for(stream: TextIO, headline: str = "", folds: int = 1) -> Progress:
    """Return the progress display for a stream: a bar on a terminal, lines elsewhere.

    Args:
        stream: Where to show it.
        headline: What is evaluated.
        folds: How many folds the run has.
    """
    return TerminalBar(headline, folds) if animated(stream) else PlainLines(stream, headline, folds=folds)
