"""Tables as JSON: each row with its cells and the results behind them, for other programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from fssbench.escape import escaped
from fssbench.tables.entry import NO_BACKBONE, Entry
from fssbench.tables.row_annotations import differences
from fssbench.tables.table import Table


def render_json(tables: Iterable[Table]) -> str:
    """Return a list of tables: title, legend, groups of rows, footnotes.

    A row has its marks and results. A result has its numbers in percent by column; `backbone`, `way` and `shot` are
    null if they were not printed. For a measured result, `reach` is half the width of the 95 % interval, `printed` are
    the printed numbers of the same setting, and `difference` is measured minus printed number with one decimal. If the
    lists leave out classes of a fold, `all_classes` is the mIoU where these count as 0, as in the releases.
    """
    return (
        escaped(
            json.dumps([_table(table) for table in tables], indent=1, ensure_ascii=False, allow_nan=False), keep="\n"
        )
        + "\n"
    )


def _table(table: Table) -> dict[str, object]:
    columns = [f"{block.title} {column.name}".strip() for block in table.blocks for column in block.columns]
    groups = [
        {
            "title": group.title,
            "rows": [
                {
                    "name": row.label,
                    table.heads[1]: row.venue,
                    "marks": row.marks,
                    "cells": {head: cell.text for head, cell in zip(columns, row.cells, strict=True)},
                    "best": [h for h, cell in zip(columns, row.cells, strict=True) if cell.emphasis == "best"],
                    "second": [h for h, cell in zip(columns, row.cells, strict=True) if cell.emphasis == "second"],
                    "results": [_result(entry) for entry in row.entries],
                }
                for row in group.rows
            ],
        }
        for group in table.groups
    ]
    notes = [{"mark": note.mark, "text": note.text} for note in table.footnotes]
    return {"title": table.title, "legend": table.legend, "groups": groups, "footnotes": notes}


def _result(entry: Entry) -> dict[str, object]:
    return {
        "origin": entry.origin,
        "method": entry.method,
        "variant": entry.variant,
        "dataset": entry.dataset,
        **({"own_data": entry.own_data} if entry.own_data else {}),
        "task": entry.task,
        "protocol": entry.protocol,
        "way": entry.way,
        "shot": entry.shot,
        "backbone": None if entry.backbone in ("", NO_BACKBONE) else entry.backbone,
        "numbers": _floats(entry.numbers),
        "reach": _floats(entry.half_width),
        "printed": _floats(entry.printed),
        "difference": _floats(differences(entry)),
        **({"all_classes": _floats(entry.all_classes)} if entry.all_classes else {}),
        "source": entry.source,
        "location": entry.location,
        "remarks": [remark.text for remark in entry.remarks],
        "note": entry.note,
    }


def _floats(numbers: Mapping[str, str]) -> dict[str, float]:
    return {column: float(text) for column, text in numbers.items()}
