"""The content of summary.json: the metrics of a run, for reading them without fssbench."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType

from fssbench.datasets.catalogue import REGISTRY as DATASETS
from fssbench.metrics.summary import FoldSummary, Interval, Summary
from fssbench.protocols.rules import protocol, shipped_protocols
from fssbench.results.lost import NOTHING, Lost
from fssbench.results.record import Run

ALL_CLASSES = ("miou_all_classes", "base_miou_all_classes", "total_miou_all_classes")
OPTIONAL = ("base_miou", "total_miou", *ALL_CLASSES)
"""Metrics that not every run has."""


def summary_record(
    summary: Summary,
    lost: Lost = NOTHING,
    further: Sequence[str] = (),
    studies: Mapping[str, object] = MappingProxyType({}),
) -> dict[str, object]:
    """Return the content of summary.json: metrics in per cent, and pixel counts for each class.

    `miou` is the mean over the classes that have episodes. `miou_all_classes` is the mean over all classes of a fold,
    where a class without an episode counts as 0, as in the releases (docs/statistics.md).

    Args:
        summary: The metrics.
        lost: The objects that are lost by resizing; left out if there are none.
        further: Further caveats; see `caveats_of_protocol`.
        studies: What the list shows besides; see `fssbench.results.studies`.
    """
    folds = [_fold(fold) for fold in summary.folds]
    more = {name: value for name in OPTIONAL if (value := getattr(summary, name)) is not None}
    runs = {"runs": [_run(asdict(run)) for run in summary.runs]} if summary.runs else {}
    notes = {"notes": caveats} if (caveats := [*caveats_without_truth(summary), *further]) else {}
    return {
        "episodes": summary.episodes,
        "miou": summary.miou,
        "fb_iou": summary.fb_iou,
        "exact_ratio": summary.exact_ratio,
        **more,
        **runs,
        **notes,
        "intervals": _intervals(summary.intervals),
        **({"lost": asdict(lost)} if lost else {}),
        **studies,
        "folds": folds,
        "per_class": [_class(row) for row in summary.per_class.to_dict("records")],
    }


def _intervals(intervals: Mapping[str, Interval]) -> dict[str, dict[str, float | str | None]]:
    """Return the ends of intervals by metric; null, and the reason, for one that can't be given."""
    return {
        name: {"low": one.low, "high": one.high} if one.given else {"low": None, "high": None, "reason": one.reason}
        for name, one in intervals.items()
    }


def _class(row: Mapping[Hashable, object]) -> dict[str, object]:
    """Return the record of a class; without the reason for the lack of an interval, where there is one."""
    if row["no_interval"]:
        return {**{str(name): value for name, value in row.items()}, "low": None, "high": None}
    return {str(name): value for name, value in row.items() if name != "no_interval"}


def caveats_without_truth(summary: Summary) -> list[str]:
    """Return a sentence about the classes of each fold that have episodes, but no ground-truth pixel in any query."""
    return [
        f"fold {fold.fold}: no query has a pixel of {format_classes(fold.without_truth)}, which counts 0 in mIoU "
        "whatever is predicted, as in the releases (in PANet's, the mean is NaN)"
        for fold in summary.folds
        if fold.without_truth
    ]


def caveats_of_protocol(run: Run) -> list[str]:
    """Return the caveats of a protocol: its own, those of one that is not fssbench's or of another task."""
    rules = run.protocol
    name = rules.name.partition("@")[0]
    found = []
    if rules.own is None and name in shipped_protocols() and (caveat := protocol(name).caveat):
        found.append(caveat)
    if rules.own is not None:
        whose = f"of the package {rules.own.package}" if rules.own.package else f"of the file {rules.own.path}"
        found.append(
            f"protocol {rules.name} is not one of fssbench's: {whose}, sha256 {rules.own.sha256[:12]}; "
            "no printed number was counted by it"
        )
    return found + caveats_of_task(run)


def caveats_of_list(run: Run) -> list[str]:
    """Return in what the episodes of a run are not those of its protocol: references, absent queries."""
    found = []
    protocol = run.folds[0].drawn_by.partition(",")[0]
    queries = sum(fold.run_length or 0 for fold in run.folds)
    if references := run.references:
        found.append(
            f"references: {queries} queries with {references} different supports each, drawn anew; these are not the "
            f"episodes of {protocol}, and not to be compared with its numbers"
        )
    if run.has_absent:
        count, episodes = sum(fold.absent or 0 for fold in run.folds), sum(fold.episodes for fold in run.folds)
        left_out = run.protocol.absent == "leave-out"
        effect = "the protocol leaves them out of" if left_out else "false positives there lower"
        found.append(
            f"absent queries: {count} of {episodes} hold no class of their episode, and {effect} mIoU; these are not "
            f"the episodes of {protocol}, and not to be compared with its numbers"
        )
        if run.dataset.name in DATASETS.names() and DATASETS.get(run.dataset.name).one_class_each:
            found.append(
                f"each image of {run.dataset.name} is annotated for one class: others may be in it, also in absent "
                "queries"
            )
    return found


def caveats_of_task(run: Run) -> list[str]:
    """Return the caveat of a method that is evaluated on another task than its own, if it is."""
    rules, method = run.protocol, run.method
    if method.task == rules.task:
        return []
    variant = f" (variant {method.variant})" if method.variant else ""
    return [
        f"the tasks differ: {method.name} predicts for {method.task}{variant}, protocol "
        f"{rules.name} is of the task {rules.task}; printed numbers of either task were not made like this"
    ]


def format_classes(classes: Sequence[int]) -> str:
    """Return the label values of classes as text, e.g. "classes 2, 4"."""
    return f"class{'es' if len(classes) > 1 else ''} {', '.join(map(str, classes))}"


def _run(scores: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in scores.items() if name not in ALL_CLASSES or value is not None}


def _fold(fold: FoldSummary) -> dict[str, object]:
    """Return the metrics of a fold without the fields that do not apply to it."""
    unset = {name for name in OPTIONAL if getattr(fold, name) is None}
    unset |= {name for name in ("base_classes", "runs", "without_truth") if not getattr(fold, name)}
    runs = {"runs": [_run(asdict(run)) for run in fold.runs]} if fold.runs else {}
    more = runs | {"intervals": _intervals(fold.intervals)}
    return {name: value for name, value in asdict(fold).items() if name not in unset} | more
