"""Progress of an evaluation: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TextIO

from fssbench.escape import printable
from fssbench.results.rows import Row

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

INTERVAL = 10.0
"""Seconds between plain lines."""


class Progress(Protocol):
    """Receives the progress of `fssbench.evaluate`."""

    def start(self, fold: int, total: int, *earlier: Sequence[Row]) -> None:
        """A fold begins. It will have `total` rows, including the rows `earlier` of each run."""

    def advance(self, row: Row, run: int = 0) -> None:
        """A row was added to a run; `run` is the index of the run among those evaluated together."""

    def close(self) -> None:
        """The last fold is done, or the run was interrupted."""


class Silent:
    """Shows no progress."""

    def start(self, fold: int, total: int, *earlier: Sequence[Row]) -> None:
        """Do nothing."""

    def advance(self, row: Row, run: int = 0) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class RunningMeanIoU:
    """The mIoU over the classes evaluated so far, in per cent."""

    def __init__(self, rows: Sequence[Row] = ()) -> None:
        self._sums: dict[int, tuple[int, int]] = {}
        for row in rows:
            self.add(row)

    def add(self, row: Row) -> None:
        """Add an episode."""
        for class_id, both, either in zip(row.classes, row.intersection[1:], row.union[1:], strict=True):
            intersection, union = self._sums.get(class_id, (0, 0))
            self._sums[class_id] = intersection + both, union + either

    @property
    def value(self) -> float:
        """The mean; 0 before the first row."""
        ratios = [intersection / max(union, 1) for intersection, union in self._sums.values()]
        return 100.0 * sum(ratios) / max(len(ratios), 1)


class RunningMeans:
    """The running mIoU of each run that is evaluated.

    Args:
        earlier: The rows that each run has already.
    """

    def __init__(self, *earlier: Sequence[Row]) -> None:
        self._runs = [RunningMeanIoU(rows) for rows in earlier or [()]]
        self.count = sum(map(len, earlier))

    def add(self, row: Row, run: int) -> None:
        """Add an episode of a run."""
        self._runs[run].add(row)

    def __str__(self) -> str:
        return " / ".join(f"{run.value:.2f}" for run in self._runs)


class PlainLines:
    """Prints a line when a fold begins, every ten seconds, and when the fold is done; for logs.

    Args:
        stream: Where to write; default stderr.
        headline: Printed before the first fold.
        interval: Seconds between two lines.
    """

    def __init__(self, stream: TextIO | None = None, headline: str = "", interval: float = INTERVAL) -> None:
        self._stream = stream or sys.stderr
        self._headline = headline
        self._interval = interval
        self._fold, self._total, self._done, self._new = 0, 0, 0, 0
        self._miou = RunningMeans()
        self._began = self._printed = 0.0

    def start(self, fold: int, total: int, *earlier: Sequence[Row]) -> None:
        """Print the number of episodes of the fold."""
        if self._headline:
            self._print(self._headline)
            self._headline = ""
        self._miou = RunningMeans(*earlier)
        self._fold, self._total, self._done, self._new = fold, total, self._miou.count, 0
        self._began = self._printed = time.monotonic()
        kept = f", {self._done} of them already evaluated" if self._done else ""
        self._print(f"fold {fold}: {total} episodes{kept}")

    def advance(self, row: Row, run: int = 0) -> None:
        """Add an episode, and print a line if the interval is over."""
        self._done += 1
        self._new += 1
        self._miou.add(row, run)
        now = time.monotonic()
        if now - self._printed < self._interval and self._done < self._total:
            return
        self._printed = now
        rate = self._new / max(now - self._began, 1e-9)
        left = (self._total - self._done) / rate
        self._print(
            f"fold {self._fold}: {self._done}/{self._total}, {rate:.2f} episodes/s, "
            f"running mIoU {self._miou}, {clock(left)} left"
        )

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def _print(self, line: str) -> None:
        self._stream.write("\n".join(map(printable, line.split("\n"))) + "\n")
        self._stream.flush()


class TerminalBar:
    """Shows the headline, and below it a bar per fold with rate, running mIoU and remaining time."""

    def __init__(self, headline: str = "") -> None:
        self._headline = headline
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._miou = RunningMeans()
        self._began, self._new = 0.0, 0

    def start(self, fold: int, total: int, *earlier: Sequence[Row]) -> None:
        """Show the fold's bar."""
        if self._bar is None:
            self._bar = _bar()
            self._bar.start()
            if self._headline:
                for line in self._headline.split("\n"):
                    self._bar.console.print(printable(line), markup=False, emoji=False, highlight=False, soft_wrap=True)
        self._miou = RunningMeans(*earlier)
        self._began, self._new = time.monotonic(), 0
        self._task = self._bar.add_task(
            f"fold {fold}", total=total, completed=self._miou.count, miou=str(self._miou), rate="-"
        )

    def advance(self, row: Row, run: int = 0) -> None:
        """Move the bar."""
        if self._bar is None or self._task is None:
            return
        self._miou.add(row, run)
        self._new += 1
        rate = self._new / max(time.monotonic() - self._began, 1e-9)
        self._bar.update(self._task, advance=1, miou=str(self._miou), rate=f"{rate:.2f}")

    def close(self) -> None:
        """Leave the bars on the screen as they are."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _bar() -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} episodes/s"),
        TextColumn("mIoU {task.fields[miou]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def clock(seconds: float) -> str:
    """Return a duration as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def progress_for(stream: TextIO, headline: str = "") -> Progress:
    """Return the progress display for a stream: a bar on a terminal, lines elsewhere."""
    return TerminalBar(headline) if stream.isatty() else PlainLines(stream, headline)
