"""Tables for the terminal, up to 100 columns wide; best and second best are bold and underlined, or get `*` and `+`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from textwrap import fill

from fssbench.escape import printable
from fssbench.publications.titles import short_venue
from fssbench.tables.table import Footnote, Row, Table

WIDTH = 100
_STYLES = {"": "{}", "best": "\x1b[1m{}\x1b[0m", "second": "\x1b[4m{}\x1b[0m"}
_SIGNS = {"": " ", "best": "*", "second": "+"}


def render_terminal(tables: Iterable[Table], styled: bool = False, width: int = WIDTH) -> str:
    """Return tables as text, with lines of at most `width` characters unless names are too long.

    A table that is too wide is split into its blocks, one below the other.

    Args:
        tables: The tables.
        styled: Whether to use bold and underline (never colour); otherwise best and second best are marked by `*` and
            `+`.
        width: Columns of the terminal.
    """
    return "\n\n".join(_render(table, styled, min(width, WIDTH)) for table in tables) + "\n"


def _render(table: Table, styled: bool, width: int) -> str:
    key = "best in bold, second underlined" if styled else "* best, + second within a backbone"
    lines = [_styled(printable(table.title), "best" if styled else ""), *_wrapped(f"{table.legend}; {key}", width)]
    gap = 1 if _body_width(table, 2) > width else 2
    whole = _body_width(table, gap) <= width
    for part in [table] if whole else _stacked(table):
        lines += ["", *_body(part, styled, gap if whole else 2)]
    lines.append("")
    for note in table.footnotes:
        lines += _footnote(note, width)
    return "\n".join(line.rstrip() for line in lines)


def _stacked(table: Table) -> list[Table]:
    """Return a table per block."""
    parts = []
    for block, start in zip(table.blocks, table.offsets(), strict=True):
        stop = start + len(block.columns)
        groups = [replace(g, rows=tuple(row.part(start, stop) for row in g.rows)) for g in table.groups]
        parts.append(replace(table, blocks=(block,), groups=tuple(groups)))
    return parts


def _name(row: Row, under: bool = False) -> str:
    if under:
        return f"  {printable(row.label)}"
    return f"{printable(row.label)} [{_joined(row.marks)}]" if row.marks else printable(row.label)


def _venue(row: Row) -> str:
    return printable(short_venue(row.venue))


def _joined(marks: Sequence[str]) -> str:
    """Return marks in short form: numbers separated by commas, follspaces by single letters."""
    numbers = [mark for mark in marks if mark.isdigit()]
    others = [mark for mark in marks if not mark.isdigit()]
    if any(len(mark) > 1 for mark in others):
        return ",".join([*numbers, *others])
    return ",".join(numbers) + "".join(others)


def _rows(table: Table) -> list[tuple[Row, bool]]:
    return [line for group in table.groups for line in group.lines()]


def _widths(table: Table, gap: int) -> tuple[int, int, list[int]]:
    rows = _rows(table)
    heads = [column.short for block in table.blocks for column in block.columns]
    cells = [max(len(head), *(len(row.cells[n].text) for row, _ in rows)) for n, head in enumerate(heads)]
    for block, start in zip(table.blocks, table.offsets(), strict=True):
        own = cells[start : start + len(block.columns)]
        # A title that is wider than its columns widens the first of them.
        cells[start] += max(0, len(printable(block.title)) - sum(own) - gap * (len(own) - 1))
    name = max(len(table.heads[0]), *(len(_name(row, under)) for row, under in rows))
    venue = max(len(_venue(row)) for row, _ in rows)
    return name, venue and max(venue, len(table.heads[1])), cells


def _body_width(table: Table, gap: int) -> int:
    name, venue, cells = _widths(table, gap)
    return name + (1 + venue if venue else 0) + sum(cells) + gap * len(cells) + len(table.blocks)


def _body(table: Table, styled: bool, gap: int) -> list[str]:
    name, venue, widths = _widths(table, gap)
    lead = name + (1 + venue if venue else 0)
    starts = table.offsets()
    first, second = table.heads
    titles, heads = " " * lead, (f"{first.ljust(name)} {second}" if venue else first).ljust(lead)
    for block, start in zip(table.blocks, starts, strict=True):
        own = widths[start : start + len(block.columns)]
        titles += " " + " " * gap + printable(block.title).center(sum(own) + gap * (len(own) - 1))
        heads += " " + "".join(" " * gap + printable(c.short).rjust(w) for c, w in zip(block.columns, own, strict=True))
    rule = "-" * len(heads)
    lines = [titles, heads] if titles.strip() else [heads]
    for group in table.groups:
        lines += [rule, printable(group.title)]
        for row, under in group.lines():
            line = _name(row, under).ljust(name) + (f" {_venue(row).ljust(venue)}" if venue else "")
            spaces = gap
            for place, (cell, width) in enumerate(zip(row.cells, widths, strict=True)):
                # The sign after a number takes the first place of the gap that follows.
                line += " " * (spaces + (place in starts)) + _cell(
                    printable(cell.text).rjust(width), cell.emphasis, styled
                )
                spaces = gap
                if not styled and cell.emphasis:
                    line += _SIGNS[cell.emphasis]
                    spaces = gap - 1
            lines.append(line)
    return [*lines, rule]


def _cell(text: str, emphasis: str, styled: bool) -> str:
    if not styled or not emphasis:
        return text
    number = text.lstrip()
    return " " * (len(text) - len(number)) + _styled(number, emphasis)


def _styled(text: str, emphasis: str) -> str:
    return _STYLES[emphasis].format(text)


def _wrapped(text: str, width: int) -> list[str]:
    return fill(printable(text), width).split("\n")


def _footnote(note: Footnote, width: int) -> list[str]:
    lead = f"[{note.mark}] " if note.mark else ""
    return fill(lead + printable(note.text), width, subsequent_indent=" " * len(lead)).split("\n")
