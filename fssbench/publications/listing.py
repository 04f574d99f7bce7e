"""Printed rows as text: a line per row to find them, or everything that is known about each row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from textwrap import fill

from fssbench.datasets.catalogue import dataset_title
from fssbench.escape import harmless, json_text, markdown_escaped, printable
from fssbench.ledger.seen import seen_by_row
from fssbench.ledger.words import CELLS, cells, seen_text
from fssbench.ledger.words import lines as ledger_lines
from fssbench.publications.load import record_of
from fssbench.publications.rows import ER_FOLDS, FOLDS, FRAME_COLUMNS, PrintedRow, Publications, Source
from fssbench.publications.search import FoundRow
from fssbench.publications.status import explain_status, released_weights, status_of
from fssbench.publications.titles import BACKBONES, short_venue

WIDTH = 100
HEADS = ("id", "method", "venue", "data set", "task", "way", "shot", "backbone", "mean", "status")
COLUMNS = ("id", "status", *FRAME_COLUMNS, *CELLS)
"""The columns of CSV and JSON: numbers in percent, learnable_params in millions; empty if nothing was printed. The last
ones are of the ledger."""

_KINDS = {
    "survey": "as a survey's slides show it",
    "readme": "official repository",
    "page": "text on a public page",
    "paper": "the paper",
    "own": "added by you",
}
_FOLDERS = {"mIoU": (FOLDS, "mean"), "exact ratio": (ER_FOLDS, "er_mean")}
_OTHERS = {"fb_iou": "FB-IoU", "precision": "precision", "learnable_params": "learnable parameters (M)"}
_LEAD = 12


def lines_of(known: Publications, found: Sequence[FoundRow]) -> list[tuple[str, ...]]:
    """Return the cells of `HEADS` for each printed row; "-" if nothing was printed."""
    status = status_of({one.row.method for one in found})
    return [
        (
            one.id,
            name_of(known, one),
            short_venue(known.methods[one.row.method].venue) or "-",
            one.row.dataset,
            one.row.task.removesuffix("-domain"),
            *(str(count) if count else "-" for count in (one.row.way, one.row.shot)),
            one.row.backbone or "-",
            one.row.numbers.get("mean", "-"),
            status[one.row.method],
        )
        for one in found
    ]


def name_of(known: Publications, one: FoundRow) -> str:
    """Return the name of a row in tables, e.g. "NTRENet: +BGEM"; with its role if it is neither result nor ablation."""
    name, variant = known.methods[one.row.method].name, one.row.variant
    called = f"{name}: {variant}" if variant else name
    return called if one.row.role in ("result", "ablation") else f"{called} ({one.row.role})"


def as_json(known: Publications, found: Sequence[FoundRow]) -> str:
    """Return a list with an object per row, with the keys `COLUMNS`; null if nothing was printed."""
    return json_text(_records(known, found))


def as_csv(known: Publications, found: Sequence[FoundRow]) -> str:
    """Return a line per row, with the columns `COLUMNS`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for record in _records(known, found):
        writer.writerow(harmless("" if record[column] is None else str(record[column])) for column in COLUMNS)
    return out.getvalue()


def as_markdown(known: Publications, found: Sequence[FoundRow]) -> str:
    """Return a table with the columns `HEADS` and the source of each row."""
    lines = [(*HEADS, "source"), (":---",) * (len(HEADS) + 1)]
    body = [
        (*line, f"{known.sources[one.row.source].cite}, {one.row.location}")
        for line, one in zip(lines_of(known, found), found, strict=True)
    ]
    rows = [*lines, *(tuple(map(markdown_escaped, line)) for line in body)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def _records(known: Publications, found: Iterable[FoundRow]) -> list[dict[str, str | int | float | None]]:
    found = tuple(found)
    status = status_of({one.row.method for one in found})
    return [
        {"id": one.id, "status": status[one.row.method], **record_of(known, one.row), **_ledger_cells(one.row)}
        for one in found
    ]


def _ledger_cells(row: PrintedRow) -> dict[str, str]:
    return cells(*seen_by_row(row), row.backbone)


def described(known: Publications, found: Sequence[FoundRow], width: int = WIDTH) -> str:
    """Return everything that is known about the rows, with a heading for each method."""
    released = released_weights()
    blocks = []
    for method in dict.fromkeys(one.row.method for one in found):
        of_method = [one for one in found if one.row.method == method]
        blocks.append(_method_text(known, method, released.get(method, ()), len(of_method), width))
        blocks += [_row_text(known, one, width) for one in of_method]
    return "\n\n".join(blocks) + "\n"


def _method_text(known: Publications, method: str, released: Sequence[str], count: int, width: int) -> str:
    paper = known.methods[method]
    unread = " (not read at a source listed here)" if paper.unread else ""
    lines = [f"{paper.name} ({paper.venue})" if paper.venue else paper.name]
    lines += _field("paper", paper.title + unread, width)
    lines += _field("code", paper.code or "none known", width)
    lines += _field("status", explain_status(method, released), width)
    if paper.missing:
        lines += _field("missing", paper.missing, width)
    return "\n".join([*lines, *_field("rows", str(count), width)])


def _row_text(known: Publications, one: FoundRow, width: int) -> str:
    row, source = one.row, known.sources[one.row.source]
    setting = (
        name_of(known, one),
        dataset_title(row.dataset),
        row.task,
        " ".join(f"{count or '?'}-{what}" for count, what in ((row.way, "way"), (row.shot, "shot"))),
        BACKBONES.get(row.backbone, row.backbone),
    )
    lines = fill(f"{one.id}  {', '.join(setting)}", width, subsequent_indent="  ").split("\n")
    for title, (folds, mean) in _FOLDERS.items():
        if any(column in row.numbers for column in (*folds, mean)):
            printed = " ".join(row.numbers.get(fold, "-") for fold in folds)
            lines += _field(title, f"folds {printed}, mean {row.numbers.get(mean, '-')}", width)
    others = [f"{title} {row.numbers[column]}" for column, title in _OTHERS.items() if column in row.numbers]
    if others:
        lines += _field("besides", ", ".join(others), width)
    lines += _field("source", _source(source, row.location), width)
    rule = known.protocols.get(row.protocol)
    lines += _field("protocol", f"{row.protocol}: {rule.title}" if rule else _not_known(known, row), width)
    lines += _field("ledger", _ledger(row), width)
    lines += _field("confidence", row.confidence, width)
    if row.note:
        lines += _field("note", row.note, width)
    return "\n".join(lines)


def _ledger(row: PrintedRow) -> str:
    """Return what is stated of what a row has seen and was given."""
    facts, seen = seen_by_row(row)
    stated = [f"{head}: {text}" for head, text, _ in ledger_lines(facts, row.backbone)]
    return "; ".join([f"test classes seen: {seen_text(seen)}", *stated])


def _not_known(known: Publications, row: PrintedRow) -> str:
    """Return why the protocol of a printed number is not known."""
    cite = known.sources[row.source].cite
    if row.role == "unresolved":
        return "not known, as the method is not known"
    if row.role == "rerun":
        return f"not known: the {cite} evaluated the method again, and does not say how"
    if row.task == "cross-domain":
        return f"not known: that of the {cite}, whose code is not released"
    others = sorted({other.protocol for other in known.rows if other.method == row.method and other.protocol})
    if others:
        return f"not known for this number; other numbers of the method are by {', '.join(others)}"
    return "not known: no released code of the method was read"


def _source(source: Source, location: str) -> str:
    superseded = "; superseded by later numbers of the same authors" if source.superseded else ""
    return f"{source.cite}, {location}; {_KINDS[source.kind]}: {source.place}{superseded}"


def _field(what: str, text: str, width: int) -> list[str]:
    lead = f"  {what:<{_LEAD}}"
    return fill(lead + printable(text), width, subsequent_indent=" " * len(lead), break_on_hyphens=False).split("\n")
