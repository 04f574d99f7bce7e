"""Whether two runs are the same run, so that their rows may be mixed."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from itertools import zip_longest

from fssbench.hub.names import without_revision
from fssbench.results.record import FoldRecord, Run

_IGNORED = {
    *("limit", "starts", "method.learnable_parameters", "path", "checkpoint", "licence"),
    *("dataset.title", "dataset.fold_count", "class_names", "label", "label_backbone", "predictions"),
    # Intervals of all looks hold together, whatever the reason to stop.
    *("until.half_width", "until.together", "until.looks", "until.stopped"),
    *("method.ledger", "trained"),
}
"""Fields that may differ between two starts of a run, because they do not change any number."""


@dataclass(frozen=True)
class Difference:
    """A field in which two runs differ, with its dotted name."""

    field: str
    stored: object
    requested: object


def first_difference(stored: Run, requested: Run) -> Difference | None:
    """Return the first difference that forbids to mix the rows of two runs; None if there is none."""
    return _difference(stored, requested, "") or _heads_difference(stored, requested)


def _heads_difference(stored: Run, requested: Run) -> Difference | None:
    """Return whether heads were compiled in one of two runs alone; None if it is not known of both."""
    if not stored.starts or not requested.starts:
        return None
    before, now = (any("compiled_heads" in start.computed for start in run.starts) for run in (stored, requested))
    return None if before == now else Difference("--compile-heads", before, now)


def _difference(stored: object, requested: object, name: str) -> Difference | None:
    if is_dataclass(stored) and type(stored) is type(requested):
        for entry in fields(stored):
            inner = f"{name}.{entry.name}" if name else entry.name
            if inner in _IGNORED or entry.name in _IGNORED:
                continue
            if found := _difference(getattr(stored, entry.name), getattr(requested, entry.name), inner):
                return found
        return None
    if name in ("method.package", "dataset.package") and stored is None:
        return None  # an earlier version did not record it
    if name == "method.backbone" and isinstance(stored, str) and isinstance(requested, str):
        # The commit is compared, not how it was named.
        same = without_revision(stored) == without_revision(requested)
        return None if same else Difference(name, stored, requested)
    if name == "folds" and isinstance(stored, tuple) and isinstance(requested, tuple):
        return _fold_difference(stored, requested)
    if isinstance(stored, tuple) and isinstance(requested, tuple) and any(map(is_dataclass, (*stored, *requested))):
        pairs = zip_longest(stored, requested)
        return next((found for one, other in pairs if (found := _difference(one, other, name))), None)
    return None if stored == requested else Difference(name, stored, requested)


def _fold_difference(stored: tuple[FoldRecord, ...], requested: tuple[FoldRecord, ...]) -> Difference | None:
    theirs, ours = [fold.fold for fold in stored], [fold.fold for fold in requested]
    if theirs != ours:
        return Difference("folds", theirs, ours)
    for before, now in zip(stored, requested, strict=True):
        if found := _difference(before, now, f"folds[{now.fold}]"):
            return found
    return None
