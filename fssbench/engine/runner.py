"""Carries out plans: builds the methods, loads the weights of each fold, evaluates, writes rows."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fssbench.engine.computing import described
from fssbench.engine.features.cache import CacheCounts
from fssbench.engine.fold_methods import FoldMethods, fold_methods
from fssbench.engine.folds import Folder, RunJob, evaluate_runs
from fssbench.engine.loop import OnPrediction
from fssbench.engine.passes import OnePass, closed_on_error, is_complete, tell_plan
from fssbench.engine.processes import ALONE, Processes
from fssbench.engine.profiling.timers import StageTimers
from fssbench.methods import build
from fssbench.methods.base.method import Method
from fssbench.methods.building import check_unchanged
from fssbench.planning.plan import Plan, planned_run
from fssbench.planning.settings import choose_device
from fssbench.planning.several import by_dataset
from fssbench.predictions.places import path_from
from fssbench.predictions.saving import SavedPredictions
from fssbench.progress import Activity
from fssbench.results.environment import start
from fssbench.results.part_writer import PartFolder
from fssbench.results.progress import Progress, Silent
from fssbench.results.run_reader import Existing, Results
from fssbench.results.run_writer import RunFolder
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

    Those of one data set are evaluated in one pass, one data set after the other. A run that has all its rows already
    is not computed again, and its weights are not read.

    Args:
        plans: From `fssbench.planning.plan.plan`, with the same device and settings; those of one data set in a row.
        progress: Receives each row.
        command: The command line, for the record.
        save: Folder in which the label maps of a single plan are saved, as `fssbench score` reads them.
        timers: Measures the time of each stage.
        cache_counts: Counts the uses of the feature cache.
        processes: The processes that evaluate together.

    Raises:
        UsageError: If the device does not exist, or the run in the folder can't be continued.
        CheckpointError: If weights do not fit. The weights of all runs and folds are loaded before the first episode.
        MissingError: If a photo or mask is missing. Rows that are written stay.
        BrokenFileError: If a photo or mask can't be read. Rows that are written stay.
    """
    first = plans[0]
    name = processes.device(first.request.device)
    device, settings = choose_device(name), first.request.settings
    settings.autocast(device)  # raises an error before weights are read
    passes = by_dataset(plans)
    shown = progress if processes.first and progress is not None else Silent()
    with processes.process_group(str(device)), ExitStack() as stack:
        folders = _run_folders(plans, device, command, stack, save) if processes.first else None
        if folders is not None and first.until is None and processes.size == 1:
            tell_plan(shown, folders, plans)
        results: list[Results] = []
        for number, of_one in enumerate(passes):
            done = len(results)
            mine = None if folders is None else folders[done : done + len(of_one)]
            jobs = _jobs(of_one, mine, processes, stack)
            if not number:
                for place in range(len(of_one), len(plans)):
                    _check_weights(plans[place], None if folders is None else folders[place], plans[:place])
            saved = None
            if save is not None:
                saved = SavedPredictions(save, [one.fold for one in first.lists], _existing(first))
                jobs = [replace(jobs[0], on_prediction=_claimed(jobs[0].folder, saved.save))]
                saved.begin([] if jobs[0].folder is None else jobs[0].folder.rows)
            title, last = of_one[0].dataset.name if len(passes) > 1 else None, number + 1 == len(passes)
            part = OnePass(shown, done, len(plans), title, last=last)
            dataset, ended = of_one[0].dataset, first.request.ended
            with closed_on_error(shown, results, last=last):
                results += evaluate_runs(jobs, dataset, device, settings, part, timers, cache_counts, processes, ended)
            if saved is not None and jobs[0].folder is not None:
                saved.finish(jobs[0].folder.rows)
            del jobs  # the methods of one data set need not be in memory while another is evaluated
        return results


def run_plan(
    plan: Plan, progress: Progress | None = None, command: tuple[str, ...] = (), save: Path | None = None
) -> Results:
    """Evaluate a single plan; see `run_plans`."""
    return run_plans([plan], progress, command, save=save)[0]


def _run_folders(
    plans: Sequence[Plan], device: torch.device, command: tuple[str, ...], stack: ExitStack, save: Path | None
) -> list[RunFolder]:
    """Return the folders of all runs, for the first process; of a run that is continued its rows are read."""
    folders = []
    for plan in plans:
        run = replace(
            planned_run(plan),
            starts=(start(command, device, plan.dataset.root, described(plan.request.settings)),),
            predictions=None if save is None else path_from(plan.out, save),
        )
        lists = {episodes.fold: episodes for episodes in plan.lists}
        folders.append(stack.enter_context(RunFolder(plan.out, run, lists, _existing(plan), plan.seen)))
    return folders


def _jobs(
    plans: Sequence[Plan],
    run_folders: Sequence[RunFolder] | None,
    processes: Processes,
    stack: ExitStack,
) -> list[RunJob]:
    """Return the jobs of the runs on one data set, with their weights loaded, unless all their rows are there."""
    folders: Sequence[Folder]
    shared: dict[object, nn.Module] | None = {} if len(plans) > 1 else None
    if run_folders is None:
        processes.wait()  # until the first process has made the folders
        folders = [stack.enter_context(PartFolder(plan.out, processes.rank)) for plan in plans]
        return [_job(plan, folder, shared) for plan, folder in zip(plans, folders, strict=True)]
    jobs = [_job(plan, folder, shared) for plan, folder in zip(plans, run_folders, strict=True)]
    if processes.size > 1:
        for folder in run_folders:
            folder.begin()
    processes.wait()
    return jobs


def _job(plan: Plan, folder: Folder, shared: dict[object, nn.Module] | None) -> RunJob:
    if is_complete(folder):
        return _run_job(plan, folder, FoldMethods(_no_method, all_in_memory=True))
    with Activity(f"loading the weights of {plan.info.name}"):
        method = build_planned(plan)
        methods = fold_methods(method, plan.sources, shared)  # loads all weights before the first episode
    folder.run = replace(
        folder.run, method=replace(folder.run.method, learnable_parameters=method.learnable_parameters)
    )
    return _run_job(plan, folder, methods)


def _run_job(plan: Plan, folder: Folder, methods: FoldMethods) -> RunJob:
    return RunJob(
        folder.run,
        plan.lists,
        methods.method_of,
        plan.protocol,
        folder,
        all_in_memory=methods.all_in_memory,
        in_shard=plan.in_shard,
    )


def _check_weights(plan: Plan, folder: RunFolder | None, before: Sequence[Plan]) -> None:
    """Load the weights of a plan once, and let go of them, so that one that does not fit is found at the beginning.

    Not those of a complete run, and none that an earlier plan of the same method has loaded.
    """
    paths = {source.paths for source in plan.sources.values()}
    known = {source.paths for one in before if _alike(one, plan) for source in one.sources.values()}
    if paths <= known or (folder is not None and is_complete(folder)):
        return
    with Activity(f"checking the weights of {plan.info.name} for {plan.dataset.name}"):
        fold_methods(build_planned(plan), plan.sources)


def _alike(one: Plan, other: Plan) -> bool:
    """Return whether two plans build the same network."""
    built = [(p.info.name, p.variant, p.pinned_backbone, p.way, p.shot, p.options) for p in (one, other)]
    return built[0] == built[1]


def _no_method(fold: int) -> Method[Any, Any]:
    raise AssertionError(f"fold {fold} has all its rows")


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
