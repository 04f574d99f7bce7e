"""Tables for the terminal; best and second best are bold and underlined, or have `*` and `+` after them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from textwrap import fill

from fssbench.escape import printable
from fssbench.publications.titles import short_venue
from fssbench.tables.table import Cell, Column, Footnote, Row, Table

WIDTH = 100
"""Columns where no terminal says how many it has."""

WIDEST = 140
"""Columns after which a table is not made wider, and `WIDTH` those of its text."""

_STYLES = {"": "{}", "best": "\x1b[1m{}\x1b[0m", "second": "\x1b[4m{}\x1b[0m"}
_SIGNS = {"": "", "best": "*", "second": "+"}
_GAP = 2


def render_terminal(tables: Iterable[Table], styled: bool = False, width: int = WIDTH) -> str:
    """Return tables as text, with lines of at most `width` characters unless names are too long.

    A table that is too wide is split into parts, one below the other.

    Args:
        tables: The tables.
        styled: Whether to use bold and underline (never colour); otherwise best and second best are marked by `*` and
            `+`.
        width: Columns of the terminal.
    """
    return "\n\n".join(_render(table, styled, min(width, WIDEST)) for table in tables) + "\n"


def _render(table: Table, styled: bool, width: int) -> str:
    key = "best in bold, second underlined" if styled else "* best, + second within a backbone"
    text_width = min(width, WIDTH)
    if table.caption:
        heading, legend = [], [table.caption]
    else:
        heading, legend = _wrapped(table.title, text_width), [table.legend]
    legend += [key] if table.ranked else []
    lines = [_STYLES["best" if styled else ""].format(line) for line in heading]
    lines += _wrapped("; ".join(legend), text_width)
    for part in _parts(_with_room(table, styled, width), styled, width):
        lines += ["", *_body(part, styled)]
    lines.append("")
    for note in table.footnotes:
        lines += _footnote(note, text_width)
    return "\n".join(line.rstrip() for line in lines)


def _parts(table: Table, styled: bool, width: int) -> list[Table]:
    """Return a table in parts that fit: its blocks, as many as fit next to each other, or columns of one of them."""
    if _fits(table, styled, width):
        return [table]
    parts: list[Table] = []
    start = 0
    for block, offset in zip(table.blocks, table.offsets(), strict=True):
        stop = offset + len(block.columns)
        if start < offset and not _fits(table.part(start, stop), styled, width):
            parts.append(table.part(start, offset))
            start = offset
        while start < stop and not _fits(table.part(start, stop), styled, width):
            places = range(stop - 1, start, -1)
            end = next((place for place in places if _fits(table.part(start, place), styled, width)), start + 1)
            parts.append(table.part(start, end))
            start = end
    end = table.offsets()[-1] + len(table.blocks[-1].columns)
    return [*parts, table.part(start, end)] if start < end else parts


def _with_room(table: Table, styled: bool, width: int) -> Table:
    """Return a table without its venues if one of its blocks fits only so."""
    blocks = zip(table.offsets(), table.blocks, strict=True)
    parts = [table.part(start, start + len(block.columns)) for start, block in blocks]
    if all(_fits(part, styled, width) for part in parts):
        return table
    groups = [replace(group, rows=tuple(replace(row, venue="") for row in group.rows)) for group in table.groups]
    return replace(table, groups=tuple(groups))


def _fits(table: Table, styled: bool, width: int) -> bool:
    columns = _Widths.of(table, styled)
    return columns.lead + sum(columns.cells) + _GAP * len(columns.cells) + len(table.blocks) <= width


def _name(row: Row, under: bool = False) -> str:
    if under:
        return f"  {printable(row.label)}"
    return f"{printable(row.label)} [{_joined(row.marks)}]" if row.marks else printable(row.label)


def _head(column: Column) -> str:
    return printable(f"{column.short} [{_joined(column.marks)}]" if column.marks else column.short)


def _venue(row: Row) -> str:
    return printable(short_venue(row.venue))


def _joined(marks: Sequence[str]) -> str:
    """Return marks in short form: numbers separated by commas, followed by single letters."""
    numbers = [mark for mark in marks if mark.isdigit()]
    others = [mark for mark in marks if not mark.isdigit()]
    if any(len(mark) > 1 for mark in others):
        return ",".join([*numbers, *others])
    return ",".join(numbers) + "".join(others)


def _number(cell: Cell) -> str:
    return printable(f"{cell.text} {cell.spread}" if cell.spread else cell.text)


def _after(cell: Cell, styled: bool) -> str:
    """Return what stands after a number: a space, its rank and the mark of its footnote."""
    marks = ("" if styled else _SIGNS[cell.emphasis]) + cell.mark
    return f" {marks}" if marks else ""


@dataclass(frozen=True)
class _Widths:
    """The widths of the two text columns, and in each other column of the number and of what stands after it."""

    name: int
    venue: int
    numbers: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def lead(self) -> int:
        return self.name + (1 + self.venue if self.venue else 0)

    @property
    def cells(self) -> tuple[int, ...]:
        return tuple(map(sum, zip(self.numbers, self.after, strict=True)))

    @classmethod
    def of(cls, table: Table, styled: bool) -> _Widths:
        """Return the widths that the rows of a table need."""
        rows = [line for group in table.groups for line in group.lines()]
        heads = [_head(column) for block in table.blocks for column in block.columns]
        after = [max(len(_after(row.cells[place], styled)) for row, _ in rows) for place in range(len(heads))]
        numbers = [
            max(len(head) - after[place], *(len(_number(row.cells[place])) for row, _ in rows))
            for place, head in enumerate(heads)
        ]
        for block, start in zip(table.blocks, table.offsets(), strict=True):
            stop = start + len(block.columns)
            own = sum(numbers[start:stop]) + sum(after[start:stop]) + _GAP * (stop - start - 1)
            # A title that is wider than its columns widens the first of them.
            numbers[start] += max(0, len(printable(block.title)) - own)
        name = max(len(table.heads[0]), *(len(_name(row, under)) for row, under in rows))
        venue = max(len(_venue(row)) for row, _ in rows)
        return cls(name, venue and max(venue, len(table.heads[1])), tuple(numbers), tuple(after))


def _body(table: Table, styled: bool) -> list[str]:
    widths, gap = _Widths.of(table, styled), " " * _GAP
    starts = table.offsets()
    first, second = table.heads
    heads = (f"{first.ljust(widths.name)} {second}" if widths.venue else first).ljust(widths.lead)
    titles = " " * widths.lead
    for block, start in zip(table.blocks, starts, strict=True):
        own = range(start, start + len(block.columns))
        wide = sum(widths.cells[place] for place in own) + _GAP * (len(own) - 1)
        titles += f" {gap}{printable(block.title).center(wide)}"
        # A heading ends where the numbers below it do.
        named = (
            _head(column).rjust(widths.numbers[place]).ljust(widths.cells[place])
            for column, place in zip(block.columns, own, strict=True)
        )
        heads += " " + "".join(gap + name for name in named)
    rule = "-" * len(heads)
    lines = [titles, heads] if titles.strip() else [heads]
    for group in table.groups:
        lines += [rule, printable(group.title)]
        for row, under in group.lines():
            line = _name(row, under).ljust(widths.name)
            line += f" {_venue(row).ljust(widths.venue)}" if widths.venue else ""
            for place, cell in enumerate(row.cells):
                line += " " * (place in starts) + gap + _cell(cell, styled, widths.numbers[place], widths.after[place])
            lines.append(line)
    return [*lines, rule]


def _cell(cell: Cell, styled: bool, width: int, after: int) -> str:
    number = _number(cell)
    shown = _STYLES[cell.emphasis].format(number) if styled else number
    return " " * (width - len(number)) + shown + _after(cell, styled).ljust(after)


def _wrapped(text: str, width: int) -> list[str]:
    return fill(printable(text), width).split("\n")


def _footnote(note: Footnote, width: int) -> list[str]:
    lead = f"[{note.mark}] " if note.mark else ""
    return fill(lead + printable(note.text), width, subsequent_indent=" " * len(lead)).split("\n")
