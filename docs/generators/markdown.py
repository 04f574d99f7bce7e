"""Pieces of Markdown, with text from data made safe."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; None is an empty cell, and columns without any content are left out."""
    cells = [["" if cell is None else in_cell(str(cell)) for cell in row] for row in rows]
    kept = [n for n in range(len(header)) if n == 0 or any(row[n] for row in cells)]
    lines = [[header[n] for n in kept], ["---"] * len(kept), *([row[n] for n in kept] for row in cells)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def in_cell(text: str) -> str:
    """Return text for one cell of a table."""
    parts = " ".join(text.split()).split("`")  # within code a bar is no border, and a backslash is shown
    return "`".join(part if n % 2 else re.sub(r"(?<!\\)\|", r"\\|", part) for n, part in enumerate(parts))


def plain(text: str) -> str:
    """Return running text from data: its characters are not read as Markdown or HTML."""
    return re.sub(r"([\\`*_<>\[\]#|])", r"\\\1", text)


def in_text(text: str) -> str:
    """Return running text in which `this` is code, as in docstrings and help."""
    return "".join(f"`{part}`" if n % 2 else plain(part) for n, part in enumerate(text.split("`")))


def code(text: object) -> str:
    """Return text as code; nothing for an empty one."""
    return f"`{text}`" if str(text) else ""


def block(text: str, language: str = "") -> str:
    """Return a block of code."""
    return f"```{language}\n{text.rstrip()}\n```\n"


def linked(text: str) -> str:
    """Return plain text in which addresses are links."""
    parts = re.split(r"(https?://[^\s,;)]+)", text)
    return "".join(f"<{part}>" if n % 2 else plain(part) for n, part in enumerate(parts))


def page(title: str, *parts: str) -> str:
    """Return a page from its title and parts; empty parts are left out."""
    return "\n\n".join([f"# {title}", *(part.strip("\n") for part in parts if part.strip())]) + "\n"
