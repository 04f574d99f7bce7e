"""What stands below a measured number: how far chance moves it, and how far it is from the printed one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from fssbench.publications.names import Names
from fssbench.publications.rows import Publications
from fssbench.tables.entry import Entry, Remark, rounded
from fssbench.tables.printed import printed_entries

if TYPE_CHECKING:
    from fssbench.tables.measured import Measurement

DRAWS = 2000
"""Bootstrap draws of a table's intervals: a fifth of those of `fssbench eval`; seldom does the decimal shown differ."""

_MEASURES = {"mean": "miou", "fb_iou": "fb_iou", "er_mean": "exact_ratio"}


def half_widths(one: Measurement, columns: Iterable[str]) -> dict[str, str]:
    """Return half the width of the 95 % interval of each number, by column (`fssbench.publications.rows.NUMBERS`).

    Args:
        one: The folds of one configuration, from one run or several.
        columns: Those that are wanted; nothing is drawn for others.
    """
    from fssbench.metrics.summary import summary_of

    columns = list(columns)
    known = {*_MEASURES, *(f"{kind}{fold}" for fold in one.folds for kind in ("fold", "er_fold"))}
    if not known & set(columns):
        return {}
    summary = summary_of([one.folds[fold].counts for fold in sorted(one.folds)], draws=DRAWS)
    found = {column: (getattr(summary, name), summary.intervals[name]) for column, name in _MEASURES.items()}
    for its in summary.folds:
        found[f"fold{its.fold}"] = (its.miou, its.intervals["miou"])
        found[f"er_fold{its.fold}"] = (its.exact_ratio, its.intervals["exact_ratio"])
    # The ends are cut at 0 and 100: the longer side is the uncut one.
    return {
        c: f"{max(found[c][0] - found[c][1].low, found[c][1].high - found[c][0]):.4f}" for c in columns if c in found
    }


def with_printed_numbers(known: Publications, measured: Iterable[Entry]) -> list[Entry]:
    """Return measured results with the numbers printed of the same method, data, way, shot and backbone.

    The printed row is the one that a table shows. A form that was taken apart has none, nor has a method without one.
    """
    rows: dict[tuple[str, str], list[Entry]] = {}
    found = []
    for entry in measured:
        key = (entry.dataset, entry.task)
        if key not in rows:
            rows[key] = printed_entries(known, entry.dataset, (entry.task,), Names())
        match = next((row for row in rows[key] if not entry.variant and _same(row, entry)), None)
        if match is None or not any(number in entry.numbers for number in match.numbers):
            found.append(entry)
            continue
        where = f"{match.source}, {match.location}"
        # What several methods have in common becomes one footnote.
        said = f"printed: {where}" if match.protocol == entry.protocol else f"printed: {where}; {_other(match)}"
        found.append(replace(entry, printed=match.numbers, remarks=(*entry.remarks, Remark("printed", said))))
    return found


def _same(row: Entry, entry: Entry) -> bool:
    return not row.variant and (row.method, row.way, row.shot, row.backbone) == (
        entry.method,
        entry.way,
        entry.shot,
        entry.backbone,
    )


def _other(row: Entry) -> str:
    rule = f"by the evaluation of {row.protocol}" if row.protocol else "by an evaluation that is not known"
    return f"{rule}, not that of the measured row, so the difference is no verdict"


def difference(measured: str, printed: str) -> str:
    """Return a measured number less the printed one, with a sign, as the table's own decimals have it."""
    return f"{Decimal(rounded(measured)) - Decimal(rounded(printed)):+.1f}"


def differences(entry: Entry) -> Mapping[str, str]:
    """Return by column how far each number of a measured result is from the printed one."""
    return {
        column: difference(text, entry.printed[column])
        for column, text in entry.numbers.items()
        if column in entry.printed and column != "learnable_params"
    }
