"""All folds of one run, or of several that are evaluated together: what is answered, by whom, and where rows go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from fssbench.engine.features.cache import CacheCounts
from fssbench.engine.features.features import AnyMethod, FoldJob
from fssbench.engine.loop import OnPrediction, evaluate_jobs
from fssbench.engine.order import order_of_work
from fssbench.engine.processes import ALONE, Processes
from fssbench.engine.profiling.timers import StageTimers
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
    from fssbench.results.shard import Shard


class Folder(Protocol):
    """Where the rows of a run go: `fssbench.results.run_reader.RunFolder`, or one process's part of it."""

    path: Path
    run: Run
    rows: list[Row]

    def append(self, row: Row) -> None:
        """Write a row."""

    def finish(self) -> Results:
        """Return the results."""


@dataclass(frozen=True, eq=False)
class RunJob:
    """A run to be evaluated, alone or with others on one data set; each of its folds becomes a `FoldJob`.

    Attributes:
        run: Its record.
        lists: Of each of its folds the episodes.
        method_of: Gives the method of a fold when its turn has come.
        protocol: The rules of counting, brought to the data set by `fssbench.protocols.rules.Protocol.on`.
        folder: Where rows go and where earlier ones are; None keeps them in memory.
        on_prediction: Given each answer before its row is stored.
        together: Whether the methods of all folds can be there at once; otherwise giving one may change the last.
    """

    run: Run
    lists: Sequence[EpisodeList]
    method_of: Callable[[int], AnyMethod]
    protocol: Rules
    folder: Folder | None = None
    on_prediction: OnPrediction | None = None
    together: bool = False


def evaluate_runs(
    jobs: Sequence[RunJob],
    dataset: Dataset,
    device: torch.device,
    settings: Settings,
    progress: Progress | None = None,
    stages: StageTimers | None = None,
    count: CacheCounts | None = None,
    processes: Processes = ALONE,
) -> list[Results]:
    """Ask all folds of some runs what is not answered yet: fold after fold, the runs of a fold together.

    Where all methods of all folds can be there at once, the work is planned as one: an image that several folds ask is
    encoded once for those that share an encoder.

    Args:
        jobs: The runs.
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
    rows = [[] if job.folder is None else job.folder.rows for job in jobs]
    if processes.first:
        for job in jobs:
            if job.folder is not None and sum(map(job.run.expected, job.run.folds)) > len(job.folder.rows):
                check_same_photos(job.folder.rows, dataset, job.folder.path)
    processes.wait()  # until all have read what is answered: they cut the rest into shares alike
    folds = sorted({one.fold for job in jobs for one in job.run.folds})
    left = {fold: _left(fold, jobs, rows, processes.share) for fold in folds}
    try:
        for batch in [folds] if all(job.together for job in jobs) else [[fold] for fold in folds]:
            work = [one for fold in batch for one in left[fold]]
            made = [
                FoldJob(_form_of(jobs[place].method_of(fold), device, settings), one, jobs[place].protocol, numbers)
                for fold in batch
                for place, one, numbers in left[fold]
            ]
            with closing(evaluate_jobs(made, dataset, device, settings, stages, processes.local, count)) as coming:
                for fold in batch:
                    earlier = [[row for row in known if row.fold == fold] for known in rows]
                    number = sum(len(numbers) for _, _, numbers in left[fold])
                    shown.start(fold, number + sum(map(len, earlier)), *earlier)
                    for which, row, answered in islice(coming, number):
                        place = work[which][0]
                        job = jobs[place]
                        if job.on_prediction is not None:
                            job.on_prediction(fold, row.episode, answered)
                        if job.folder is None:
                            rows[place].append(row)
                        else:
                            job.folder.append(row)
                        shown.advance(row, place)
    except (FSSBenchError, KeyboardInterrupt) as error:
        for job, known in zip(jobs, rows, strict=True):
            if job.folder is not None and job.folder.rows:
                error.add_note(
                    f"{len(known)} answered episodes are kept in {job.folder.path}; resume continues after them"
                )
        raise
    finally:
        shown.close()
    processes.wait()  # until all rows are written
    return [
        Results(frame_of(known), job.run) if job.folder is None else job.folder.finish()
        for job, known in zip(jobs, rows, strict=True)
    ]


def _left(
    fold: int, jobs: Sequence[RunJob], rows: Sequence[Sequence[Row]], share: Shard
) -> list[tuple[int, EpisodeList, list[int]]]:
    """Return what one process has to evaluate of a fold: the place of a run, its list, and the numbers of episodes.

    The numbers are in the order of work, without those that have a row.
    """
    left: list[tuple[int, EpisodeList, list[int]]] = []
    for place, job in enumerate(jobs):
        done = {row.episode for row in rows[place] if row.fold == fold}
        for record, episodes in zip(job.run.folds, job.lists, strict=True):
            if record.fold == fold:
                numbers = order_of_work(episodes[: job.run.requested(record)], done, job.run.as_shard)
                numbers = numbers[slice(*share.bounds(len(numbers)))]
                left += [(place, episodes, numbers)] if numbers else []
    return left


def _form_of(method: AnyMethod, device: torch.device, settings: Settings) -> AnyMethod:
    """Return what predicts: the method in eval mode on its device, or its fast form."""
    method = method.to(device).eval()
    return method if settings.plain else fast_form(method)
