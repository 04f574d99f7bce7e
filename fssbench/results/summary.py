"""What summary.json holds: a run's numbers, for those who read them without fssbench."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from fssbench.metrics.summary import FoldSummary, Summary
from fssbench.results.lost import NOTHING, Lost
from fssbench.results.record import Run

ALL_CLASSES = ("miou_all_classes", "base_miou_all_classes", "total_miou_all_classes")
OPTIONAL = ("base_miou", "total_miou", *ALL_CLASSES)
"""Numbers that not every run has."""


def summary_record(summary: Summary, lost: Lost = NOTHING, further: Sequence[str] = ()) -> dict[str, object]:
    """Return a summary as summary.json holds it: per cent, and pixels for the classes.

    `miou` is the mean over the classes that an episode asks, `miou_all_classes` over all of a fold, the others as 0,
    as releases count them (docs/statistics.md).

    Args:
        summary: The numbers.
        lost: What is lost by resizing; it stands there where that is anything.
        further: What else has to be said of the numbers; see `caveats_of_protocol`.
    """
    folds = [_fold(fold) for fold in summary.folds]
    more = {name: its for name in OPTIONAL if (its := getattr(summary, name)) is not None}
    runs = {"runs": [_run(asdict(run)) for run in summary.runs]} if summary.runs else {}
    notes = {"notes": said} if (said := [*caveats_without_truth(summary), *further]) else {}
    return {
        "episodes": summary.episodes,
        "miou": summary.miou,
        "fb_iou": summary.fb_iou,
        "exact_ratio": summary.exact_ratio,
        **more,
        **runs,
        **notes,
        "intervals": {name: asdict(interval) for name, interval in summary.intervals.items()},
        **({"lost": asdict(lost)} if lost else {}),
        "folds": folds,
        "per_class": summary.per_class.to_dict("records"),
    }


def caveats_without_truth(summary: Summary) -> list[str]:
    """Return what has to be said of classes that are asked, but of which no query has a pixel."""
    return [
        f"fold {fold.fold}: no query has a pixel of {format_classes(fold.without_truth)}, which counts 0 in mIoU "
        "whatever is predicted, as in the releases (in PANet's, the mean is NaN)"
        for fold in summary.folds
        if fold.without_truth
    ]


def caveats_of_protocol(run: Run) -> list[str]:
    """Return whose rules counted, where they are not fssbench's, and where the method is for another task than they."""
    rules = run.protocol
    said = []
    if rules.own is not None:
        whose = f"of the package {rules.own.package}" if rules.own.package else f"of the file {rules.own.path}"
        said.append(
            f"protocol {rules.name} is not one of fssbench's: {whose}, sha256 {rules.own.sha256[:12]}; "
            "no printed number was counted by it"
        )
    return said + caveats_of_task(run)


def caveats_of_task(run: Run) -> list[str]:
    """Return that a method is asked another task than it predicts for, if it is."""
    rules, method = run.protocol, run.method
    if method.task == rules.task:
        return []
    form = f" (form {method.variant})" if method.variant else ""
    return [
        f"the tasks differ: {method.name} predicts for {method.task}{form}, protocol "
        f"{rules.name} is of the task {rules.task}; printed numbers of either task were not made like this"
    ]


def format_classes(classes: Sequence[int]) -> str:
    """Return classes by their numbers."""
    return f"class{'es' if len(classes) > 1 else ''} {', '.join(map(str, classes))}"


def _run(scores: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in scores.items() if name not in ALL_CLASSES or value is not None}


def _fold(fold: FoldSummary) -> dict[str, object]:
    """Leave out what a fold has not: base classes, several runs, all classes, classes without truth."""
    unset = {name for name in OPTIONAL if getattr(fold, name) is None}
    unset |= {name for name in ("base_classes", "runs", "without_truth") if not getattr(fold, name)}
    runs = {"runs": [_run(asdict(run)) for run in fold.runs]} if fold.runs else {}
    return {name: value for name, value in asdict(fold).items() if name not in unset} | runs
