"""Measurements as results of a table: their numbers, and the footnotes of each row."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from fssbench.methods.catalogue import is_floor
from fssbench.publications.bibtex import bibtex_key
from fssbench.publications.rows import Paper
from fssbench.tables.cautions import cautions, classes_and_summaries
from fssbench.tables.deviation import deviations
from fssbench.tables.entry import NO_BACKBONE, Entry, Remark
from fssbench.tables.left_out import over_all_classes
from fssbench.tables.measurements import Measurement, configuration, dataset_key, fold_count
from fssbench.tables.naming import is_own
from fssbench.tables.neighbours import Neighbours
from fssbench.tables.seen import seen_remark, seen_remarks

if TYPE_CHECKING:
    from fssbench.results import Run


REPORT = "report.html"
"""The page of a run in its folder, if one was made."""


def protocol_label(run: Run) -> str:
    """Return the name of a run's protocol; for a protocol from outside with its package and hash.

    So it can't be mistaken for a protocol of this or a later version of fssbench with the same name.
    """
    own, name = run.protocol.own, run.protocol.name
    return name if own is None else f"{name} ({own.package or 'a file'}, {own.sha256[:8]})"


def measured_variant(run: Run) -> str:
    """Return the variant of a run; empty for the one that printed results are of, nearly always the default variant.

    The default variant of a partly released method has its name: printed results are not those of this variant.
    """
    from fssbench.methods.catalogue import REGISTRY, method_info

    variant = run.method.variant
    if run.method.code is not None and variant == run.method.task:
        return ""  # the variant of an unregistered method is its task, which is shown elsewhere
    if variant is None or run.method.name not in REGISTRY.names():
        return variant or ""
    info = method_info(run.method.name)
    return "" if variant == info.printed_variant(run.method.task, run.dataset.name) and not info.partial else variant


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


def method_key(run: Run) -> str:
    """Return the key of a run's method in the printed tables."""
    weak = run.method.name == "asnet" and run.method.options.get("weak")
    return "asnet-w" if weak else run.method.name


def measured_entries(
    found: Iterable[Measurement], methods: Mapping[str, Paper], relative_to: Path | None = None
) -> list[Entry]:
    """Return measurements as results. Those with other data, protocol or episodes than most others get a remark.

    Args:
        found: Measurements of one data set and one task.
        methods: Papers by key, for printed names and venues.
        relative_to: The folder that paths of runs are relative to; default they are as they were given.
    """
    found = list(found)
    neighbours: dict[tuple[int, int], Neighbours] = {}
    alike: dict[tuple[object, ...], set[str]] = {}
    for one in found:
        mine = neighbours.setdefault((one.run.way, one.run.shot), Neighbours())
        # A shard has other episodes by nature, so it does not count against the others.
        if not one.run.is_shard:
            mine.add(one)
        alike.setdefault(_row_name(one.run, methods), set()).add(_options(one.run))
    return [
        _entry(
            one,
            methods,
            neighbours[one.run.way, one.run.shot].differences(one),
            relative_to,
            # Two rows with one name differ in their options, so these are no detail.
            named_options=len(alike[_row_name(one.run, methods)]) > 1,
        )
        for one in found
    ]


def _row_name(run: Run, methods: Mapping[str, Paper]) -> tuple[object, ...]:
    return (_label(run, methods), run.label_backbone or run.method.backbone, run.way, run.shot)


def _options(run: Run) -> str:
    return ", ".join(f"{name} = {value}" for name, value in sorted(run.method.options.items()))


def _label(run: Run, methods: Mapping[str, Paper]) -> str:
    """Return the name of a row: that of its user, or the printed name of the method with its variant."""
    if run.label is not None:
        return run.label
    key = method_key(run)
    name, variant = methods[key].name if key in methods else run.method.name, measured_variant(run)
    return f"{name}: {printed_variant_name(run.method.name, name, variant)}" if variant else name


def _entry(
    one: Measurement,
    methods: Mapping[str, Paper],
    differs: list[str],
    relative_to: Path | None,
    *,
    named_options: bool,
) -> Entry:
    from fssbench.results.ledger import ledger_of

    run, key, variant, own = one.run, method_key(one.run), measured_variant(one.run), is_own(one.run)
    paper = None if own else methods.get(key)
    folders = tuple(_relative(folder, relative_to) for folder in one.folders)
    whole = fold_count(run)
    options = _options(run)
    records = tuple(fold.record for fold in one.folds.values())
    facts, seen = ledger_of(replace(run, folds=records))
    of_method, leaks = seen_remarks(run.method.name, run.dataset.name), any(record.leaking for record in records)
    orders = sorted({fold.record.list_order for fold in one.folds.values()})
    remarks = [
        *of_method,
        *([seen_remark(seen)] if seen.masks and not of_method and not leaks else []),
        Remark("measured", _rules(one)),
        Remark("detail", f"list order {', '.join(orders)}"),
        *(Remark("caution", text) for text in cautions(one)),
        *([Remark("caution" if named_options else "detail", options)] if options else []),
    ]
    if one.repeated:
        remarks.append(Remark("repeated", f"measured more than once, here in {', '.join(folders)}"))
    if differs:
        remarks.append(Remark("differs", f"not comparable with the other measured rows: other {', '.join(differs)}"))
    return Entry(
        origin="measured",
        method=key,
        label=_label(run, methods),
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
        source=", ".join(folders),
        variant=variant,
        # Variants are not ranked, as printed ablations are not; nor are floors, shards, and runs with leaked classes.
        competes=(not variant or run.label is not None)
        and (own or not is_floor(run.method.name))
        and not run.is_shard
        and not (run.references or run.has_absent)
        and not leaks
        and not seen.masks,
        remarks=tuple(remarks),
        fold_count=whole,
        all_classes=over_all_classes(classes_and_summaries(one), whole),
        comparable=not differs and not (run.references or run.has_absent),
        mean_over=tuple(sorted(one.folds)) if len(one.folds) < whole else (),
        deviation=deviations(one),
        own=own,
        group=run.label_backbone or "",
        folders=folders,
        url=_report(one.folders[0], folders[0]),
        cite="" if own or paper is None else bibtex_key(key),
        facts=facts,
        seen=seen,
    )


def _rules(one: Measurement) -> str:
    """Return how a measurement was counted: protocol, size, episodes."""
    counted = sorted({fold.summary.episodes for fold in one.folds.values()})
    per_fold = f"{counted[0]}" if len(counted) == 1 else f"{counted[0]} to {counted[-1]}"
    runs = {len(fold.summary.runs) for fold in one.folds.values()} - {0}
    what = "references" if one.run.references else "runs"
    counting = f" in {max(runs)} {what}, whose mean is shown" if runs else ""
    rules = one.run.protocol
    return f"protocol {protocol_label(one.run)}, IoU at {rules.score_at} size, {per_fold} episodes per fold{counting}"


def _relative(folder: Path, start: Path | None) -> str:
    """Return a folder as a path from another one; as it is if there is none, or it is on another drive."""
    if start is None:
        return str(folder)
    try:
        return os.path.relpath(folder, start)
    except ValueError:
        return str(folder)


def _report(folder: Path, shown: str) -> str:
    """Return the path of the report in a run folder, or of the folder."""
    return str(PurePath(shown) / REPORT) if (folder / REPORT).is_file() else shown


def _numbers(one: Measurement) -> dict[str, str]:
    """Return the numbers as text; means are over the folds that there are.

    They have four decimals, so that the table does not round twice.
    """
    numbers = {}
    for fold, measured in sorted(one.folds.items()):
        numbers[f"fold{fold}"] = f"{measured.summary.miou:.4f}"
        if one.run.method.task == "fscs":
            numbers[f"er_fold{fold}"] = f"{measured.summary.exact_ratio:.4f}"
    summaries = [measured.summary for measured in one.folds.values()]
    numbers["mean"] = f"{sum(summary.miou for summary in summaries) / len(summaries):.4f}"
    numbers["fb_iou"] = f"{sum(summary.fb_iou for summary in summaries) / len(summaries):.4f}"
    if one.run.method.task == "fscs":
        numbers["er_mean"] = f"{sum(summary.exact_ratio for summary in summaries) / len(summaries):.4f}"
    if one.run.method.learnable_parameters is not None:
        numbers["learnable_params"] = f"{one.run.method.learnable_parameters / 1e6:.6f}"
    return numbers
