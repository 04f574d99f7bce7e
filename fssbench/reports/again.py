"""Predictions made again for a few episodes of a run, with its settings and weights."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from fssbench.errors import FSSBenchError, UsageError
from fssbench.planning.replay import request_of
from fssbench.planning.settings import Settings
from fssbench.reports.cases import matches_row
from fssbench.reports.predictions import Predicted
from fssbench.results.differences import first_difference
from fssbench.results.scoring import PredictedLabels

if TYPE_CHECKING:
    from fssbench.planning.plan import Plan
    from fssbench.reports.runs import Key, Method
    from fssbench.reports.scene import Scene
    from fssbench.results.record import FoldRecord


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
    stored = replace(replace(run, folds=(fold,)).whole, limit=None, until=None)
    request = request_of(stored, method.folder, Settings(), scene.dataset.root)
    # A seed would be that of a draw; that of random weights is set below.
    request = replace(request, device=device, seed=None, leads=False)
    planned = plan(request, scene.dataset)
    if fold.weights.seed is not None:
        source = replace(planned.sources[fold.fold], seed=fold.weights.seed)
        planned = replace(planned, sources={fold.fold: source})
    now = replace(planned_run(planned), limit=None)
    stored = replace(stored, folds=tuple(replace(one, unanswered=0) for one in stored.folds))
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
