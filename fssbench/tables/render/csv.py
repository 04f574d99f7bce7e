"""Tables as CSV: a line per result (not per row of the table), with every number as printed and its source."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from fssbench.escape import harmless
from fssbench.ledger.words import CELLS, cells
from fssbench.publications.rows import NUMBERS
from fssbench.tables.entry import NO_BACKBONE, Entry
from fssbench.tables.table import Table

BEFORE = ("dataset", "task", "method", "name", "venue", "backbone", "way", "shot", "origin", "protocol")
ABOUT_THE_MEAN = ("mean_reach", "printed_mean")
BEHIND = ("source", "location", "remarks", "note")
COLUMNS = (*BEFORE, *NUMBERS, *ABOUT_THE_MEAN, *BEHIND)


def render_csv(tables: Iterable[Table]) -> str:
    """Return the results of the tables; a cell without a number is empty.

    The columns are `COLUMNS`, with numbers in percent and learnable_params in millions. If columns were chosen
    (`Table.chosen`), those numbers alone are there, in their order, with what belongs to them; the venue has to be
    chosen, too. For a measured result, mean_reach is half the width of the 95 % interval of the mean, and printed_mean
    the printed number of the same setting. If a list leaves out classes of its fold, there are further columns: the
    mIoU of each fold and their mean, where these classes count as 0, as in the releases. Further columns, if a result
    has them: NUMBER_low and NUMBER_high, the ends of the 95 % interval; NUMBER_no_interval, why it can't be given;
    NUMBER_std, the standard deviation over runs; mean_over, the folds of means that are not over all of them; own_data,
    the name of the user's own data; and those of the ledger (`fssbench.ledger.words.CELLS`), unless columns were
    chosen, with "not stated" where no source says it.
    """
    tables = list(tables)
    entries = [e for table in tables for group in table.groups for row in group.rows for e in row.entries]
    out = io.StringIO()
    columns = _columns(tables, entries)
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([harmless(text) for text in line] for line in zip(*columns.values(), strict=True))
    return out.getvalue()


def _columns(tables: Sequence[Table], entries: Sequence[Entry]) -> dict[str, list[str]]:
    """Return the columns by their heading, with a cell for each result."""
    chosen = tuple(dict.fromkeys(number for table in tables for number in table.chosen))
    others = () if chosen else _more_folds(entries)
    columns = {name: [_fact(entry, name) for entry in entries] for name in BEFORE}
    if chosen and not any(table.venue for table in tables):
        del columns["venue"]
    columns |= _of_number(entries, chosen or NUMBERS)
    if "mean" in columns:
        columns["mean_reach"] = [entry.half_width.get("mean", "") for entry in entries]
        columns["printed_mean"] = [entry.printed.get("mean", "") for entry in entries]
    columns |= {name: [_fact(entry, name) for entry in entries] for name in BEHIND}
    further = {column: values for number in chosen or NUMBERS for column, values in _further(entries, number)}
    for number in others:
        further |= _of_number(entries, [number]) | dict(_further(entries, number))
    if {"mean", "er_mean"} & {*columns}:
        further["mean_over"] = [" ".join(map(str, entry.mean_over)) for entry in entries]
    further["own_data"] = [entry.own_data for entry in entries]
    further |= {} if chosen else {name: [_of_ledger(entry, name) for entry in entries] for name in CELLS}
    return columns | {column: values for column, values in further.items() if any(values)}


def _fact(entry: Entry, name: str) -> str:
    """Return what one of the columns `BEFORE` and `BEHIND` has for a result."""
    found = {
        "name": entry.label,
        "backbone": "" if entry.backbone == NO_BACKBONE else entry.backbone,
        "way": "" if entry.way is None else str(entry.way),
        "shot": "" if entry.shot is None else str(entry.shot),
        "remarks": "; ".join(remark.text for remark in entry.remarks),
    }
    return found[name] if name in found else str(getattr(entry, name))


def _of_number(entries: Sequence[Entry], numbers: Iterable[str]) -> dict[str, list[str]]:
    return {number: [entry.numbers.get(number, "") for entry in entries] for number in numbers}


def _of_ledger(entry: Entry, name: str) -> str:
    """Return a cell of the ledger; empty if it was not looked up."""
    if entry.facts is None or entry.seen is None:
        return ""
    return cells(entry.facts, entry.seen, entry.backbone)[name]


def _more_folds(entries: Sequence[Entry]) -> list[str]:
    """Return the numbers of folds that the data sets of the papers' tables do not have, in order."""
    found = {number for entry in entries for number in entry.numbers} - {*NUMBERS}
    return sorted(found, key=lambda number: (len(number), number))


def _further(entries: Sequence[Entry], number: str) -> list[tuple[str, list[str]]]:
    """Return the columns about a number that not every table has, each with a cell for each result."""
    ends = [entry.intervals.get(number) for entry in entries]
    return [
        (f"{number}_low", ["" if end is None else f"{end[0]:.4f}" for end in ends]),
        (f"{number}_high", ["" if end is None else f"{end[1]:.4f}" for end in ends]),
        (f"{number}_no_interval", [entry.no_interval.get(number, "") for entry in entries]),
        (f"{number}_std", [entry.deviation.get(number, "") for entry in entries]),
        (f"{number}_all_classes", [entry.all_classes.get(number, "") for entry in entries]),
    ]
