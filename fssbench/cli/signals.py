"""Signals that end a command: it stops as if interrupted, and prints what is kept."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

_REPEATED = 5.0
"""Seconds in which the same request comes again (`timeout` and batch systems send two), and stops no clean-up."""


class StoppedError(KeyboardInterrupt):
    """A signal told the command to end.

    Attributes:
        name: The signal's, e.g. "SIGTERM".
        exit_code: 128 and its number, as shells have it.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.name = signal.Signals(number).name
        self.exit_code = 128 + number


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Raise `StoppedError` in the main thread where the process is told to end, unless it ignores that (nohup)."""
    began: list[float] = []

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's arguments
        now = time.monotonic()
        if not began or now - began[-1] > _REPEATED:
            began.append(now)
            raise StoppedError(number)

    # Windows has no SIGHUP; Python takes signals in its main thread alone.
    there = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    main = threading.current_thread() is threading.main_thread()
    taken = [number for number in there if main and signal.getsignal(number) == signal.SIG_DFL]
    for number in taken:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def resume_command(launcher: Sequence[str] = ("fssbench",)) -> str:
    """Return the command that goes on with what this one has begun.

    Args:
        launcher: What stands before the command's own words.
    """
    words = [word for word in sys.argv[1:] if word != "--overwrite"]
    return shlex.join([*launcher, *words, *(() if "--resume" in words else ("--resume",))])
