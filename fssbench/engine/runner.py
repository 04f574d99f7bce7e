"""Doing what was planned: build the method, load each fold's weights, ask, store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import fssbench
from fssbench.engine.evaluation import Job, answer
from fssbench.engine.plan import Plan
from fssbench.engine.progress import Progress
from fssbench.engine.provenance import (
    choose_device,
    dataset_record,
    fold_record,
    method_record,
    protocol_record,
    start,
)
from fssbench.engine.weights import Source, load
from fssbench.methods.method import Method
from fssbench.results.record import Run
from fssbench.results.run import Existing, Results, RunFolder


def run_plan(plan: Plan, progress: Progress | None = None, command: tuple[str, ...] = ()) -> Results:
    """Evaluate what was planned and return the results, which are in the plan's folder too.

    Args:
        plan: From `fssbench.engine.plan.plan`.
        progress: Told of each row.
        command: What was typed, for the record.

    Raises:
        UsageError: If the device is not there, or the run in the folder can't be continued.
        CheckpointError: If weights do not fit; all folds' weights are tried before the first episode.
        MissingError: If a photo or mask is not there. Rows that are stored stay.
        BrokenFileError: If a photo or mask can't be read. Rows that are stored stay.
    """
    device = choose_device(plan.request.device)
    method = _build(plan)
    for source in plan.sources.values():
        load(method, source)
    options = {} if plan.request.labels is None else {"labels": plan.request.labels}
    run = Run(
        method=method_record(method),
        dataset=dataset_record(plan.dataset, options),
        protocol=protocol_record(plan.protocol),
        way=plan.way,
        shot=plan.shot,
        split=plan.lists[0].split,
        folds=tuple(fold_record(episodes, plan.dataset, plan.sources[episodes.fold].record) for episodes in plan.lists),
        limit=plan.request.limit,
        starts=(start(command, device, plan.dataset.root),),
    )
    jobs = [Job(episodes, _loaded(method, plan.sources[episodes.fold])) for episodes in plan.lists]
    lists = {episodes.fold: episodes for episodes in plan.lists}
    with RunFolder(plan.out, run, lists, plan.request.existing or Existing.REFUSE) as folder:
        return answer(folder.run, jobs, plan.dataset, plan.protocol, device, folder, progress)


def _build(plan: Plan) -> Method[Any, Any]:
    seeds = [source.seed for source in plan.sources.values() if source.seed is not None]
    if seeds:
        torch.manual_seed(seeds[0])
    return fssbench.build(plan.info.name, plan.backbone, plan.variant, plan.way, plan.shot, **plan.options)


def _loaded(method: Method[Any, Any], source: Source) -> Callable[[], Method[Any, Any]]:
    def load_now() -> Method[Any, Any]:
        load(method, source)
        return method

    return load_now
