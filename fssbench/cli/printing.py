"""How commands print tables: folded to the width of a terminal, uncut and unfolded where another program reads."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PIPED = 10_000
"""Columns where the reader is a program: a row stays on its line, so that grep and cut work."""


def console() -> Console:
    """Return what to print on: standard output, without highlighting."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPED)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]], whole: Sequence[str] = ()) -> None:
    """Print a table without rules, its first column and those under the headings `whole` never folded, no cell cut."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for place, heading in enumerate(headings):
        table.add_column(heading, no_wrap=place == 0 or heading in whole, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console().print(table, soft_wrap=not sys.stdout.isatty())
