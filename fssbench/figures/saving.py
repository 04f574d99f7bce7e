"""Figures written: as PDF, SVG, EPS or PNG for a paper, and as SVG for a page that is light or dark."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.errors import UsageError
from fssbench.escape import printable
from fssbench.figures.style import INK, LINE, PAPER, styled
from fssbench.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("pdf", "svg", "eps", "png")
"""The formats of a file, by the end of its name."""

_DPI = 300
_ON_PAGE = {INK: "currentColor", LINE: "var(--line)", PAPER: "var(--paper)"}


def format_of(path: Path) -> str:
    """Return the format of a figure's file.

    Raises:
        UsageError: If the end of its name is none of `FORMATS`.
    """
    name = path.suffix.lower().lstrip(".")
    if name not in FORMATS:
        raise UsageError(
            f"a figure ends in {', '.join(f'.{known}' for known in FORMATS)}, not '{path.name}'",
            f"--out {path.with_suffix('.pdf')}",
        )
    return name


def save(figure: Figure, path: Path) -> None:
    """Write a figure. A vector format has its fonts embedded (PDF, EPS) or its text as text (SVG).

    Raises:
        UsageError: If the format is unknown, or the file can't be written.
    """
    kind = format_of(path)
    # No date: the same numbers give the same file.
    dates: dict[str, dict[str, str | None]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
    content = BytesIO()
    with styled():
        ground = "none" if kind in ("pdf", "svg") else PAPER
        figure.savefig(content, format=kind, dpi=_DPI, metadata=dates.get(kind), facecolor=ground)
    try:
        write_bytes(path, content.getvalue())
    except OSError as error:
        raise UsageError(f"can't write {path}: {error.strerror}", "give another --out") from error


def to_svg(figure: Figure, name: str) -> str:
    """Return a figure as an SVG element for a page. Its text is text, and it takes the colours of the page.

    Args:
        figure: The figure.
        name: A name that no other figure of the page has; the ids of the element begin with it.
    """
    import matplotlib

    content = BytesIO()
    with styled(), matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = content.getvalue().decode("utf-8")
    svg = svg[svg.index("<svg") :]
    # The width is that of its place on the page; the view box has the shape.
    svg = re.sub(r'(<svg\b[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg\b[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    for ours, theirs in _ON_PAGE.items():
        svg = svg.replace(ours, theirs)
    return re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)


def shown_name(name: str) -> str:
    """Return a name as a chart shows it: printable, on one line, and not too long."""
    text = printable(name)
    return text if len(text) <= 60 else f"{text[:57]}..."
