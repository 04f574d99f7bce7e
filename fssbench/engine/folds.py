"""Evaluates all folds of one run, or of several runs together, and writes each row to the folder of its run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Protocol

import torch

from fssbench.engine.computing import computing
from fssbench.engine.features.cache import CacheCounts
from fssbench.engine.features.jobs import AnyMethod, FoldJob
from fssbench.engine.looks import ended, first_outlook, make_look, outlook
from fssbench.engine.loop import OnPrediction, evaluate_jobs
from fssbench.engine.order import remaining
from fssbench.engine.processes import ALONE, Processes
from fssbench.engine.profiling.timers import StageTimers
from fssbench.engine.same_masks import check_same_masks
from fssbench.engine.same_photos import check_same_photos
from fssbench.errors import FSSBenchError, UsageError
from fssbench.fast.form import fast_form
from fssbench.planning.cut import numbers_of
from fssbench.planning.settings import Settings
from fssbench.results.derived import frame_of_run
from fssbench.results.progress import Progress, Silent
from fssbench.results.rows import Row
from fssbench.results.run_reader import Results

if TYPE_CHECKING:
    from pathlib import Path

    from fssbench.datasets.dataset import Dataset
    from fssbench.episode import EpisodeList
    from fssbench.protocols.rules import Protocol as Rules
    from fssbench.results.record import Run
    from fssbench.results.until import Until


_FEW = 4
"""Of so many runs that are broken off each is named."""


class Folder(Protocol):
    """Where a run's rows are written: `fssbench.results.run_writer.RunFolder`, or one process's part of it."""

    path: Path
    run: Run
    rows: list[Row]

    def append(self, row: Row) -> None:
        """Write a row."""

    def describe(self, run: Run) -> None:
        """Replace the record of the run."""

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
        in_shard: The numbers of the episodes of each list that a shard has, if it is cut by its seams.
    """

    run: Run
    lists: Sequence[EpisodeList]
    method_of: Callable[[int], AnyMethod]
    protocol: Rules
    folder: Folder | None = None
    on_prediction: OnPrediction | None = None
    all_in_memory: bool = False
    in_shard: Sequence[Sequence[int]] | None = None


def evaluate_runs(
    jobs: Sequence[RunJob],
    dataset: Dataset,
    device: torch.device,
    settings: Settings,
    progress: Progress | None = None,
    timers: StageTimers | None = None,
    cache_counts: CacheCounts | None = None,
    processes: Processes = ALONE,
    before: Until | None = None,
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
        before: How a run that is repeated ended by its rule (`Run.until`); it ends there again, whatever its interval.

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
    work = _Work(jobs, rows, dataset, device, settings, shown, timers, cache_counts, processes)
    runs = [job.run if job.folder is None else job.folder.run for job in jobs]
    try:
        if runs and runs[0].until is not None:
            shown.looked(first_outlook(runs, sum(map(len, rows))))
        for number, episodes in enumerate(_stages(runs)):
            with computing(settings):
                _evaluate(work, episodes)
            if episodes is None:
                break
            runs = _look(jobs, runs, rows, number)
            beyond = any(row.episode >= episodes for known in rows for row in known)
            if (done := ended(runs, number, before, beyond=beyond)) is not None:
                runs = list(done)
                break
            shown.looked(outlook(runs, number, sum(map(len, rows))))
        for job, run in zip(jobs, runs, strict=True):
            _describe(job.folder, run)
    except (FSSBenchError, KeyboardInterrupt) as error:
        for note in _kept([job.folder for job in jobs if job.folder is not None and job.folder.rows]):
            error.add_note(note)
        raise
    finally:
        shown.close()
    batches = processes.gathered(tuple(work.batches))  # when all rows are written
    if processes.first:
        _note_batches(jobs, max(batches, key=len))
    return [
        Results(frame_of_run(known, run), _with_batches(run, tuple(work.batches)))
        if job.folder is None
        else job.folder.finish()
        for job, known, run in zip(jobs, rows, runs, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class _Work:
    """What is evaluated, and how; see `evaluate_runs`."""

    jobs: Sequence[RunJob]
    rows: Sequence[list[Row]]
    dataset: Dataset
    device: torch.device
    settings: Settings
    shown: Progress
    timers: StageTimers | None
    cache_counts: CacheCounts | None
    processes: Processes
    batches: list[int] = field(default_factory=list)
    """The numbers of episodes of a call, where they changed."""

    def note(self, batches: tuple[int, ...]) -> None:
        """Keep the numbers of episodes of a call, also in the records of the runs."""
        if batches != tuple(self.batches):
            self.batches[:] = batches
            _note_batches(self.jobs, batches)


def _describe(folder: Folder | None, run: Run) -> None:
    """Write the record of a run, whose last start may have been described in the meantime."""
    if folder is not None and (run := replace(run, starts=folder.run.starts)) != folder.run:
        folder.describe(run)


def _note_batches(jobs: Sequence[RunJob], batches: tuple[int, ...]) -> None:
    """Write the numbers of episodes of a call into the last start of each run, unless they never changed."""
    for folder in (job.folder for job in jobs if job.folder is not None):
        if (run := _with_batches(folder.run, batches)) != folder.run:
            folder.describe(run)


def _with_batches(run: Run, batches: tuple[int, ...]) -> Run:
    if not batches or not run.starts:
        return run
    *earlier, last = run.starts
    return replace(run, starts=(*earlier, replace(last, batches=batches)))


def _kept(folders: Sequence[Folder]) -> list[str]:
    """Return what is kept of runs that are broken off: a line for each, of many one for all."""
    counts = [len(folder.rows) for folder in folders]
    parents = {folder.path.parent for folder in folders}
    if len(folders) > _FEW and len(parents) == 1:
        where = f"of {len(folders)} runs are kept in {parents.pop()}"
        return [f"{sum(counts)} evaluated episodes {where}; resume continues after them"]
    return [
        f"{count} evaluated episodes are kept in {folder.path}; resume continues after them"
        for count, folder in zip(counts, folders, strict=True)
    ]


def _stages(runs: Sequence[Run]) -> Sequence[int | None]:
    """Return after how many episodes of each list the runs look; None if they only end where their lists do."""
    rule = runs[0].until
    return (None,) if rule is None else rule.schedule


def _look(jobs: Sequence[RunJob], runs: Sequence[Run], rows: Sequence[Sequence[Row]], number: int) -> list[Run]:
    """Return the records of the runs with a look, which is also written to their folders."""
    found = []
    for job, run, known in zip(jobs, runs, rows, strict=True):
        if run.until is None or _stages([run]) != _stages(runs):
            raise UsageError("runs that are evaluated together end by looks after the same numbers of episodes")
        now = make_look(run, run.until, number, known, None if job.folder is None else job.folder.path)
        _describe(job.folder, now)
        found.append(now)
    return found


def _evaluate(work: _Work, episodes: int | None) -> None:
    """Evaluate what has no row yet of the first `episodes` of each list; None for all that are requested."""
    jobs, rows, shown, settings = work.jobs, work.rows, work.shown, work.settings
    folds = sorted({one.fold for job in jobs for one in job.run.folds})
    shares = _shares(folds, jobs, rows, work.processes, episodes)
    for batch in [folds] if all(job.all_in_memory for job in jobs) else [[fold] for fold in folds]:
        steps = [one for fold in batch for one in shares[fold]]
        if episodes is not None and not steps:
            continue
        fold_jobs = [
            FoldJob(form_of(jobs[place].method_of(fold), work.device, settings), one, jobs[place].protocol, numbers)
            for fold in batch
            for place, one, numbers in shares[fold]
        ]
        with closing(
            evaluate_jobs(
                fold_jobs,
                work.dataset,
                work.device,
                settings,
                work.timers,
                work.processes.local,
                work.cache_counts,
                work.note,
            )
        ) as results:
            for fold in batch:
                earlier = [[row for row in known if row.fold == fold] for known in rows]
                number = sum(len(numbers) for _, _, numbers in shares[fold])
                shown.start(fold, number + sum(map(len, earlier)), *earlier)
                for index, row, predicted in islice(results, number):
                    place = steps[index][0]
                    job = jobs[place]
                    if job.on_prediction is not None:
                        job.on_prediction(fold, row.episode, predicted)
                    if job.folder is None:
                        rows[place].append(row)
                    else:
                        job.folder.append(row)
                    shown.advance(row, place)


_Part = tuple[int, "EpisodeList", list[int]]
"""The index of a run, the list of a fold, and the numbers of episodes."""


def _shares(
    folds: Sequence[int], jobs: Sequence[RunJob], rows: Sequence[Sequence[Row]], processes: Processes, most: int | None
) -> dict[int, list[_Part]]:
    """Return what one process has to evaluate of each fold.

    The numbers are in the order of evaluation; episodes that have a row are left out.
    """
    parts: list[_Part] = []
    for place, job in enumerate(jobs):
        numbers = remaining(job.run, job.lists, rows[place], job.in_shard, most)
        parts += [(place, *of_list) for of_list in zip(job.lists, numbers, strict=True)]
    share = _divided(parts, processes)
    return {fold: [part for part in share if part[1].fold == fold and part[2]] for fold in folds}


def _divided(parts: Sequence[_Part], processes: Processes) -> Sequence[_Part]:
    """Return the share of one process, in the same order."""
    if processes.size == 1:
        return parts
    lists = [(episodes.fold, [episodes[number] for number in numbers]) for _, episodes, numbers in parts]
    found = numbers_of(lists, processes.shard)
    return [
        (place, episodes, [numbers[index] for index in indices])
        for (place, episodes, numbers), indices in zip(parts, found, strict=True)
    ]


def form_of(method: AnyMethod, device: torch.device, settings: Settings) -> AnyMethod:
    """Return the method in eval mode on its device, or its fast form."""
    method = method.to(device).eval()
    if settings.channels_last and (encoder := method.shared_encoder) is not None:
        encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return method if settings.plain else fast_form(method)
