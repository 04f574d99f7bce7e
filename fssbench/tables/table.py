"""A laid-out table: what is in which cell, without a word on how it is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from fssbench.tables.entry import Entry

Emphasis = Literal["", "best", "second"]
MISSING = "-"


@dataclass(frozen=True)
class Cell:
    """One number; `text` is "-" where there is none."""

    text: str
    emphasis: Emphasis = ""


@dataclass(frozen=True)
class Column:
    """A column of numbers.

    Attributes:
        name: Full head, e.g. "fold-0".
        short: Head where room is scarce, e.g. "f0".
    """

    name: str
    short: str


@dataclass(frozen=True)
class Block:
    """Columns under one head, e.g. "1-shot"; the head may be empty."""

    title: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Row:
    """One method.

    Attributes:
        label: Its name.
        marks: Of its footnotes, in order.
        venue: Where its paper appeared; empty if nowhere.
        cells: One for each column of all blocks, in order.
        entries: The results it shows.
        under: Lines below it that say more of its numbers, such as their intervals; they have no entries of their own.
    """

    label: str
    marks: tuple[str, ...]
    venue: str
    cells: tuple[Cell, ...]
    entries: tuple[Entry, ...]
    under: tuple[Row, ...] = ()

    def part(self, start: int, stop: int) -> Row:
        """Return the row with some of its cells only."""
        under = tuple(row.part(start, stop) for row in self.under)
        return replace(self, cells=self.cells[start:stop], under=under)


@dataclass(frozen=True)
class Group:
    """The rows of one backbone."""

    title: str
    rows: tuple[Row, ...]

    def lines(self) -> Iterator[tuple[Row, bool]]:
        """Yield each row and then those under it, and whether it is one of these."""
        for row in self.rows:
            yield row, False
            yield from ((line, True) for line in row.under)


@dataclass(frozen=True)
class Footnote:
    """`mark` is a number for a source, a letter for a remark, a dagger for measured rows, empty for the whole table."""

    mark: str
    text: str


@dataclass(frozen=True)
class Table:
    """A table as in the papers.

    Attributes:
        title: What is compared on what.
        legend: What the numbers are.
        blocks: The columns, left to right.
        groups: The rows, by backbone.
        footnotes: Below the table.
        heads: Of the two columns of text before the numbers: the rows' labels and what stands as their venue.
    """

    title: str
    legend: str
    blocks: tuple[Block, ...]
    groups: tuple[Group, ...]
    footnotes: tuple[Footnote, ...]
    heads: tuple[str, str] = ("method", "venue")

    def offsets(self) -> tuple[int, ...]:
        """Return the position of each block's first cell in a row."""
        starts = [0]
        for block in self.blocks[:-1]:
            starts.append(starts[-1] + len(block.columns))
        return tuple(starts)
