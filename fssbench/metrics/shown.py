"""Metrics as tables in a notebook: numbers in per cent with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from fssbench.notebook.html import notes, table

if TYPE_CHECKING:
    from fssbench.metrics.summary import FoldSummary, Summary

_CLASSES = 60
"""Classes that are shown at most."""

_METRICS = {
    "miou": "mIoU",
    "fb_iou": "FB-IoU",
    "exact_ratio": "exact ratio",
    "base_miou": "base mIoU",
    "total_miou": "total mIoU",
}


def metrics_html(summary: Summary, *, presence: bool = True) -> str:
    """Return a table of metrics with their intervals: a row for each fold, and their mean.

    Args:
        summary: The metrics.
        presence: Whether the presence of classes was predicted, so that the exact ratio says something.
    """
    rows: list[tuple[str, FoldSummary | Summary]] = [(f"fold {fold.fold}", fold) for fold in summary.folds]
    rows += [("mean", summary)] if len(rows) > 1 else []
    known = [metric for metric in _METRICS if getattr(summary, metric) is not None]
    known = [metric for metric in known if presence or metric != "exact_ratio"]
    cells = [(name, one.episodes, *(_number(one, metric) for metric in known)) for name, one in rows]
    return table(("", "episodes", *(f"{_METRICS[metric]}, %" for metric in known)), cells, numbers=1 + len(known))


def classes_html(summary: Summary, names: Mapping[int, Mapping[int, str]]) -> str:
    """Return a table of the IoU of each class.

    Args:
        summary: The metrics.
        names: For each fold the names of its classes; a class without one is called by its label value.
    """
    rows = [
        (
            names.get(row["fold"], {}).get(row["class_id"], str(row["class_id"])),
            row["fold"],
            row["episodes"],
            f"{row['iou']:.2f}",
            row["no_interval"] or _bounds(row["low"], row["high"]),
        )
        for row in summary.per_class.to_dict("records")
    ]
    more = len(rows) - _CLASSES
    shown = table(("class", "fold", "episodes", "IoU, %", "interval"), rows[:_CLASSES], numbers=4)
    return shown + notes([f"and {more} more classes"] if more > 0 else [])


def _number(summary: FoldSummary | Summary, metric: str) -> str:
    interval = summary.intervals.get(metric)
    value = f"{getattr(summary, metric):.2f}"
    return value if interval is None or not interval.given else f"{value} {_bounds(interval.low, interval.high)}"


def _bounds(low: float, high: float) -> str:
    return f"[{low:.1f}, {high:.1f}]"
