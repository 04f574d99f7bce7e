"""Trackers by name."""

from __future__ import annotations

from collections.abc import Sequence

from fssbench.errors import unknown_name
from fssbench.tracking.guarded import Guarded

NAMES = ("mlflow", "wandb")


def trackers(names: Sequence[str], *, rows: bool = False) -> list[Guarded]:
    """Return the trackers of these names.

    Args:
        names: Of `NAMES`.
        rows: Whether they keep rows.jsonl, too.

    Raises:
        UsageError: If there is no tracker of a name.
        MissingError: If its package is not installed.
    """
    for name in names:
        if name not in NAMES:
            raise unknown_name("tracker", name, NAMES, "--track mlflow")
    found = []
    for name in names:
        if name == "mlflow":
            from fssbench.tracking.mlflow import MLflowTracker

            found.append(Guarded(MLflowTracker(rows=rows), name))
        else:
            from fssbench.tracking.wandb import WandbTracker

            found.append(Guarded(WandbTracker(rows=rows), name))
    return found
