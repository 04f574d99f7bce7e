"""How far an evaluation is: the running mIoU of its runs, its rate, and the time that is left."""

from __future__ import annotations

import time
from collections.abc import Sequence

from fssbench.progress import clock
from fssbench.results.rows import Row

_FEW = 4
"""Of so many runs the running mIoU of each is shown, of more the lowest and the highest."""


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
    def begun(self) -> bool:
        """Whether it has a row."""
        return bool(self._sums)

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
        if len(self._runs) <= _FEW:
            return " / ".join(f"{run.value:.2f}" for run in self._runs)
        values = [run.value for run in self._runs if run.begun] or [0.0]
        return f"{min(values):.2f} to {max(values):.2f}"


class Pace:
    """How far an evaluation is, and how long it will take.

    Args:
        folds: How many folds it has. Those that have not begun count as the one that is evaluated, unless `plan` says
            more.
    """

    def __init__(self, folds: int = 1) -> None:
        self._after = folds
        self._before = self._total = self._done = 0
        self._new = 0
        self._began = time.monotonic()
        self._looked: tuple[int, int, int] | None = None
        self._known = 0
        self._runs: list[_RunPace] = []

    def plan(self, known: int, remaining: Sequence[int]) -> None:
        """Tell how many episodes of all runs have a row, and how many each run has yet to evaluate."""
        self._known, self._runs = known, [_RunPace(count) for count in remaining]

    def start(self, total: int, done: int) -> None:
        """A fold begins, of so many episodes, of which some are done."""
        self._before += self._total
        self._total, self._done = total, done
        self._after = max(self._after - 1, 0)
        if not self._new:
            self._began = time.monotonic()

    def advance(self, run: int = 0, seconds: float = 0.0) -> None:
        """An episode of a run is done; it took so many seconds."""
        self._done += 1
        self._new += 1
        if run < len(self._runs):
            self._runs[run].add(seconds)

    def expect(self, done: int, total: int) -> None:
        """So many episodes are done now, and so many are expected at the end."""
        self._looked = (done, self._new, total)

    @property
    def last(self) -> bool:
        """Whether all episodes of all folds are done."""
        if self._looked is not None or self._runs:
            done, total = self.run
            return done >= total
        return not self._after and self._done >= self._total

    @property
    def fold(self) -> str:
        """How much of the fold is done, e.g. "12/200"."""
        return f"{self._done}/{self._total}"

    @property
    def run(self) -> tuple[int, int]:
        """How many episodes of the run are done, and how many there are, or are expected."""
        if self._looked is not None:
            done, before, total = self._looked
            return done + self._new - before, total
        if self._runs:
            return self._known + self._new, self._known + sum(run.planned for run in self._runs)
        return self._before + self._done, self._before + (1 + self._after) * self._total

    @property
    def rate(self) -> float:
        """Episodes per second."""
        return self._new / max(time.monotonic() - self._began, 1e-9)

    @property
    def left(self) -> str:
        """The remaining time of the run."""
        if not self._new:
            return "-:--"
        if self._looked is None and (seconds := self._left_by_run()) is not None:
            return clock(seconds)
        done, total = self.run
        return clock(max(total - done, 0) / self.rate)

    def _left_by_run(self) -> float | None:
        """Return the seconds that are left where each run has a pace of its own; None if that is not known.

        Runs that have not begun count as the mean of the others. What the clock shows beyond the seconds of the rows,
        such as reading weights, is spread over all.
        """
        seconds = sum(run.seconds for run in self._runs)
        if not seconds:
            return None
        usual = seconds / sum(run.done for run in self._runs)
        left = sum((run.planned - run.done) * (run.seconds / run.done if run.done else usual) for run in self._runs)
        return max(left, 0.0) * max((time.monotonic() - self._began) / seconds, 1.0)


class _RunPace:
    """How far one of several runs is.

    Args:
        planned: How many episodes it has to evaluate.
    """

    def __init__(self, planned: int) -> None:
        self.planned = planned
        self.done = 0
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """Add an episode."""
        self.done += 1
        self.seconds += seconds
