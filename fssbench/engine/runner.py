"""Carries out plans: builds the methods, loads the weights of each fold, evaluates, writes rows."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from fssbench.engine.features.cache import CacheCounts
from fssbench.engine.fold_methods import fold_methods
from fssbench.engine.folds import Folder, RunJob, evaluate_runs
from fssbench.engine.loop import OnPrediction
from fssbench.engine.processes import ALONE, Processes
from fssbench.engine.profiling.timers import StageTimers
from fssbench.methods import build
from fssbench.methods.base.method import Method
from fssbench.methods.building import check_unchanged
from fssbench.planning.plan import Plan, planned_run
from fssbench.planning.settings import choose_device
from fssbench.predictions.places import path_from
from fssbench.predictions.saving import SavedPredictions
from fssbench.progress import Activity
from fssbench.results.environment import start
from fssbench.results.progress import Progress, Silent
from fssbench.results.run_reader import Existing, Results
from fssbench.results.run_writer import PartFolder, RunFolder
from fssbench.results.scoring import PredictedLabels


def run_plans(
    plans: Sequence[Plan],
    progress: Progress | None = None,
    command: tuple[str, ...] = (),
    *,
    save: Path | None = None,
    timers: StageTimers | None = None,
    cache_counts: CacheCounts | None = None,
    processes: Processes = ALONE,
) -> list[Results]:
    """Evaluate plans together and return their results, which are also in the plans' folders.

    Args:
        plans: From `fssbench.planning.plan.plan`, with the same data set, device and settings.
        progress: Receives each row.
        command: The command line, for the record.
        save: Folder in which the label maps of a single plan are saved, as `fssbench score` reads them.
        timers: Measures the time of each stage.
        cache_counts: Counts the uses of the feature cache.
        processes: The processes that evaluate together.

    Raises:
        UsageError: If the device does not exist, or the run in the folder can't be continued.
        CheckpointError: If weights do not fit. The weights of all folds are loaded before the first episode.
        MissingError: If a photo or mask is missing. Rows that are written stay.
        BrokenFileError: If a photo or mask can't be read. Rows that are written stay.
    """
    first = plans[0]
    name = processes.device(first.request.device)
    device, settings = choose_device(name), first.request.settings
    settings.autocast(device)  # raises an error before weights are read
    with processes.process_group(str(device)), ExitStack() as stack:
        jobs, saved = [], None
        for plan in plans:
            if save is not None:
                saved = SavedPredictions(save, [one.fold for one in plan.lists], _existing(plan))
            job = _job(plan, device, command, processes, stack, save)
            jobs.append(job if saved is None else replace(job, on_prediction=_claimed(job.folder, saved.save)))
        if saved is not None:
            saved.begin([] if jobs[0].folder is None else jobs[0].folder.rows)
        shown = progress if processes.first else Silent()
        results = evaluate_runs(
            jobs, first.dataset, device, settings, shown, timers, cache_counts, processes, first.request.ended
        )
        if saved is not None and jobs[0].folder is not None:
            saved.finish(jobs[0].folder.rows)
        return results


def run_plan(
    plan: Plan, progress: Progress | None = None, command: tuple[str, ...] = (), save: Path | None = None
) -> Results:
    """Evaluate a single plan; see `run_plans`."""
    return run_plans([plan], progress, command, save=save)[0]


def _job(
    plan: Plan,
    device: torch.device,
    command: tuple[str, ...],
    processes: Processes,
    stack: ExitStack,
    save: Path | None,
) -> RunJob:
    with Activity(f"loading the weights of {plan.info.name}"):
        method = build_planned(plan)
        methods = fold_methods(method, plan.sources)  # loads all weights before the first episode
    run = planned_run(plan)
    run = replace(
        run,
        method=replace(run.method, learnable_parameters=method.learnable_parameters),
        starts=(start(command, device, plan.dataset.root),),
        predictions=None if save is None else path_from(plan.out, save),
    )
    lists = {episodes.fold: episodes for episodes in plan.lists}
    folder: Folder
    if processes.first:
        folder = run_folder = stack.enter_context(RunFolder(plan.out, run, lists, _existing(plan), plan.seen))
        if processes.size > 1:
            run_folder.begin()
        processes.wait()
    else:
        processes.wait()  # until the first process has made the folder
        folder = stack.enter_context(PartFolder(plan.out, processes.rank))
    return RunJob(
        folder.run,
        plan.lists,
        methods.method_of,
        plan.protocol,
        folder,
        all_in_memory=methods.all_in_memory,
        in_shard=plan.in_shard,
    )


def _claimed(folder: Folder | None, save: OnPrediction) -> OnPrediction:
    """Return `save`, which first makes sure that the run folder belongs to this command."""

    def claim_and_save(fold: int, number: int, predicted: PredictedLabels) -> None:
        if isinstance(folder, RunFolder):
            folder.begin()
        save(fold, number, predicted)

    return claim_and_save


def _existing(plan: Plan) -> Existing:
    return plan.request.existing or Existing.REFUSE


def build_planned(plan: Plan) -> Method[Any, Any]:
    """Return the method of a plan; its weights are not loaded yet, but random ones are drawn."""
    seeds = [source.seed for source in plan.sources.values() if source.seed is not None]
    if seeds:
        torch.manual_seed(seeds[0])
    # The options of the plan already include those of the data set that the weights were trained on.
    name, options = plan.request.method, plan.options
    method = build(name, plan.pinned_backbone, plan.variant, plan.way, plan.shot, trained_on=None, **options)
    check_unchanged(plan.info.own, method)
    return method
