"""Several data sets one after the other: which runs are complete, and what the progress of all is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fssbench.engine.order import remaining
from fssbench.errors import FSSBenchError
from fssbench.results.progress import Planned

if TYPE_CHECKING:
    from fssbench.engine.folds import Folder
    from fssbench.planning.plan import Plan
    from fssbench.results.progress import Looked, Progress
    from fssbench.results.rows import Row
    from fssbench.results.run_reader import Results


def is_complete(folder: Folder) -> bool:
    """Return whether a run has all its rows; not of one that ends by its interval, which has to be looked at again."""
    run = folder.run
    return run.until is None and len(folder.rows) >= sum(map(run.expected, run.folds))


def tell_plan(shown: Progress, folders: Sequence[Folder], plans: Sequence[Plan]) -> None:
    """Tell a progress how many episodes will be evaluated of each run, by one process."""
    if not isinstance(shown, Planned):
        return
    left = [
        sum(map(len, remaining(folder.run, plan.lists, folder.rows, plan.in_shard)))
        for folder, plan in zip(folders, plans, strict=True)
    ]
    shown.plan(sum(len(folder.rows) for folder in folders), left)


class OnePass:
    """The progress of one of several data sets, for the evaluation of its runs.

    Args:
        shown: Shows the progress of all.
        first: How many runs there are before these.
        count: How many runs there are in all.
        dataset: Name of the data set, if there are several.
        last: Whether no other data set follows.
    """

    def __init__(self, shown: Progress, first: int, count: int, dataset: str | None, *, last: bool) -> None:
        self._shown, self._first, self._count, self._last = shown, first, count, last
        if dataset is not None and isinstance(shown, Planned):
            shown.enter(dataset)

    def start(self, fold: int, total: int, *earlier: Sequence[Row]) -> None:
        """A fold begins."""
        before, after = self._first, self._count - self._first - len(earlier)
        self._shown.start(fold, total, *[()] * before, *earlier, *[()] * after)

    def advance(self, row: Row, run: int = 0) -> None:
        """A row was added to a run of this data set."""
        self._shown.advance(row, self._first + run)

    def looked(self, look: Looked) -> None:
        """The intervals were looked at, and the runs go on."""
        self._shown.looked(look)

    def close(self) -> None:
        """Close the progress of all, if no other data set follows."""
        if self._last:
            self._shown.close()


@contextmanager
def closed_on_error(shown: Progress, results: Sequence[Results], *, last: bool) -> Iterator[None]:
    """Close the progress of all if a data set before the last one ends in an error, and say what is complete."""
    try:
        yield
    except BaseException as error:
        if not last:
            shown.close()
        if results and isinstance(error, FSSBenchError | KeyboardInterrupt):
            sets = ", ".join(dict.fromkeys(one.run.dataset.name for one in results))
            error.add_note(f"the {len(results)} runs on {sets} are complete; resume does not evaluate them again")
        raise
