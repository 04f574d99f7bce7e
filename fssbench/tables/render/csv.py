"""Tables as CSV: a line per result (not per row of the table), with every number as printed and its source."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from fssbench.escape import harmless
from fssbench.publications.rows import NUMBERS
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
    where these classes count as 0, as in the releases. If the user's own data has a name, own_data is the last column.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    entries = [e for table in tables for group in table.groups for row in group.rows for e in row.entries]
    more = [number for number in NUMBERS if any(number in entry.all_classes for entry in entries)]
    named = any(entry.own_data for entry in entries)
    writer.writerow([*COLUMNS, *(f"{number}_all_classes" for number in more), *(["own_data"] if named else [])])
    for entry in entries:
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
                *(entry.all_classes.get(number, "") for number in more),
                *([entry.own_data] if named else []),
            )
        )
    return out.getvalue()
