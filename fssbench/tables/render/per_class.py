"""Tables by class as CSV and JSON: a line per class and measurement."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields

from fssbench.escape import harmless, json_text
from fssbench.tables.per_class import ClassNumber, ClassTable


def render_per_class(tables: Sequence[ClassTable], form: str) -> str:
    """Return the numbers of tables by class as "csv", or else as JSON: a record per class and measurement."""
    numbers = [number for table in tables for number in table.numbers]
    if form == "csv":
        return _csv(numbers)
    records = [asdict(number) for number in numbers]
    return json_text(records)


def _csv(numbers: Iterable[ClassNumber]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([field.name for field in fields(ClassNumber)])
    for number in numbers:
        cells = {**asdict(number), "runs": ", ".join(number.runs)}
        writer.writerow(map(harmless, map(_text, cells.values())))
    return out.getvalue()


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)
