"""Callbacks that can neither stop a run nor make it wait: they are told in a thread, and their errors are warnings."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.escape import plain
from fssbench.results.progress import Planned
from fssbench.tracking.callback import Callback

if TYPE_CHECKING:
    from fssbench.results.progress import Looked, Progress
    from fssbench.results.record import Run
    from fssbench.results.rows import Row
    from fssbench.results.run_reader import Results

PATIENCE = 60.0
"""Seconds that the end of a run waits for what a callback has still to be told."""
MOST_WAITING = 10_000
"""Most events that wait for a callback; further rows are not told to it."""

Event = Callable[[Callback], None]


class Guarded:
    """Tells a callback in a thread of its own; after its first error it is told nothing more.

    Args:
        callback: What is told.
        name: What a warning calls it.
        patience: Seconds that `close` waits.
    """

    def __init__(self, callback: Callback, name: str | None = None, patience: float = PATIENCE) -> None:
        self._callback = callback
        self._name = name or type(callback).__name__
        self._patience = patience
        self._events: queue.Queue[Event | None] = queue.Queue()
        self._broken = threading.Event()
        self._thread: threading.Thread | None = None

    def tell(self, event: Event, *, spare: bool = False) -> None:
        """Tell an event when those before it are told; one that can be spared is left out where too many wait."""
        if self._broken.is_set() or (spare and self._events.qsize() > MOST_WAITING):
            return
        if self._thread is None:
            # A daemon: a tracker that hangs does not keep the command from ending.
            self._thread = threading.Thread(target=self._work, name=f"tracker-{self._name}", daemon=True)
            self._thread.start()
        self._events.put(event)

    def close(self, *, failed: bool) -> None:
        """Tell the end, and wait for it for some time."""
        if self._thread is None:
            return
        self.tell(lambda callback: callback.close(failed=failed))
        self._events.put(None)
        self._thread.join(self._patience)
        if self._thread.is_alive() and not self._broken.is_set():
            self._warn(f"it was not done after {self._patience:g} seconds")

    def _work(self) -> None:
        while (event := self._events.get()) is not None:
            if self._broken.is_set():
                continue
            try:
                event(self._callback)
            except (Exception, SystemExit) as error:  # whatever somebody else's package raises
                self._warn(f"{type(error).__name__}: {plain(str(error))[:300]}")

    def _warn(self, reason: str) -> None:
        self._broken.set()
        logging.getLogger(__name__).warning(
            "warning: the tracker %s failed: %s; the run goes on without it, its rows are in its folder",
            self._name,
            reason,
        )


class Watched:
    """A progress that also tells callbacks; what it shows is that of another progress.

    Args:
        shown: Shows the progress.
        told: The callbacks.
    """

    def __init__(self, shown: Progress, told: Sequence[Guarded]) -> None:
        self._shown, self._told = shown, told

    def plan(self, known: int, remaining: Sequence[int]) -> None:
        """So many episodes have a row, and so many each run has yet to evaluate."""
        if isinstance(self._shown, Planned):
            self._shown.plan(known, remaining)

    def enter(self, dataset: str) -> None:
        """The next folds are of this one of several data sets."""
        if isinstance(self._shown, Planned):
            self._shown.enter(dataset)

    def start(self, fold: int, total: int, *earlier: Sequence[Row]) -> None:
        """A fold begins."""
        self._shown.start(fold, total, *earlier)

    def advance(self, row: Row, run: int = 0) -> None:
        """A row was added to a run."""
        self._shown.advance(row, run)
        for one in self._told:
            one.tell(lambda callback: callback.row(run, row), spare=True)

    def looked(self, look: Looked) -> None:
        """The intervals were looked at, and the runs go on."""
        self._shown.looked(look)

    def close(self) -> None:
        """The last fold is done, or the run was interrupted."""
        self._shown.close()


@contextmanager
def watching(
    shown: Progress, told: Sequence[Guarded], runs: Sequence[tuple[Run, Path | None]]
) -> Iterator[tuple[Progress, Callable[[Sequence[Results]], None]]]:
    """Tell callbacks that runs begin, what is evaluated, and the end, also of what was interrupted or failed.

    Args:
        shown: Shows the progress.
        told: The callbacks.
        runs: The record and the folder of each run.

    Yields:
        The progress for the evaluation, and what is called with the results when it is complete.
    """
    if not told:
        yield shown, lambda _: None
        return

    def finished(results: Sequence[Results]) -> None:
        _tell_finished(told, results)

    _tell_started(told, runs)
    with closing(told):
        yield Watched(shown, told), finished


@contextmanager
def closing(told: Sequence[Guarded]) -> Iterator[None]:
    """Tell callbacks the end, also of what was interrupted or failed."""
    try:
        yield
    except BaseException:
        for one in told:
            one.close(failed=True)
        raise
    for one in told:
        one.close(failed=False)


def _tell_started(told: Sequence[Guarded], runs: Sequence[tuple[Run, Path | None]]) -> None:
    for one in told:
        for number, (run, folder) in enumerate(runs):
            one.tell(partial(_started, number, run, folder))


def _started(number: int, run: Run, folder: Path | None, callback: Callback) -> None:
    callback.run_started(number, run, folder)


def _tell_finished(told: Sequence[Guarded], results: Sequence[Results]) -> None:
    for one in told:
        for number, result in enumerate(results):
            one.tell(partial(_finished, number, result))


def _finished(number: int, results: Results, callback: Callback) -> None:
    callback.run_finished(number, results)
