"""What a command is doing: on a terminal one line with rate and time left, elsewhere a line every ten seconds."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

T = TypeVar("T")

PATIENCE = 1.0
"""Seconds after which progress is shown on a terminal."""

INTERVAL = 10.0
"""Seconds between two lines elsewhere."""

_REFRESH = 0.25
_DUMB = ("dumb", "unknown")


def animated(stream: TextIO) -> bool:
    """Return whether a line on a stream can be drawn again: on a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "").lower() not in _DUMB


def clock(seconds: float) -> str:
    """Return a duration as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class _Shown:
    """Which activities there are, the innermost last: only that one is shown."""

    def __init__(self) -> None:
        self.stack: list[Activity] = []
        self.silent = 0


_SHOWN = _Shown()


@contextmanager
def silenced(silent: bool = True) -> Iterator[None]:
    """Show no activity for a while.

    Args:
        silent: Whether to; else nothing changes.
    """
    _SHOWN.silent += silent
    try:
        yield
    finally:
        _SHOWN.silent -= silent


class Activity:
    """Something that takes time, shown on standard error while it lasts: `with Activity("loading the weights"): ...`.

    Args:
        doing: What is done, e.g. "reading masks".
        total: How many steps it has, if that is known.
        unit: The plural of a step, e.g. "masks".

    Attributes:
        doing: What is done; it may change.
        done: How many steps are done; whoever does them counts.
    """

    def __init__(self, doing: str, total: int | None = None, unit: str = "") -> None:
        self.doing = doing
        self.done = 0
        self._total = total
        self._unit = unit
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._began = 0.0
        self._bar: Bar | None = None

    def __enter__(self) -> Self:
        """Begin."""
        self._began = time.monotonic()
        if not _SHOWN.silent:
            target = self._draw if animated(sys.stderr) else self._print
            self._thread = threading.Thread(target=target, daemon=True)
            _SHOWN.stack.append(self)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End: the line on a terminal goes away."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            _SHOWN.stack.remove(self)

    @property
    def _innermost(self) -> bool:
        return _SHOWN.stack[-1:] == [self]

    def _rate(self) -> str:
        rate = self.done / max(time.monotonic() - self._began, 1e-6)
        return f"{rate:.0f}/s" if rate >= 1 else f"{1 / rate:.0f} s each" if rate else ""

    def _left(self) -> str:
        if not (self._total and self.done):
            return ""
        return f"{clock((self._total - self.done) * (time.monotonic() - self._began) / self.done)} left"

    def _print(self) -> None:
        while not self._ended.wait(INTERVAL):
            if self._innermost:
                sys.stderr.write(f"{self._line()}\n")
                sys.stderr.flush()

    def _line(self) -> str:
        if not self._count:
            return f"{self.doing}, for {clock(time.monotonic() - self._began)} so far"
        return f"{self.doing}: {', '.join(filter(None, (self._count, self._rate(), self._left())))}"

    @property
    def _count(self) -> str:
        """How much is done, e.g. "12/200 masks"; empty where nothing is counted."""
        if self._total is None:
            return f"{self.done} {self._unit}" if self.done else ""
        return f"{self.done}/{self._total} {self._unit}"

    def _draw(self) -> None:
        """Draw the line from time to time, after a while; and at the end, if the while is over."""
        ended = self._ended.wait(max(PATIENCE, 0.0))
        while not ended:
            self._refresh()
            ended = self._ended.wait(_REFRESH)
        if time.monotonic() - self._began > PATIENCE:
            self._refresh()
        self._hide()

    def _refresh(self) -> None:
        if not self._innermost:
            self._hide()
            return
        if self._bar is None:
            self._bar = _bar(self._total is not None)
            self._bar.start()
            self._bar.add_task(self.doing, total=self._total, count="", rate="", left="")
        [task] = self._bar.task_ids
        self._bar.update(
            task,
            description=self.doing,
            completed=self.done,
            count=self._count,
            rate=self._rate() if self.done else clock(time.monotonic() - self._began),
            left=self._left(),
            refresh=True,
        )

    def _hide(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def tracked(items: Sequence[T], doing: str, unit: str) -> Iterator[T]:
    """Yield the items, and show how many are done.

    Args:
        items: The items.
        doing: The text before the bar, e.g. "reading masks".
        unit: The plural of an item, e.g. "masks".
    """
    with Activity(doing, len(items), unit) as activity:
        for item in items:
            yield item
            activity.done += 1


def _bar(counted: bool) -> Bar:
    """Return a line of rich's: what is done, a bar if there is a count and room for it, count, rate and time left."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    names = ("count", "rate", "left")
    texts = [TextColumn(f"{{task.fields[{name}]}}", markup=False) for name in names]
    doing = TextColumn("{task.description}", markup=False)
    room = shutil.get_terminal_size().columns >= 72
    bar = [BarColumn(bar_width=None)] if counted and room else []
    return Progress(SpinnerColumn(), doing, *bar, *texts, console=console, transient=True, auto_refresh=False)
