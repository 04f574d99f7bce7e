"""A table independent of the output format: the text and the emphasis of each cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from fssbench.escape import printable
from fssbench.tables.entry import Entry

Emphasis = Literal["", "best", "second"]
MISSING = "-"


@dataclass(frozen=True)
class Cell:
    """One number.

    Attributes:
        text: The number; "-" where there is none.
        emphasis: Whether it is the best or the second of its column.
        mark: The mark of the footnote about this number; empty if there is none.
        spread: The standard deviation next to the number, e.g. "±0.4"; empty if there is none.
        href: Where the number is from: an address, or a path from the file of the table.
    """

    text: str
    emphasis: Emphasis = ""
    mark: str = ""
    spread: str = ""
    href: str = ""


@dataclass(frozen=True)
class Column:
    """A column of numbers.

    Attributes:
        name: Full heading, e.g. "fold-0".
        short: Short heading for narrow output, e.g. "f0".
        marks: The marks of its footnotes, in order.
    """

    name: str
    short: str
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Block:
    """Columns under a common title, e.g. "1-shot"; the title may be empty."""

    title: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Row:
    """One row of the table, usually a method.

    Attributes:
        label: Name of the method.
        marks: The marks of its footnotes, in order.
        venue: Where its paper appeared; empty if nowhere.
        cells: One cell for each column of all blocks, in order.
        entries: The results that the row shows.
        under: Lines below the row, such as the intervals of its numbers; they have no entries of their own.
        cite: The BibTeX key of the method's paper, if names are to have it.
    """

    label: str
    marks: tuple[str, ...]
    venue: str
    cells: tuple[Cell, ...]
    entries: tuple[Entry, ...]
    under: tuple[Row, ...] = ()
    cite: str = ""

    def part(self, start: int, stop: int) -> Row:
        """Return the row with the cells from `start` to `stop` only, and without lines under it that are empty."""
        under = tuple(row.part(start, stop) for row in self.under)
        there = tuple(row for row in under if any(cell.text for cell in row.cells))
        return replace(self, cells=self.cells[start:stop], under=there)


@dataclass(frozen=True)
class Group:
    """The rows of one backbone."""

    title: str
    rows: tuple[Row, ...]

    def lines(self) -> Iterator[tuple[Row, bool]]:
        """Yield each row followed by the lines under it, each with whether it is such a line."""
        for row in self.rows:
            yield row, False
            yield from ((line, True) for line in row.under)


@dataclass(frozen=True)
class Footnote:
    """A footnote.

    Attributes:
        mark: A number for a source, a letter for a remark, a dagger for measured rows, empty for the whole table.
        text: The text.
        href: The address of a source, if it is known.
        cite: The BibTeX key of a source, if it is to be named.
    """

    mark: str
    text: str
    href: str = ""
    cite: str = ""


@dataclass(frozen=True, repr=False)
class Table:
    r"""A table as in the papers.

    Attributes:
        title: Data set and way.
        legend: The meaning of the numbers.
        blocks: The columns, left to right.
        groups: The rows, grouped by backbone.
        footnotes: The footnotes.
        heads: The headings of the two text columns: the labels and the venues of the rows.
        venue: Whether there is a column with venues.
        caption: What the user writes instead of title and legend; empty for these.
        key: The key of LaTeX's `\label`; empty for none.
        span: In LaTeX, whether the table is as wide as a column of the text or as the page.
        chosen: The names of the numbers that the user chose, in their order; empty for all.
        left_out: The sentence that names the rows which a request leaves out; empty for none. A footnote has it, too.
    """

    title: str
    legend: str
    blocks: tuple[Block, ...]
    groups: tuple[Group, ...]
    footnotes: tuple[Footnote, ...]
    heads: tuple[str, str] = ("method", "venue")
    venue: bool = True
    caption: str = ""
    key: str = ""
    span: Literal["column", "page"] = "page"
    chosen: tuple[str, ...] = ()
    left_out: str = ""

    @property
    def ranked(self) -> bool:
        """Whether some number is marked as the best or the second."""
        return any(cell.emphasis for group in self.groups for row in group.rows for cell in row.cells)

    def part(self, start: int, stop: int) -> Table:
        """Return the table with the columns from `start` to `stop` only."""
        blocks = []
        for block, offset in zip(self.blocks, self.offsets(), strict=True):
            columns = block.columns[max(0, start - offset) : max(0, stop - offset)]
            blocks += [Block(block.title, columns)] if columns else []
        groups = tuple(replace(group, rows=tuple(row.part(start, stop) for row in group.rows)) for group in self.groups)
        return replace(self, blocks=tuple(blocks), groups=groups)

    def __repr__(self) -> str:
        rows = sum(len(group.rows) for group in self.groups)
        return printable(f"<table: {self.title}; {rows} rows>")

    def _repr_html_(self) -> str:
        from fssbench.tables.render.html import table_html

        return table_html(self)

    def offsets(self) -> tuple[int, ...]:
        """Return the position of each block's first cell in a row."""
        starts = [0]
        for block in self.blocks[:-1]:
            starts.append(starts[-1] + len(block.columns))
        return tuple(starts)
