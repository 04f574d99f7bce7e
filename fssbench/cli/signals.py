"""Signals that end a command: it stops as if interrupted, and prints what is kept."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from fssbench.cli.console import say
from fssbench.stopping import begin, lost, stop


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
    """Raise `StoppedError` or `KeyboardInterrupt` in the main thread where the process is told to end.

    What is nearly done is finished first (`fssbench.stopping`). A signal that is ignored, as by nohup, stays so.
    """

    def told(number: int, frame: FrameType | None) -> None:
        stop(number, KeyboardInterrupt() if number == signal.SIGINT else StoppedError(number), frame)

    def dropped(raised: sys.UnraisableHookArgs) -> None:
        if isinstance(raised.exc_value, KeyboardInterrupt):
            lost()
        else:
            hook(raised)

    # Windows has no SIGHUP; Python takes signals in its main thread alone.
    there = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    main = threading.current_thread() is threading.main_thread()
    usual = (signal.SIG_DFL, signal.default_int_handler)
    before = {number: found for number in there if main and (found := signal.getsignal(number)) in usual}
    begin()
    hook = sys.unraisablehook
    if before:
        sys.unraisablehook = dropped
    for number in before:
        signal.signal(number, told)
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)
        begin()


def resume_command(launcher: Sequence[str] = ("fssbench",), added: Sequence[str] = ()) -> str:
    """Return the command that goes on with what this one has begun.

    Args:
        launcher: What stands before the command's own words.
        added: Words that the environment stood for.
    """
    words = [word for word in sys.argv[1:] if word != "--overwrite"]
    return shlex.join([*launcher, *words, *added, *(() if "--resume" in words else ("--resume",))])


@contextmanager
def kept_on_stop(kept: Callable[[], str], again: Callable[[], str] | None = None) -> Iterator[None]:
    """If the command is told to end, say what is kept and how to go on.

    Args:
        kept: Returns what is kept; empty for nothing to say.
        again: Returns the command that goes on; default this one, as it was typed.
    """
    try:
        yield
    except KeyboardInterrupt:
        if text := kept():
            say(text, err=True)
            say(f"  try: {typed_command() if again is None else again()}", err=True)
        raise


def typed_command(*more: str) -> str:
    """Return this command as it was typed, and more options that it does not have already."""
    words = sys.argv[1:]
    return shlex.join(["fssbench", *words, *(option for option in more if option not in words)])
