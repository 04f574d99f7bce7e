"""The lines below a measured number: its confidence interval, and its difference to the printed number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from fssbench.publications.names import Names
from fssbench.publications.rows import Publications
from fssbench.tables.entry import MEANS, Entry, Remark, rounded
from fssbench.tables.printed import FOLDS_FROM, printed_entries

if TYPE_CHECKING:
    from fssbench.metrics.fold_counts import FoldCounts
    from fssbench.metrics.intervals import Interval
    from fssbench.metrics.summary import FoldSummary, Summary
    from fssbench.tables.measurements import Measurement

DRAWS = 2000
"""Bootstrap draws for the intervals in a table: a fifth of those of `fssbench eval`; the shown digit rarely differs."""

_WEIGHTS = 1 << 26
"""Weights that are drawn for the interval of a fold. Of more than 33,000 queries fewer draws are made: with 335 draws
of 200,000 the width of their interval, which is narrow, has an error of 4 %."""
_LEAST_DRAWS = 200
_AT_ONCE = 16
"""Measurements that are drawn at once; their sums take 4 MB for each fold."""

ColumnsOf = Callable[[Entry], Sequence[str]]

_TITLES = {"mean": "the mean", "fb_iou": "FB-IoU", "er_mean": "the mean ER"}
_MEASURES = {"mean": "miou", "fb_iou": "fb_iou", "er_mean": "exact_ratio"}


def with_intervals(pairs: Sequence[tuple[Entry, Measurement]], columns_of: ColumnsOf) -> list[Entry]:
    """Return measured results with their 95 % intervals in some columns, and why there is none in others.

    A few are drawn at once: runs of one list have the same draws.

    Args:
        pairs: The results, with their measurements.
        columns_of: Returns the columns of a result.
    """
    found = []
    for first in range(0, len(pairs), _AT_ONCE):
        some = pairs[first : first + _AT_ONCE]
        drawn = _intervals([(one, columns_of(entry)) for entry, one in some])
        found += [_with(entry, intervals) for (entry, _), intervals in zip(some, drawn, strict=True)]
    return found


def _with(entry: Entry, found: Mapping[str, tuple[float, Interval]]) -> Entry:
    ends = {column: (interval.low, interval.high) for column, (_, interval) in found.items() if interval.given}
    none = {column: interval.reason for column, (_, interval) in found.items() if not interval.given}
    remarks = (*entry.remarks, *(Remark("interval", text) for text in _sentences(none)))
    return replace(entry, half_width=_half_widths(found), intervals=ends, no_interval=none, remarks=remarks)


def _sentences(none: Mapping[str, str]) -> list[str]:
    """Return a sentence for each reason why columns have no interval."""
    where: dict[str, list[str]] = {}
    for column, reason in none.items():
        where.setdefault(reason, []).append(_TITLES.get(column) or f"fold {column.removeprefix('er_')[len('fold') :]}")
    return [
        f"no 95 % interval can be given for {', '.join(dict.fromkeys(titles))}: {reason}"
        for reason, titles in where.items()
    ]


def half_widths(one: Measurement, columns: Iterable[str]) -> dict[str, str]:
    """Return half the width of the 95 % interval, by column (`fssbench.publications.rows.NUMBERS`), where there is one.

    Args:
        one: The folds of one configuration, from one run or several.
        columns: The columns to compute.
    """
    return _half_widths(_intervals([(one, tuple(columns))])[0])


def _intervals(requested: Sequence[tuple[Measurement, Sequence[str]]]) -> list[dict[str, tuple[float, Interval]]]:
    """Return numbers and their intervals, by column, for measurements and the columns of each."""
    from fssbench.metrics.summary import summary_of, totals_together

    found: list[dict[str, tuple[float, Interval]]] = [{} for _ in requested]
    counts: dict[int, list[FoldCounts]] = {}
    by_draws: dict[int, list[int]] = {}
    for number, (one, columns) in enumerate(requested):
        known = {*_MEASURES, *(f"{kind}{fold}" for fold in one.folds for kind in ("fold", "er_fold"))}
        if known & set(columns):
            counts[number] = [one.folds[fold].counts for fold in sorted(one.folds)]
            longest = max(len(fold.total.clusters) for fold in counts[number])
            by_draws.setdefault(min(DRAWS, max(_LEAST_DRAWS, _WEIGHTS // longest)), []).append(number)
    for draws, numbers in by_draws.items():
        measures = {_measure(column) for number in numbers for column in requested[number][1]}
        together = totals_together([counts[number] for number in numbers], draws, measures=measures)
        for number, totals in zip(numbers, together, strict=True):
            one, columns = requested[number]
            summary = summary_of(
                counts[number],
                draws=draws,
                level=one.run.interval_level,
                by_class=False,
                totals=totals,
                measures={_measure(column) for column in columns},
            )
            found[number] = _by_column(summary, columns)
    return found


def _by_column(summary: Summary, columns: Sequence[str]) -> dict[str, tuple[float, Interval]]:
    parts: dict[str, Summary | FoldSummary] = dict.fromkeys(_MEASURES, summary)
    parts |= {f"{kind}{fold.fold}": fold for fold in summary.folds for kind in ("fold", "er_fold")}
    return {
        column: (getattr(parts[column], _measure(column)), parts[column].intervals[_measure(column)])
        for column in columns
        if column in parts
    }


def _measure(column: str) -> str:
    return _MEASURES.get(column) or ("exact_ratio" if column.startswith("er_") else "miou")


def _half_widths(found: Mapping[str, tuple[float, Interval]]) -> dict[str, str]:
    # Intervals are clipped to 0..100, so the longer half is the one that is not clipped.
    return {
        column: f"{max(number - interval.low, interval.high - number):.4f}"
        for column, (number, interval) in found.items()
        if interval.given
    }


def with_printed_numbers(known: Publications, measured: Iterable[Entry]) -> list[Entry]:
    """Return measured results with the printed numbers of the same method, data set, way, shot and backbone.

    The printed row is the one that the table shows. Variants have no printed row, and a mean over a part of the folds
    has no printed number.
    """
    rows: dict[tuple[str, str], list[Entry]] = {}
    found = []
    for entry in measured:
        key = (entry.dataset, entry.task)
        if key not in rows:
            rows[key] = printed_entries(known, entry.dataset, (entry.task,), Names())
        match = next((row for row in rows[key] if not entry.variant and _same(row, entry)), None)
        left_out = MEANS if entry.mean_over else ()
        printed = {c: text for c, text in match.numbers.items() if c not in left_out} if match else {}
        if match is None or not any(number in entry.numbers for number in printed):
            found.append(entry)
            continue
        filled = [remark.text for remark in match.remarks if remark.text.startswith(FOLDS_FROM)]
        where = ", ".join([match.source, match.location, *filled])
        # Equal texts of several methods become one footnote.
        text = f"printed: {where}" if match.protocol == entry.protocol else f"printed: {where}; {_other(match)}"
        found.append(replace(entry, printed=printed, remarks=(*entry.remarks, Remark("printed", text))))
    return found


def _same(row: Entry, entry: Entry) -> bool:
    return not row.variant and (row.method, row.way, row.shot, row.backbone) == (
        entry.method,
        entry.way,
        entry.shot,
        entry.backbone,
    )


def _other(row: Entry) -> str:
    rule = f"by the protocol {row.protocol}" if row.protocol else "by an unknown protocol"
    return f"{rule}, not that of the measured row, so the difference is not a verdict"


def difference(measured: str, printed: str, decimals: int = 1) -> str:
    """Return measured minus printed number with its sign, computed from the rounded numbers in the table."""
    return f"{Decimal(rounded(measured, decimals)) - Decimal(rounded(printed, decimals)):+.{decimals}f}"


def differences(entry: Entry, decimals: int = 1) -> Mapping[str, str]:
    """Return measured minus printed number, by column."""
    return {
        column: difference(text, entry.printed[column], decimals)
        for column, text in entry.numbers.items()
        if column in entry.printed and column != "learnable_params"
    }
