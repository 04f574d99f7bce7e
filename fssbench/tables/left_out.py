"""Classes of a fold without an episode or without a ground-truth pixel, and their effect on mIoU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from fssbench.tables.entry import rounded

if TYPE_CHECKING:
    from fssbench.metrics.summary import FoldSummary

    Folds = Mapping[int, tuple[tuple[int, ...], FoldSummary]]
    """For each fold, all its classes and its metrics."""


def class_cautions(folds: Folds, count: int) -> list[str]:
    """Return the footnotes about such classes.

    Args:
        folds: The folds, by number.
        count: The number of folds of the data set.
    """
    from fssbench.results.summary import format_classes

    cautions = []
    short = [
        f"fold {number}: {len(summary.asked)} of {len(classes)}"
        for number, (classes, summary) in folds.items()
        if len(summary.asked) < len(classes)
    ]
    if short:
        numbers = ", ".join(f"{column} {rounded(text)}" for column, text in over_all_classes(folds, count).items())
        with_all = f"; with the others as 0, as releases count them: {numbers}" if numbers else ""
        cautions.append(f"mIoU is the mean over the classes that have episodes ({', '.join(short)}){with_all}")
    cautions += [
        f"no query of fold {number} has a pixel of {format_classes(summary.without_truth)}, which counts 0 in mIoU"
        for number, (_, summary) in folds.items()
        if summary.without_truth
    ]
    return cautions


def over_all_classes(folds: Folds, count: int) -> dict[str, str]:
    """Return the mIoU over all classes of the folds, by column, with four decimals; empty if all have episodes."""
    known = {
        number: summary.miou_all_classes
        for number, (_, summary) in folds.items()
        if summary.miou_all_classes is not None
    }
    if all(known.get(number) == summary.miou for number, (_, summary) in folds.items()):
        return {}
    found = {f"fold{number}": f"{miou:.4f}" for number, miou in known.items()}
    if len(known) == count:
        found["mean"] = f"{sum(known.values()) / count:.4f}"
    return found
