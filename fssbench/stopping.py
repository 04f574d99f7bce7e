"""Signals that end a command: what is nearly done is finished first, within a deadline."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

DEADLINE = 10.0
"""Seconds in which a command finishes what is nearly done. Batch systems wait 30 s and more before they kill it."""

REPEATED = 1.0
"""Seconds in which the same request comes again (`timeout` and batch systems send two), and means nothing."""

POSTPONED = 0.05
"""Seconds after which a request that came at a bad moment is made again."""


@dataclass
class _State:
    """What this process has been told.

    Attributes:
        blocks: Number of `finishing` blocks around the main thread.
        told: When the last request came, and its signal; None if none came.
        waiting: The error of a request that waits for the end of a block.
        importing: When a request first came in the middle of an import; None if none did.
        timer: Ends the wait.
    """

    blocks: int = 0
    told: tuple[float, int] | None = None
    waiting: BaseException | None = None
    importing: float | None = None
    timer: threading.Timer | None = None


_state = _State()


def begin() -> None:
    """Forget earlier requests: a new command begins, or one has ended."""
    _forget()
    _state.told, _state.importing, _state.blocks = None, None, 0


def stop(number: int, error: BaseException, frame: FrameType | None = None) -> None:
    """Raise the error of a request to end, or keep it until the end of a `finishing` block; called by handlers.

    It is not raised in the middle of an import, for at most `DEADLINE`: compiled modules, PyTorch's among them, turn it
    into another error or abort.

    A second request ends at once. It is no second one if it comes within `REPEATED`, unless from the keyboard, or if it
    is another signal by which a launcher passes on the first.

    Args:
        number: The signal.
        error: What is raised.
        frame: What the main thread was at, as handlers are told.
    """
    now, before = time.monotonic(), _state.told
    if before is not None:
        age, same = now - before[0], before[1] == number
        passed_on = _state.waiting is not None and not same and age < DEADLINE
        if passed_on or (age <= REPEATED and not (same and number == signal.SIGINT)):
            return
    if _in_import(frame) and now - (_state.importing or now) < DEADLINE:
        _state.importing = _state.importing or now
        _later(number, POSTPONED)
        return
    _state.told, _state.importing = (now, number), None
    if not _state.blocks or _state.waiting is not None:
        _forget()
        raise error
    _state.waiting = error
    _later(number, DEADLINE)


def lost() -> None:
    """Make the last request again: its error was raised where Python drops errors, as in `__del__`."""
    if _state.told is not None:
        number = _state.told[1]
        _state.told = None
        _later(number, POSTPONED)


def requested() -> bool:
    """Return whether the command was told to end, and is finishing what is nearly done."""
    return _state.waiting is not None


@contextmanager
def finishing() -> Iterator[None]:
    """Finish a block before a request to end is heard, if that takes no longer than `DEADLINE`.

    Nothing changes for programs that do not handle signals by `stop`, as those that use fssbench as a library.
    """
    _state.blocks += 1
    try:
        yield
    except GeneratorExit:
        _leave()
        raise
    except BaseException:
        _state.blocks -= 1
        if not _state.blocks:
            _forget()
        raise
    else:
        _leave()


def _leave() -> None:
    _state.blocks -= 1
    if not _state.blocks and (error := _state.waiting) is not None:
        _forget()
        raise error


def _forget() -> None:
    if _state.timer is not None:
        _state.timer.cancel()
    _state.waiting = _state.timer = None


def _in_import(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib."):
            return True
        frame = frame.f_back
    return False


def _later(number: int, seconds: float) -> None:
    if _state.timer is not None:
        _state.timer.cancel()
    _state.timer = threading.Timer(seconds, _again, (number,))
    _state.timer.daemon = True
    _state.timer.start()


def _again(number: int) -> None:
    """Send the signal to the main thread again, which raises its error there."""
    if sys.platform == "win32":
        signal.raise_signal(number)
    elif (main := threading.main_thread().ident) is not None:
        signal.pthread_kill(main, number)
