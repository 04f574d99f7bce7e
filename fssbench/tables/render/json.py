"""Tables as JSON: each row with its cells and the results behind them, for other programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fssbench.escape import json_text
from fssbench.ledger.facts import Facts
from fssbench.ledger.reading import pretraining_of
from fssbench.ledger.seen import Seen
from fssbench.tables.entry import NO_BACKBONE, Entry
from fssbench.tables.row_annotations import differences
from fssbench.tables.table import MISSING, Table


def render_json(tables: Iterable[Table]) -> str:
    """Return a list of tables: title, legend, groups of rows, footnotes.

    A row has its marks, its cells as they are drawn (`cells`) and as numbers (`values`, null without a number), and its
    results. A result has its numbers in percent by column, and `learnable_params` in millions; `backbone`, `way` and
    `shot` are null if they were not printed. For a measured result, `intervals` are both ends of the 95 % interval
    (null, and the `reason`, if it can't be given), `reach` is half its width, `printed` are the printed numbers of the
    same setting, `difference` is measured minus printed number with one decimal, `deviation` the standard deviation
    over runs, and `runs` the run folders. If means are over a part of the folds, `mean_over` has these folds. If the
    lists leave out classes of a fold, `all_classes` is the mIoU where these count as 0, as in the releases. `ledger`
    are its facts, null where no source states one, with the source of each, and under `seen` the test classes that
    training has seen.
    """
    return json_text([_table(table) for table in tables])


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
                    "values": {head: _value(cell.text) for head, cell in zip(columns, row.cells, strict=True)},
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
    caption = {"caption": table.caption} if table.caption else {}
    return {"title": table.title, **caption, "legend": table.legend, "groups": groups, "footnotes": notes}


def _value(text: str) -> float | None:
    return None if text == MISSING else float(text)


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
        "intervals": {
            **{c: {"low": round(low, 4), "high": round(high, 4)} for c, (low, high) in entry.intervals.items()},
            **{c: {"low": None, "high": None, "reason": reason} for c, reason in entry.no_interval.items()},
        },
        "printed": _floats(entry.printed),
        "difference": _floats(differences(entry)),
        **({"all_classes": _floats(entry.all_classes)} if entry.all_classes else {}),
        **({"deviation": _floats(entry.deviation)} if entry.deviation else {}),
        **({"mean_over": list(entry.mean_over)} if entry.mean_over else {}),
        **({"runs": list(entry.folders)} if entry.folders else {}),
        "source": entry.source,
        "location": entry.location,
        "remarks": [remark.text for remark in entry.remarks],
        "note": entry.note,
        **({} if entry.facts is None or entry.seen is None else {"ledger": _ledger(entry.facts, entry.seen, entry)}),
    }


def _ledger(facts: Facts, seen: Seen, entry: Entry) -> dict[str, object]:
    sets = pretraining_of(facts, entry.backbone)
    return {
        **facts.as_object(),
        "pretraining": None if sets is None else list(sets),
        "seen": seen.as_object(),
    }


def _floats(numbers: Mapping[str, str]) -> dict[str, float]:
    return {column: float(text) for column, text in numbers.items()}
