"""What a person sees of downloads: bars with rate and time left on a terminal, a line per file elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from fssbench.escape import printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Shown(Protocol):
    """Where the progress of a download goes."""

    def begin(self, what: str, done: int, total: int | None) -> None:
        """Begin with a file, or with its rest; sizes in bytes."""

    def advance(self, count: int) -> None:
        """Add bytes."""

    def note(self, text: str) -> None:
        """Show a sentence."""


class Silent:
    """Shows nothing."""

    def begin(self, what: str, done: int, total: int | None) -> None:
        """Show nothing."""

    def advance(self, count: int) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""


class Lines(Silent):
    """A line on standard error for each file: for logs."""

    def begin(self, what: str, done: int, total: int | None) -> None:
        """Say which file comes, and how large it is."""
        whole = "" if total is None else f", {size_text(total)}"
        self.note(f"{what}{whole}{f', continued after {size_text(done)}' if done else ''}")

    def note(self, text: str) -> None:
        """Say it."""
        sys.stderr.write(f"{printable(text)}\n")


class Bar:
    """A bar of rich on standard error, with size, rate and time left; use it in a `with` statement."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.progress import TransferSpeedColumn as Speed

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), Speed(), TimeRemainingColumn())
        self._escape = escape
        self._bar: Progress = Progress(*columns, console=Console(stderr=True, highlight=False))
        self._task: TaskID | None = None

    def begin(self, what: str, done: int, total: int | None) -> None:
        """Show a new bar, or the same one again if the file is continued."""
        text = self._escape(printable(what))
        if self._task is not None and self._bar.tasks[-1].description == text:
            self._bar.update(self._task, completed=done, total=total)
        else:
            self._task = self._bar.add_task(text, completed=done, total=total)

    def advance(self, count: int) -> None:
        """Move the bar."""
        if self._task is not None:
            self._bar.advance(self._task, count)

    def note(self, text: str) -> None:
        """Show a sentence above the bar."""
        self._bar.console.print(printable(text), markup=False)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


def size_text(count: int) -> str:
    """Return a number of bytes for people, in powers of ten as disks and hosts count: 164 kB, 6.6 GB."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.{0 if count >= 100 * size else 1}f} {unit}"
    return f"{count} bytes"
