"""What summary.json holds: a run's numbers, for those who read them without fssbench."""

from __future__ import annotations

from dataclasses import asdict

from fssbench.metrics import Summary
from fssbench.results.lost import NOTHING, Lost


def summary_record(summary: Summary, lost: Lost = NOTHING) -> dict[str, object]:
    """Return a summary as summary.json holds it: per cent, and pixels for the classes.

    Args:
        summary: The numbers.
        lost: What is lost by resizing; it stands there where that is anything.
    """
    folds = [_without_base(asdict(fold)) for fold in summary.folds]
    base = {name: its for name in ("base_miou", "total_miou") if (its := getattr(summary, name)) is not None}
    runs = {"runs": [asdict(run) for run in summary.runs]} if summary.runs else {}
    return {
        "episodes": summary.episodes,
        "miou": summary.miou,
        "fb_iou": summary.fb_iou,
        "exact_ratio": summary.exact_ratio,
        **base,
        **runs,
        "intervals": {name: asdict(interval) for name, interval in summary.intervals.items()},
        **({"lost": asdict(lost)} if lost else {}),
        "folds": folds,
        "per_class": summary.per_class.to_dict("records"),
    }


def _without_base(fold: dict[str, object]) -> dict[str, object]:
    """Leave out what stands for base classes where none were counted, and for several runs where there is one."""
    unset = {name for name in ("base_miou", "total_miou") if fold[name] is None}
    unset |= {name for name in ("base_classes", "runs") if not fold[name]}
    return {name: value for name, value in fold.items() if name not in unset}
