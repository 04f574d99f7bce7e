"""Tables as CSV: a line per result (not per row of the table), with every number as printed and its source."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from fssbench.escape import harmless
from fssbench.publications.rows import NUMBERS
from fssbench.tables.entry import Entry
from fssbench.tables.table import Table

COLUMNS = (
    *("dataset", "task", "method", "name", "venue", "backbone", "way", "shot", "origin", "protocol"),
    *(*NUMBERS, "mean_reach", "printed_mean", "source", "location", "remarks", "note"),
)


def render_csv(tables: Iterable[Table]) -> str:
    """Return the results of the tables; a cell without a number is empty.

    The columns are `COLUMNS`, with numbers in percent and learnable_params in millions. For a measured result,
    mean_reach is half the width of the 95 % interval of the mean, and printed_mean the printed number of the same
    setting. If a list leaves out classes of its fold, there are further columns: the mIoU of each fold and their mean,
    where these classes count as 0, as in the releases. Further columns, if a result has them: NUMBER_low and
    NUMBER_high, the ends of the 95 % interval; NUMBER_std, the standard deviation over runs; mean_over, the folds of
    means that are not over all of them; own_data, the name of the user's own data.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    entries = [e for table in tables for group in table.groups for row in group.rows for e in row.entries]
    more = {
        column: values
        for column, values in (
            found for number in (*NUMBERS, *_more_folds(entries)) for found in _further(entries, number)
        )
        if any(values)
    }
    more |= {
        column: values
        for column, values in (
            ("mean_over", [" ".join(map(str, entry.mean_over)) for entry in entries]),
            ("own_data", [entry.own_data for entry in entries]),
        )
        if any(values)
    }
    writer.writerow([*COLUMNS, *more])
    for place, entry in enumerate(entries):
        backbone = "" if entry.backbone == "-" else entry.backbone
        writer.writerow(
            harmless(text)
            for text in (
                *(entry.dataset, entry.task, entry.method, entry.label, entry.venue, backbone),
                *("" if entry.way is None else str(entry.way), "" if entry.shot is None else str(entry.shot)),
                *(entry.origin, entry.protocol),
                *(entry.numbers.get(number, "") for number in NUMBERS),
                *(entry.half_width.get("mean", ""), entry.printed.get("mean", "")),
                *(entry.source, entry.location, "; ".join(r.text for r in entry.remarks), entry.note),
                *(values[place] for values in more.values()),
            )
        )
    return out.getvalue()


def _more_folds(entries: Sequence[Entry]) -> list[str]:
    """Return the numbers of folds that the data sets of the papers' tables do not have, in order."""
    found = {number for entry in entries for number in entry.numbers} - {*NUMBERS}
    return sorted(found, key=lambda number: (len(number), number))


def _further(entries: Sequence[Entry], number: str) -> list[tuple[str, list[str]]]:
    """Return the columns about a number that not every table has, each with a cell for each result."""
    ends = [entry.intervals.get(number) for entry in entries]
    own = [] if number in NUMBERS else [(number, [entry.numbers.get(number, "") for entry in entries])]
    return [
        *own,
        (f"{number}_low", ["" if end is None else f"{end[0]:.4f}" for end in ends]),
        (f"{number}_high", ["" if end is None else f"{end[1]:.4f}" for end in ends]),
        (f"{number}_std", [entry.deviation.get(number, "") for entry in entries]),
        (f"{number}_all_classes", [entry.all_classes.get(number, "") for entry in entries]),
    ]
