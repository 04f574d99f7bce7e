"""Doing what was planned: build the method, load each fold's weights, ask, store."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

import fssbench
from fssbench.engine.evaluation import Job, answer
from fssbench.engine.plan import Plan
from fssbench.engine.progress import Progress
from fssbench.engine.provenance import choose_device, planned_run, start
from fssbench.engine.weights import Source, load
from fssbench.methods.method import Method
from fssbench.predictions.saving import SavedPredictions
from fssbench.results.run import Existing, Results, RunFolder


def run_plan(
    plan: Plan, progress: Progress | None = None, command: tuple[str, ...] = (), save: Path | None = None
) -> Results:
    """Evaluate what was planned and return the results, which are in the plan's folder too.

    Args:
        plan: From `fssbench.engine.plan.plan`.
        progress: Told of each row.
        command: What was typed, for the record.
        save: Folder to which the label maps go too, as `fssbench score` reads them.

    Raises:
        UsageError: If the device is not there, or the run in the folder can't be continued.
        CheckpointError: If weights do not fit; all folds' weights are tried before the first episode.
        MissingError: If a photo or mask is not there. Rows that are stored stay.
        BrokenFileError: If a photo or mask can't be read. Rows that are stored stay.
    """
    device = choose_device(plan.request.device)
    existing = plan.request.existing or Existing.REFUSE
    saved = None if save is None else SavedPredictions(save, [one.fold for one in plan.lists], existing)
    method = _build(plan)
    weights = _Weights(method)
    # All are tried before the first episode, the first fold's last, so that it need not be read again.
    for source in reversed(plan.sources.values()):
        weights.load(source)
    run = planned_run(plan)
    run = replace(
        run,
        method=replace(run.method, learnable_parameters=method.learnable_parameters),
        starts=(start(command, device, plan.dataset.root),),
    )
    jobs = [Job(episodes, partial(weights.load, plan.sources[episodes.fold])) for episodes in plan.lists]
    lists = {episodes.fold: episodes for episodes in plan.lists}
    with RunFolder(plan.out, run, lists, existing) as folder:
        if saved is None:
            return answer(folder.run, jobs, plan.dataset, plan.protocol, device, folder, progress)
        saved.begin(folder.rows)
        results = answer(folder.run, jobs, plan.dataset, plan.protocol, device, folder, progress, saved.keep)
        saved.finish(folder.rows)
        return results


def _build(plan: Plan) -> Method[Any, Any]:
    seeds = [source.seed for source in plan.sources.values() if source.seed is not None]
    if seeds:
        torch.manual_seed(seeds[0])
    return fssbench.build(plan.info.name, plan.backbone, plan.variant, plan.way, plan.shot, **plan.options)


class _Weights:
    """The weights that a method holds; what it holds already is not read again.

    Args:
        method: Built for all that will be loaded.
    """

    def __init__(self, method: Method[Any, Any]) -> None:
        self._method = method
        self._held: tuple[Path, ...] = ()

    def load(self, source: Source) -> Method[Any, Any]:
        """Return the method with these weights.

        Raises:
            CheckpointError: If they do not fit.
        """
        if source.paths != self._held:
            load(self._method, source)
            self._held = source.paths
        return self._method
