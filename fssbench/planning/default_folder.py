"""The run folder where none was named: the same settings have the same folder, also where a default is spelled out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.escape import in_path
from fssbench.planning.request import Request
from fssbench.planning.resolve import Setting

if TYPE_CHECKING:
    from fssbench.datasets.dataset import Dataset


def default_folder(request: Request, setting: Setting, folds: Sequence[int], dataset: Dataset) -> Path:
    """Return the default run folder of an evaluation.

    A run that an earlier version began in a folder whose name spells a default out is found there, to be continued.

    Args:
        request: The request, with ways and shots.
        setting: What its names mean.
        folds: The evaluated folds.
        dataset: The opened data set, seen from the training.
    """
    from fssbench.datasets.transfer.view import default_choice
    from fssbench.results.run_reader import RUN, Existing

    inner = getattr(dataset, "inner", None)
    usual = None if inner is None else default_choice(inner, request.trained_on)
    choice = None if inner is None or request.test_classes == usual else request.test_classes
    rules = setting.rules
    runs = None if request.seed is None and request.runs == len(rules.seeds) else request.runs
    folder = _folder(request, setting, folds, dataset, choice, runs)
    if request.existing is Existing.RESUME and not (folder / RUN).exists():
        before = _folder(request, setting, folds, dataset, request.test_classes, request.runs)
        if (before / RUN).exists():
            return before
    return folder


def _folder(
    request: Request, setting: Setting, folds: Sequence[int], dataset: Dataset, choice: str | None, runs: int | None
) -> Path:
    info, protocol = setting.info, setting.rules
    # The protocol implies the task, and the task its first variant; any other variant is named.
    variant = None if request.variant == info.variant_for(protocol.task) else request.variant
    parts = [in_path(info.name), variant, in_path(setting.backbone or "").strip("-.")]
    parts += [request.trained_on, "to"] if request.trained_on != request.dataset else []
    parts += [request.dataset, *([in_path(dataset.given_name)] if dataset.given_name else [])]
    parts += [choice, in_path(protocol.name)]
    parts += [f"{request.ways}way", f"{request.shots}shot"]
    if len(folds) < dataset.fold_count:
        parts.append("fold" + "".join(map(str, folds)))
    parts += [f"{runs}runs"] if runs else []
    parts += [f"{100 * request.absent:g}absent"] if request.absent else []
    parts += [f"{request.references}references"] if request.references else []
    parts += [name for name, chosen in (("weak", request.weak), ("random", request.random_weights)) if chosen]
    return Path("runs") / "-".join(part for part in parts if part)
