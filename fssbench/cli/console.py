"""How commands print tables: folded to the width of a terminal, uncut and unfolded where another program reads."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import typer

from fssbench.escape import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

PIPED = 10_000
"""Columns where the reader is a program: a row stays on its line, so that grep and cut work."""


def say(*lines: str, err: bool = False) -> None:
    """Print lines on standard output, or on standard error; names in them can't drive the terminal."""
    for line in lines:
        typer.echo(printable(line), err=err)


def say_json(value: object) -> None:
    """Print a value as JSON, and nothing else; text in it can't drive the terminal."""
    from fssbench.escape import json_text

    typer.echo(json_text(value), nl=False)


def console() -> Console:
    """Return what to print on: standard output, strings as they are, but unable to drive the terminal.

    Brackets and colons in names are neither markup nor emoji; what is to be coloured is a `rich.text.Text`. Each string
    is one line.
    """
    from rich.console import Console

    class Plain(Console):
        def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 - rich's own
            return super().render_str(printable(text), **options)

    width = None if sys.stdout.isatty() else PIPED
    return Plain(highlight=False, markup=False, emoji=False, width=width)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]], whole: Sequence[str] = ()) -> None:
    """Print a table without rules, its first column and those under the headings `whole` never folded, no cell cut."""
    from rich.table import Table

    cells = [list(row) for row in rows]
    if not sys.stdout.isatty() and console().color_system is None:
        # As below, in a fraction of the time: nothing is folded or coloured.
        for line in _lined_up(headings, cells):
            typer.echo(line)
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for place, heading in enumerate(headings):
        table.add_column(heading, no_wrap=place == 0 or heading in whole, overflow="fold")
    for row in cells:
        table.add_row(*row)
    console().print(table, soft_wrap=not sys.stdout.isatty())


def _lined_up(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    from rich.cells import cell_len

    lines = [[printable(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    widths[-1] = max(widths[-1], 1)  # as rich has it
    for line in lines:
        yield "  ".join(cell + " " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True))
