"""What a reader must know about a measured row: the footnotes that say in what it is less than it looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fssbench.tables.left_out import class_cautions
from fssbench.tables.measurements import Measurement, fold_count
from fssbench.tables.precision import describe_precision

if TYPE_CHECKING:
    from fssbench.metrics.summary import FoldSummary


def classes_and_summaries(one: Measurement) -> dict[int, tuple[tuple[int, ...], FoldSummary]]:
    """Return for each fold all its classes and its metrics."""
    return {number: (fold.record.classes, fold.summary) for number, fold in sorted(one.folds.items())}


def _lists(one: Measurement) -> list[str]:
    """Return in what the episodes are not those of the protocol: references, absent queries."""
    records = [fold.record for _, fold in sorted(one.folds.items())]
    found = []
    if references := one.run.references:
        found.append(f"each query with {references} different supports, not the protocol's episodes")
    if one.run.has_absent:
        count, episodes = sum(record.absent or 0 for record in records), sum(record.episodes for record in records)
        found.append(f"{count} of {episodes} queries hold no class of their episode, not the protocol's episodes")
    return found


def cautions(one: Measurement) -> list[str]:
    """Return the footnotes of a measurement that say in what it is less than it looks."""
    from fssbench.results.summary import caveats_of_task

    weights = {fold.record.weights.kind for fold in one.folds.values()}
    found = [*caveats_of_task(one.run), *(f"{text}, so it is not ranked" for text in _lists(one))]
    leaks = {number: fold.record.leaking for number, fold in sorted(one.folds.items()) if fold.record.leaking}
    if leaks:
        folds = "; ".join(f"fold {number}: {', '.join(names)}" for number, names in leaks.items())
        found.append(f"tests classes that training on {one.run.train_dataset} has seen, so it is not ranked ({folds})")
    if any(fold.record.leaking is None for fold in one.folds.values()):
        found.append(f"which of the classes training on {one.run.train_dataset} has seen is not known")
    choice = one.run.dataset.options.get("test_classes")
    if choice not in (None, "unseen", "all"):
        found.append(f"test classes: {choice}")
    if "random" in weights:
        found.append("random weights")
    if "predictions" in weights:
        found.append("predictions computed elsewhere and read from files")
    if unanswered := sum(fold.record.unanswered for fold in one.folds.values()):
        found.append(f"incomplete: {unanswered} episodes without a prediction are left out")
    if lost := "; ".join(
        f"fold {number}: {lost_text}"
        for number, fold in sorted(one.folds.items())
        if (lost_text := fold.lost.describe())
    ):
        found.append(f"objects that are absent or lost at the network's size, {lost}")
    if one.run.is_shard:
        found.append(f"shard {one.run.as_shard}, only a part of each list, so it is not ranked (fssbench merge)")
    if missing := sum(fold.missing for fold in one.folds.values()):
        found.append(f"unfinished: {missing} episodes are missing")
    if one.run.until is not None:
        found.append(one.run.until.describe())
    elif one.run.limit is not None:
        found.append(f"only the first {one.run.limit} episodes of each list")
    if one.run.precision != "float32":
        found.append(describe_precision(one.run))
    found += class_cautions(classes_and_summaries(one), fold_count(one.run))
    return found
