"""Evaluates all folds of one run, or of several runs together, and writes each row to the folder of its run."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Protocol

import torch

from fssbench.engine.compiled_heads import compiled_head
from fssbench.engine.computing import computing
from fssbench.engine.features.cache import CacheCounts
from fssbench.engine.features.jobs import AnyMethod, FoldJob
from fssbench.engine.looks import ended, first_outlook, make_look, outlook
from fssbench.engine.loop import OnPrediction, evaluate_jobs
from fssbench.engine.processes import ALONE, Processes
from fssbench.engine.profiling.timers import StageTimers
from fssbench.engine.same_masks import check_same_masks
from fssbench.engine.same_photos import check_same_photos
from fssbench.engine.shares import Part, between, shares_of
from fssbench.errors import FSSBenchError, UsageError
from fssbench.fast.form import fast_form
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
    from fssbench.results.scoring import PredictedLabels
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
        with computing(settings), closing(_evaluated(work, _stages(runs))) as stages:
            for number, episodes in enumerate(stages):
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


def _evaluated(work: _Work, stages: Sequence[int | None]) -> Generator[int | None, None, None]:
    """Evaluate what has no row yet of the first so many episodes of each list, and yield this number, stage by stage.

    The next stage begins when the caller goes on. Features are kept from one stage to the next if the methods of all
    folds exist at the same time; if not, those of a fold are gone when the next fold loads its weights.

    Args:
        work: What is evaluated, and how.
        stages: Rising numbers of episodes; None for all that are requested.
    """
    folds = sorted({one.fold for job in work.jobs for one in job.run.folds})
    whole = shares_of(folds, work.jobs, work.rows, work.processes)
    together = all(job.all_in_memory for job in work.jobs)
    looks = [stage for stage in stages if stage is not None]
    with closing(_results(work, [part for fold in folds for part in whole[fold]], looks)) as kept:
        for first, stage in zip([0, *looks], stages, strict=False):
            shares = {fold: between(whole[fold], first, stage) for fold in folds}
            for fold in folds if stage is None or any(shares.values()) else []:
                with nullcontext(kept) if together else closing(_results(work, shares[fold])) as results:
                    _take(work, fold, shares[fold], results)
            yield stage


_Result = tuple[int, "Row", "PredictedLabels"]
"""The index of a run, a row of it, and the predicted labels."""


def _results(work: _Work, parts: Sequence[Part], looks: Sequence[int] = ()) -> Generator[_Result, None, None]:
    """Evaluate parts of lists in one pass, which begins with the first result that is taken."""
    fold_jobs = [
        FoldJob(
            form_of(work.jobs[place].method_of(episodes.fold), work.device, work.settings),
            *(episodes, work.jobs[place].protocol, numbers),
        )
        for place, episodes, numbers in parts
    ]
    arguments = (fold_jobs, work.dataset, work.device, work.settings, work.timers)
    with closing(evaluate_jobs(*arguments, work.processes.local, work.cache_counts, work.note, looks=looks)) as results:
        for index, row, predicted in results:
            yield parts[index][0], row, predicted


def _take(work: _Work, fold: int, share: Sequence[Part], results: Iterator[_Result]) -> None:
    """Write the rows of a fold's share, which come next."""
    earlier = [[row for row in known if row.fold == fold] for known in work.rows]
    number = sum(len(numbers) for _, _, numbers in share)
    work.shown.start(fold, number + sum(map(len, earlier)), *earlier)
    for place, row, predicted in islice(results, number):
        job = work.jobs[place]
        if job.on_prediction is not None:
            job.on_prediction(fold, row.episode, predicted)
        if job.folder is None:
            work.rows[place].append(row)
        else:
            job.folder.append(row)
        work.shown.advance(row, place)


def form_of(method: AnyMethod, device: torch.device, settings: Settings) -> AnyMethod:
    """Return the method in eval mode on its device, or its fast form, with a compiled head if settings have it so."""
    method = method.to(device).eval()
    if settings.channels_last and (encoder := method.shared_encoder) is not None:
        encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    form = method if settings.plain else fast_form(method)
    return compiled_head(form) if settings.compiled_heads else form
