"""All folds of one run, or of several that are evaluated together: what is answered, by whom, and where rows go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from fssbench.engine.features.cache import StoreCount
from fssbench.engine.features.features import AnyMethod, Asking
from fssbench.engine.loop import Keep, answers
from fssbench.engine.order import order_of_work
from fssbench.engine.processes import ALONE, Processes
from fssbench.engine.profiling.timers import Stages
from fssbench.engine.same_photos import check_same_photos
from fssbench.errors import FSSBenchError
from fssbench.fast.form import fast_form
from fssbench.planning.settings import Settings
from fssbench.results.progress import Progress, Silent
from fssbench.results.rows import Row, frame_of
from fssbench.results.run_reader import Results

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from fssbench.datasets.dataset import Dataset
    from fssbench.episode import EpisodeList
    from fssbench.protocols.rules import Protocol as Rules
    from fssbench.results.record import Run
    from fssbench.results.shard import Share


class Folder(Protocol):
    """Where the rows of a run go: `fssbench.results.run_reader.RunFolder`, or one process's part of it."""

    path: Path
    run: Run
    rows: list[Row]

    def append(self, row: Row) -> None:
        """Write a row."""

    def finish(self) -> Results:
        """Return the results."""


@dataclass(frozen=True)
class Job:
    """One fold of a run: its list, and what gives the method that answers when its turn has come."""

    episodes: EpisodeList
    method: Callable[[], AnyMethod]


@dataclass(frozen=True, eq=False)
class Part:
    """A run among those that are evaluated together, on one data set.

    Attributes:
        run: Its record.
        jobs: Its folds.
        protocol: The rules of counting, brought to the data set by `fssbench.protocols.rules.Protocol.on`.
        folder: Where rows go and where earlier ones are; None keeps them in memory.
        keep: Given each answer before its row is stored.
        together: Whether its jobs' methods can be there at once; otherwise giving one may change the last.
    """

    run: Run
    jobs: Sequence[Job]
    protocol: Rules
    folder: Folder | None = None
    keep: Keep | None = None
    together: bool = False


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
    """Ask all folds of some runs what is not answered yet: fold after fold, the runs of a fold together.

    Where all methods of all folds can be there at once, the work is planned as one: an image that several folds ask is
    encoded once for those that share an encoder.

    Args:
        parts: The runs.
        dataset: The opened data set.
        device: Where to compute.
        settings: How to compute.
        progress: Told of each row, and of which run it is.
        stages: Stopwatch.
        count: Where to count what the store of features was asked.
        processes: The processes that do this together; each answers its share, and the first has all rows in the end.

    Raises:
        UsageError: If a run to be continued has rows of other photos than those of the data set now.
        MissingError: If a photo or label map is not there.
        BrokenFileError: If one can't be read, or was exchanged meanwhile.
    """
    shown = progress or Silent()
    rows = [[] if part.folder is None else part.folder.rows for part in parts]
    if processes.first:
        for part in parts:
            if part.folder is not None and sum(map(part.run.expected, part.run.folds)) > len(part.folder.rows):
                check_same_photos(part.folder.rows, dataset, part.folder.path)
    processes.wait()  # until all have read what is answered: they cut the rest into shares alike
    folds = sorted({one.fold for part in parts for one in part.run.folds})
    turns = [_turn(fold, parts, rows, processes.share) for fold in folds]
    try:
        for together in [turns] if all(part.together for part in parts) else [[turn] for turn in turns]:
            asked = [one for turn in together for one in turn.asked]
            made = [
                Asking(_form_of(job, device, settings), job.episodes, parts[place].protocol, numbers)
                for place, job, numbers in asked
            ]
            with closing(answers(made, dataset, device, settings, stages, processes.local, count)) as coming:
                for turn in together:
                    shown.start(turn.fold, turn.left + sum(map(len, turn.earlier)), *turn.earlier)
                    for which, row, answered in islice(coming, turn.left):
                        place = asked[which][0]
                        part = parts[place]
                        if part.keep is not None:
                            part.keep(turn.fold, row.episode, answered)
                        if part.folder is None:
                            rows[place].append(row)
                        else:
                            part.folder.append(row)
                        shown.advance(row, place)
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


@dataclass(frozen=True, eq=False)
class _Turn:
    """What is asked of one fold.

    Attributes:
        fold: Its number.
        asked: The place of a run, its job, and the numbers of the episodes to be answered, in the order of work.
        earlier: Of each run the rows that it has.
    """

    fold: int
    asked: list[tuple[int, Job, list[int]]]
    earlier: list[list[Row]]

    @property
    def left(self) -> int:
        """How many episodes are to be answered."""
        return sum(len(numbers) for _, _, numbers in self.asked)


def _turn(fold: int, parts: Sequence[Part], rows: Sequence[Sequence[Row]], share: Share) -> _Turn:
    """Return what one process is to ask of a fold, of all runs."""
    asked: list[tuple[int, Job, list[int]]] = []
    earlier: list[list[Row]] = []
    for place, part in enumerate(parts):
        earlier.append([row for row in rows[place] if row.fold == fold])
        for record, job in zip(part.run.folds, part.jobs, strict=True):
            if record.fold == fold:
                episodes = job.episodes[: part.run.asked(record)]
                numbers = order_of_work(episodes, {row.episode for row in earlier[place]}, part.run.share)
                numbers = numbers[slice(*share.bounds(len(numbers)))]
                asked += [(place, job, numbers)] if numbers else []
    return _Turn(fold, asked, earlier)


def _form_of(job: Job, device: torch.device, settings: Settings) -> AnyMethod:
    """Return what predicts: the method in eval mode on its device, or its fast form."""
    method = job.method().to(device).eval()
    return method if settings.plain else fast_form(method)
