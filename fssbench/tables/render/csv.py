"""Tables as CSV: not the grid but its results, one line each, with every number as printed and its source."""

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
    """Return the results that the tables show; nothing where there is no number.

    Columns are `COLUMNS`, numbers in percent, learnable_params in millions. Of a measured result mean_reach is half the
    95 % interval of the mean, printed_mean what was printed of the same question. Where a list leaves out
    classes of its fold there are columns more: mIoU of each fold and their mean with these as 0, as releases count
    them.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    entries = [e for table in tables for group in table.groups for row in group.rows for e in row.entries]
    more = [number for number in NUMBERS if any(number in entry.all_classes for entry in entries)]
    writer.writerow([*COLUMNS, *(f"{number}_all_classes" for number in more)])
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
            )
        )
    return out.getvalue()
