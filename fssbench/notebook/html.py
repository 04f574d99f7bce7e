"""Pieces of HTML for notebooks: all text is escaped, styles stand in the elements, nothing is loaded or run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from fssbench.escape import plain

_CELL = "padding:.1rem .5rem;text-align:{};"
_LONGEST = 200
"""Characters of a text at most."""


def text(value: object) -> str:
    """Return a value as text on one line, escaped; a long one is cut."""
    line = plain(str(value))
    return escape(line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…")


def title(*parts: object) -> str:
    """Return a heading: the first part in bold, the others after it."""
    first, *rest = (text(part) for part in parts if part != "")
    return f'<div style="margin:.3rem 0"><strong>{first}</strong>{"".join(f" · {part}" for part in rest)}</div>'


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], numbers: int = 0) -> str:
    """Return a table.

    Args:
        heads: The headings.
        rows: The cells of each row.
        numbers: How many of the last columns are numbers, aligned to the right.
    """
    sides = ["left"] * (len(heads) - numbers) + ["right"] * numbers
    styles = [_CELL.format(side) for side in sides]
    lines = ['<table style="border-collapse:collapse;font-variant-numeric:tabular-nums">']
    lines.append(_row("th", heads, styles))
    lines += [_row("td", row, styles) for row in rows]
    return "\n".join([*lines, "</table>"])


def _row(tag: str, cells: Sequence[object], styles: Sequence[str]) -> str:
    inner = "".join(f'<{tag} style="{style}">{text(cell)}</{tag}>' for cell, style in zip(cells, styles, strict=True))
    return f"<tr>{inner}</tr>"


def notes(lines: Iterable[str]) -> str:
    """Return small lines; nothing if there are none."""
    found = "".join(f"<li>{text(line)}</li>" for line in lines)
    return f'<ul style="font-size:.85em;margin:.3rem 0">{found}</ul>' if found else ""


def figures(pictures: Iterable[tuple[str, str]]) -> str:
    """Return pictures side by side.

    Args:
        pictures: A data URI from `fssbench.notebook.pictures`, and the text below it, of each.
    """
    inner = "".join(
        '<figure style="display:inline-block;margin:.2rem .4rem;vertical-align:top;text-align:center">'
        f'<img src="{escape(uri)}" alt="{text(below)}">'
        f'<figcaption style="font-size:.8em">{text(below)}</figcaption></figure>'
        for uri, below in pictures
    )
    return f"<div>{inner}</div>"
