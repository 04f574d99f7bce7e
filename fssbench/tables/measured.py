"""Measurements as results of a table: their numbers, and the footnotes of each row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from fssbench.publications.rows import Paper
from fssbench.tables.cautions import cautions, classes_and_summaries
from fssbench.tables.entry import NO_BACKBONE, Entry, Remark
from fssbench.tables.left_out import over_all_classes
from fssbench.tables.measurements import Measurement, configuration, dataset_key, fold_count
from fssbench.tables.neighbours import Neighbours
from fssbench.tables.seen import knows_test_classes, seen_remarks

if TYPE_CHECKING:
    from fssbench.results import Run


def protocol_label(run: Run) -> str:
    """Return the name of a run's protocol; for a protocol from outside with its package and hash.

    So it can't be mistaken for a protocol of this or a later version of fssbench with the same name.
    """
    own, name = run.protocol.own, run.protocol.name
    return name if own is None else f"{name} ({own.package or 'a file'}, {own.sha256[:8]})"


def measured_variant(run: Run) -> str:
    """Return the variant of a run; empty for the default variant of the method for the task.

    The default variant of a partly released method has its name: printed results are not those of this variant.
    """
    from fssbench.methods.catalogue import REGISTRY, method_info

    variant = run.method.variant
    if run.method.code is not None and variant == run.method.task:
        return ""  # the variant of an unregistered method is its task, which is shown elsewhere
    if variant is None or run.method.name not in REGISTRY.names():
        return variant or ""
    info = method_info(run.method.name)
    return "" if variant == info.variant_for(run.method.task) and not info.partial else variant


def printed_variant_name(method: str, name: str, variant: str) -> str:
    """Return the name of a variant in the paper's ablation table, or else the variant itself.

    Args:
        method: Key of the method.
        name: Printed name of the method; methods.toml may put it before the name of the row, as in "MMT:(a)".
        variant: The variant.
    """
    from fssbench.methods.catalogue import list_methods, method_info

    if method not in list_methods():
        return variant
    return method_info(method).ablation.get(variant, variant).removeprefix(f"{name}:").strip()


def measured_entries(found: Iterable[Measurement], methods: Mapping[str, Paper]) -> list[Entry]:
    """Return measurements as results. Those with other data, protocol or episodes than most others get a remark.

    Args:
        found: Measurements of one data set and one task.
        methods: Papers by key, for printed names and venues.
    """
    found = list(found)
    neighbours: dict[tuple[int, int], Neighbours] = {}
    for one in found:
        mine = neighbours.setdefault((one.run.way, one.run.shot), Neighbours())
        # A shard has other episodes by nature, so it does not count against the others.
        if not one.run.is_shard:
            mine.add(one)
    return [_entry(one, methods, neighbours[one.run.way, one.run.shot].differences(one)) for one in found]


def _entry(one: Measurement, methods: Mapping[str, Paper], differs: list[str]) -> Entry:
    run = one.run
    key = "asnet-w" if run.method.name == "asnet" and run.method.options.get("weak") else run.method.name
    paper = methods.get(key)
    name, variant = paper.name if paper else run.method.name, measured_variant(run)
    counted = sorted({fold.summary.episodes for fold in one.folds.values()})
    per_fold = f"{counted[0]}" if len(counted) == 1 else f"{counted[0]} to {counted[-1]}"
    counting = ""
    if runs := {len(fold.summary.runs) for fold in one.folds.values()} - {0}:
        counting = f" in {max(runs)} runs, whose mean is shown"
    weights = sorted({fold.record.weights.kind for fold in one.folds.values()})
    orders = sorted({fold.record.list_order for fold in one.folds.values()})
    remarks = [
        *seen_remarks(run.method.name, run.dataset.name),
        Remark(
            "measured",
            f"protocol {protocol_label(run)}, IoU at {run.protocol.score_at} size, "
            f"{per_fold} episodes per fold{counting}, list order {', '.join(orders)}",
        ),
    ]
    remarks += [Remark("caution", text) for text in cautions(one, weights)]
    if differs:
        remarks.append(Remark("differs", f"not comparable with the other measured rows: other {', '.join(differs)}"))
    return Entry(
        origin="measured",
        method=key,
        label=f"{name}: {printed_variant_name(run.method.name, name, variant)}" if variant else name,
        venue=paper.venue if paper else "",
        backbone=run.method.backbone or NO_BACKBONE,
        dataset=dataset_key(run),
        own_data=run.dataset.title or "",
        task=run.method.task,
        protocol=protocol_label(run),
        way=run.way,
        shot=run.shot,
        # The same configuration at another shot is shown in the same row.
        line=f"{configuration(replace(run, shot=0))} {one.repeat}",
        numbers=_numbers(one),
        source=one.folders,
        variant=variant,
        # Variants are not ranked, as printed ablations are not; nor are shards, and runs with leaked classes.
        competes=not variant
        and not one.run.is_shard
        and not any(fold.record.leaking for fold in one.folds.values())
        and not knows_test_classes(run.method.name, run.dataset.name),
        remarks=tuple(remarks),
        fold_count=fold_count(run),
        all_classes=over_all_classes(classes_and_summaries(one), fold_count(run)),
    )


def _numbers(one: Measurement) -> dict[str, str]:
    """Return the numbers as text; means only if all folds are measured.

    They have four decimals, so that the table does not round twice.
    """
    numbers = {}
    for fold, measured in one.folds.items():
        numbers[f"fold{fold}"] = f"{measured.summary.miou:.4f}"
        if one.run.method.task == "fscs":
            numbers[f"er_fold{fold}"] = f"{measured.summary.exact_ratio:.4f}"
    whole = fold_count(one.run)
    if len(one.folds) == whole:
        summaries = [measured.summary for measured in one.folds.values()]
        numbers["mean"] = f"{sum(summary.miou for summary in summaries) / whole:.4f}"
        numbers["fb_iou"] = f"{sum(summary.fb_iou for summary in summaries) / whole:.4f}"
        if one.run.method.task == "fscs":
            numbers["er_mean"] = f"{sum(summary.exact_ratio for summary in summaries) / whole:.4f}"
    if one.run.method.learnable_parameters is not None:
        numbers["learnable_params"] = f"{one.run.method.learnable_parameters / 1e6:.6f}"
    return numbers
