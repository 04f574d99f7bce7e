"""All folds of one run, or of several that are evaluated together: what is answered, by whom, and where rows go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fssbench.engine.answering import Keep, answers
from fssbench.engine.features import AnyMethod, Asking
from fssbench.engine.order import order_of_work
from fssbench.engine.processes import ALONE, Processes
from fssbench.engine.progress import Progress, Silent
from fssbench.engine.settings import Settings
from fssbench.engine.stages import Stages
from fssbench.engine.store import StoreCount
from fssbench.errors import FSSBenchError
from fssbench.results.rows import Row, frame_of
from fssbench.results.run import Results

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from fssbench.datasets.dataset import Dataset
    from fssbench.episode import EpisodeList
    from fssbench.protocols import Protocol as Rules
    from fssbench.results.record import Run


class Folder(Protocol):
    """Where the rows of a run go: `fssbench.results.run.RunFolder`, or one process's part of it."""

    path: Path
    run: Run
    rows: list[Row]

    def append(self, row: Row) -> None:
        """Write a row."""

    def finish(self) -> Results:
        """Return the results."""


@dataclass(frozen=True)
class Job:
    """One fold of a run: its list, and the method that answers, made when its turn has come."""

    episodes: EpisodeList
    method: Callable[[], AnyMethod]


@dataclass(frozen=True, eq=False)
class Part:
    """A run among those that are evaluated together, on one data set.

    Attributes:
        run: Its record.
        jobs: Its folds.
        protocol: The rules of counting, brought to the data set by `fssbench.protocols.Protocol.on`.
        folder: Where rows go and where earlier ones are; None keeps them in memory.
        keep: Given each answer before its row is stored.
    """

    run: Run
    jobs: Sequence[Job]
    protocol: Rules
    folder: Folder | None = None
    keep: Keep | None = None


def answer(
    parts: Sequence[Part],
    dataset: Dataset,
    device: torch.device,
    settings: Settings,
    progress: Progress | None = None,
    stages: Stages | None = None,
    count: StoreCount | None = None,
    processes: Processes = ALONE,
) -> list[Results]:
    """Ask all folds of some runs what is not answered yet: fold by fold, the runs of a fold together.

    Args:
        parts: The runs.
        dataset: The opened data set.
        device: Where to compute.
        settings: How to compute.
        progress: Told of each row, and of which run it is.
        stages: Stopwatch.
        count: Where to count what the store of features was asked.
        processes: The processes that do this together; each answers its share, and the first has all rows in the end.
    """
    shown = progress or Silent()
    rows = [[] if part.folder is None else part.folder.rows for part in parts]
    known = [frozenset((row.fold, row.episode) for row in its) for its in rows]
    processes.wait()  # until all have read what is answered: they cut the rest into shares alike
    try:
        for fold in sorted({one.fold for part in parts for one in part.run.folds}):
            active = [place for place, part in enumerate(parts) if any(one.fold == fold for one in part.run.folds)]
            askings, total = [], 0
            earlier: list[list[Row]] = [[] for _ in parts]
            for place in active:
                part = parts[place]
                record, job = next(
                    (one, job) for one, job in zip(part.run.folds, part.jobs, strict=True) if one.fold == fold
                )
                asked = job.episodes[: part.run.asked(record)]
                done = {number for its, number in known[place] if its == fold}
                numbers = order_of_work(asked, done, part.run.share)
                numbers = numbers[slice(*processes.share.bounds(len(numbers)))]
                earlier[place] = [row for row in rows[place] if row.fold == fold]
                total += len(earlier[place]) + len(numbers)
                if numbers:
                    askings.append((place, job, numbers))
            shown.start(fold, total, *earlier)
            made = [
                Asking(job.method().to(device).eval(), job.episodes, parts[place].protocol, numbers)
                for place, job, numbers in askings
            ]
            for which, row, answered in answers(made, dataset, device, settings, stages, processes.local, count):
                part = parts[askings[which][0]]
                if part.keep is not None:
                    part.keep(fold, row.episode, answered)
                if part.folder is None:
                    rows[askings[which][0]].append(row)
                else:
                    part.folder.append(row)
                shown.advance(row, askings[which][0])
    except (FSSBenchError, KeyboardInterrupt) as error:
        for part, its in zip(parts, rows, strict=True):
            if part.folder is not None and part.folder.rows:
                error.add_note(
                    f"{len(its)} answered episodes are kept in {part.folder.path}; resume continues after them"
                )
        raise
    finally:
        shown.close()
    processes.wait()  # until all rows are written
    return [
        Results(frame_of(its), part.run) if part.folder is None else part.folder.finish()
        for part, its in zip(parts, rows, strict=True)
    ]
