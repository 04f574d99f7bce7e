"""The intervals that can't be given, as sentences that stand with the numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fssbench.metrics.intervals import Interval
    from fssbench.metrics.summary import Summary

TITLES = {
    "miou": "mIoU",
    "fb_iou": "FB-IoU",
    "exact_ratio": "ER",
    "base_miou": "base mIoU",
    "total_miou": "all mIoU",
}


def without_interval(summary: Summary, measures: Iterable[str]) -> list[str]:
    """Return a sentence for each reason why numbers of a summary have no interval, with these numbers.

    Args:
        summary: The metrics.
        measures: The metrics that are shown; one that the summary does not have is left out.
    """
    parts: list[tuple[str, Mapping[str, Interval]]] = [(f"fold {one.fold}", one.intervals) for one in summary.folds]
    if len(parts) > 1:
        parts.append(("the mean", summary.intervals))
    where: dict[tuple[str, str], list[str]] = {}
    for part, intervals in parts:
        for measure in measures:
            if measure in intervals and not intervals[measure].given:
                where.setdefault((part, intervals[measure].reason), []).append(TITLES[measure])
    found: dict[tuple[str, str], list[str]] = {}
    for (part, reason), titles in where.items():
        found.setdefault((", ".join(titles), reason), []).append(part)
    return [
        f"the interval of {titles} can't be given for {', '.join(of)}: {reason}"
        for (titles, reason), of in found.items()
    ]
