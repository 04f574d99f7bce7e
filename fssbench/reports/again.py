"""Predictions made again for a few episodes of a run, with its settings and weights."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fssbench.comparison.pairing import method_argument, protocol_argument
from fssbench.errors import FSSBenchError, UsageError
from fssbench.planning.request import Request
from fssbench.planning.settings import Settings
from fssbench.reports.cases import matches_row
from fssbench.reports.predictions import Predicted
from fssbench.results.differences import first_difference
from fssbench.results.scoring import PredictedLabels

if TYPE_CHECKING:
    from fssbench.planning.plan import Plan
    from fssbench.reports.runs import Key, Method
    from fssbench.reports.scene import Scene
    from fssbench.results import Run
    from fssbench.results.record import FoldRecord


def request_of(run: Run, folder: Path, fold: FoldRecord, device: str = "auto") -> Request:
    """Return the options that evaluate a fold of a run again.

    Raises:
        UsageError: If they are not known: the weights were in memory, or the predictions came from files.
    """
    weights = fold.weights
    if weights.kind == "memory":
        raise UsageError("its weights were in memory", "evaluate with --save-predictions")
    if weights.kind == "predictions":
        raise UsageError("its predictions came from files", "--predictions the folder of the files")
    given = {name: run.dataset.options.get(name) for name in ("labels", "lists", "part")}
    options: dict[str, Any] = {name: None if value is None else str(value) for name, value in given.items()}
    named = weights.kind == "checkpoint" and not weights.checkpoint
    return Request(
        method=method_argument(run.method),
        dataset=run.dataset.name,
        train_dataset=run.train_dataset,
        allow_leak=bool(fold.leaking),
        fold=str(fold.fold),
        backbone=run.method.backbone,
        variant=run.method.variant,
        task=run.method.task,
        protocol=protocol_argument(run.protocol),
        checkpoint=weights.path if named else None,
        random_weights=weights.kind == "random",
        weak=bool(run.method.options.get("weak")),
        episodes=str(folder / f"episodes-fold{fold.fold}.json"),
        device=device,
        settings=Settings(precision=run.precision, plain=run.plain),
        leads=False,
        **options,
    )


def plan_again(method: Method, fold: FoldRecord, scene: Scene, device: str = "auto") -> Plan:
    """Return the plan of evaluating a fold of a run again, exactly as it was.

    Raises:
        UsageError: If it would be another evaluation now, with the first difference.
        MissingError: If weights are missing.
        BrokenFileError: If a file can't be read.
    """
    from fssbench.planning.plan import plan, planned_run

    run = method.run
    if method.folder is None:
        raise UsageError("the run has no folder")
    request = request_of(run, method.folder, fold, device)
    planned = plan(request, scene.dataset)
    if fold.weights.seed is not None:
        # As an option, it would be the seed of a draw.
        source = replace(planned.sources[fold.fold], seed=fold.weights.seed)
        planned = replace(planned, sources={fold.fold: source})
    now = replace(planned_run(planned), limit=None, shard=None)
    stored = replace(run, folds=(fold,), limit=None, shard=None)
    stored = replace(stored, folds=(replace(fold, unanswered=0),))
    if found := first_difference(stored, now):
        both = (str(found.stored), str(found.requested))
        was, now_is = (re.sub(r"\b([0-9a-f]{12})[0-9a-f]{28,}\b", r"\1", text) for text in both)
        raise UsageError(f"its {found.field} was {was}, and is {now_is} now")
    return planned


def again(
    method: Method, scene: Scene, keys: Collection[Key], device: str = "auto"
) -> tuple[dict[Key, Predicted], str]:
    """Predict episodes of a run again.

    Args:
        method: The run.
        scene: Its data, with the photos.
        keys: The episodes.
        device: Where to compute.

    Returns:
        The predictions, and why there are none for some; empty if there are all.
    """
    found: dict[Key, Predicted] = {}
    reasons: list[str] = []
    for fold in method.run.folds:
        numbers = sorted(number for of, number in keys if of == fold.fold)
        if not numbers:
            continue
        try:
            _predict(plan_again(method, fold, scene, device), method, scene, numbers, found)
        except FSSBenchError as error:
            reasons.append(error.message)
    return found, "; ".join(dict.fromkeys(reasons))


def _predict(planned: Plan, method: Method, scene: Scene, numbers: list[int], found: dict[Key, Predicted]) -> None:
    from fssbench.engine.fold_methods import fold_methods
    from fssbench.engine.folds import form_of
    from fssbench.engine.loop import rows_of
    from fssbench.engine.runner import build_planned
    from fssbench.planning.settings import choose_device

    device, settings, episodes = choose_device(planned.request.device), planned.request.settings, planned.lists[0]
    methods = fold_methods(build_planned(planned), planned.sources)
    form = form_of(methods.method_of(episodes.fold), device, settings)

    def keep(fold: int, number: int, predicted: PredictedLabels) -> None:
        found[fold, number] = Predicted(predicted.labels, predicted.base, "computed again")

    for row in rows_of(form, scene.dataset, episodes, scene.rules, numbers, device, keep, settings):
        key = (row.fold, row.episode)
        stored = method.rows[key]
        same = matches_row(stored, found[key], scene.truth(stored), scene) and row.present == stored.present
        found[key] = replace(found[key], verified=same)
