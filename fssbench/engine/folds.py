"""Evaluates all folds of one run, or of several runs together, and writes each row to the folder of its run."""

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
from fssbench.engine.same_masks import check_same_masks
from fssbench.engine.same_photos import check_same_photos
from fssbench.errors import FSSBenchError
from fssbench.fast.form import fast_form
from fssbench.planning.settings import Settings
from fssbench.results.derived import frame_of_run
from fssbench.results.progress import Progress, Silent
from fssbench.results.rows import Row
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
    """Where a run's rows are written: `fssbench.results.run_writer.RunFolder`, or one process's part of it."""

    path: Path
    run: Run
    rows: list[Row]

    def append(self, row: Row) -> None:
        """Write a row."""

    def finish(self) -> Results:
        """Return the results."""


@dataclass(frozen=True, eq=False)
class RunJob:
    """A run to be evaluated, alone or together with other runs on the same data set; each fold becomes a `FoldJob`.

    Attributes:
        run: Its record.
        lists: The episode list of each fold.
        method_of: Returns the method of a fold when that fold is evaluated.
        protocol: The counting rules for the data set (`fssbench.protocols.rules.Protocol.on`).
        folder: Holds earlier rows and takes new ones; None keeps rows in memory.
        on_prediction: Called with each prediction before its row is written.
        all_in_memory: Whether the methods of all folds exist at the same time. If not, `method_of` may change the
            method that it returned before.
    """

    run: Run
    lists: Sequence[EpisodeList]
    method_of: Callable[[int], AnyMethod]
    protocol: Rules
    folder: Folder | None = None
    on_prediction: OnPrediction | None = None
    all_in_memory: bool = False


def evaluate_runs(
    jobs: Sequence[RunJob],
    dataset: Dataset,
    device: torch.device,
    settings: Settings,
    progress: Progress | None = None,
    timers: StageTimers | None = None,
    cache_counts: CacheCounts | None = None,
    processes: Processes = ALONE,
) -> list[Results]:
    """Evaluate the episodes of runs that have no row yet: fold after fold, all runs of a fold together.

    If the methods of all folds exist at the same time, all folds are planned together. Then an image that occurs in
    several folds is encoded once for all methods that share an encoder.

    Args:
        jobs: The runs.
        dataset: The opened data set.
        device: Where to compute.
        settings: How to compute.
        progress: Receives each row and the index of its run.
        timers: Measures the time of each stage.
        cache_counts: Counts the uses of the feature cache.
        processes: The processes that evaluate together. Each evaluates its shard; the first has all rows at the end.

    Raises:
        UsageError: If a continued run has rows from photos or masks that have changed since.
        MissingError: If a photo or label map is missing.
        BrokenFileError: If one can't be read, or was replaced during the evaluation.
    """
    shown = progress or Silent()
    rows = [[] if job.folder is None else job.folder.rows for job in jobs]
    if processes.first:
        for job in jobs:
            if job.folder is not None and sum(map(job.run.expected, job.run.folds)) > len(job.folder.rows):
                check_same_photos(job.folder.rows, dataset, job.folder.path)
                check_same_masks(job.folder.rows, dataset, job.folder.path)
    processes.wait()  # until all have read the rows: all must divide the same remaining episodes
    folds = sorted({one.fold for job in jobs for one in job.run.folds})
    remaining = {fold: _remaining(fold, jobs, rows, processes.shard) for fold in folds}
    try:
        for batch in [folds] if all(job.all_in_memory for job in jobs) else [[fold] for fold in folds]:
            work = [one for fold in batch for one in remaining[fold]]
            fold_jobs = [
                FoldJob(form_of(jobs[place].method_of(fold), device, settings), one, jobs[place].protocol, numbers)
                for fold in batch
                for place, one, numbers in remaining[fold]
            ]
            with closing(
                evaluate_jobs(fold_jobs, dataset, device, settings, timers, processes.local, cache_counts)
            ) as results:
                for fold in batch:
                    earlier = [[row for row in known if row.fold == fold] for known in rows]
                    number = sum(len(numbers) for _, _, numbers in remaining[fold])
                    shown.start(fold, number + sum(map(len, earlier)), *earlier)
                    for index, row, predicted in islice(results, number):
                        place = work[index][0]
                        job = jobs[place]
                        if job.on_prediction is not None:
                            job.on_prediction(fold, row.episode, predicted)
                        if job.folder is None:
                            rows[place].append(row)
                        else:
                            job.folder.append(row)
                        shown.advance(row, place)
    except (FSSBenchError, KeyboardInterrupt) as error:
        for job, known in zip(jobs, rows, strict=True):
            if job.folder is not None and job.folder.rows:
                error.add_note(
                    f"{len(known)} evaluated episodes are kept in {job.folder.path}; resume continues after them"
                )
        raise
    finally:
        shown.close()
    processes.wait()  # until all rows are written
    return [
        Results(frame_of_run(known, job.run), job.run) if job.folder is None else job.folder.finish()
        for job, known in zip(jobs, rows, strict=True)
    ]


def _remaining(
    fold: int, jobs: Sequence[RunJob], rows: Sequence[Sequence[Row]], shard: Shard
) -> list[tuple[int, EpisodeList, list[int]]]:
    """Return what one process has to evaluate of a fold: the index of a run, its list, and the numbers of the episodes.

    The numbers are in the order of evaluation; episodes that have a row are left out.
    """
    remaining: list[tuple[int, EpisodeList, list[int]]] = []
    for place, job in enumerate(jobs):
        done = {row.episode for row in rows[place] if row.fold == fold}
        for record, episodes in zip(job.run.folds, job.lists, strict=True):
            if record.fold == fold:
                numbers = order_of_work(episodes[: job.run.requested(record)], done, job.run.as_shard)
                numbers = numbers[slice(*shard.bounds(len(numbers)))]
                remaining += [(place, episodes, numbers)] if numbers else []
    return remaining


def form_of(method: AnyMethod, device: torch.device, settings: Settings) -> AnyMethod:
    """Return the method in eval mode on its device, or its fast form."""
    method = method.to(device).eval()
    return method if settings.plain else fast_form(method)
