"""From a report to files: one page with everything in it, or a page and a folder of pictures."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.errors import UsageError
from fssbench.escape import plain
from fssbench.extras import imported_extra
from fssbench.figures import to_svg
from fssbench.files import write_bytes, write_text
from fssbench.reports.errors import MEANING
from fssbench.version import __version__

if TYPE_CHECKING:
    from fssbench.reports.gallery import Card, Picture
    from fssbench.reports.report import Report

MOST_BYTES = 20_000_000
"""A single page is smaller; episodes that don't fit are left out, the last chosen first."""
PICTURES = "pictures"
_TYPES = {"png": "image/png", "jpg": "image/jpeg"}
_HERE = Path(__file__).resolve().parent
_OVERHEAD = 6_000
"""Bytes of the text of an episode at most, about."""


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        page: The page.
        bytes: Its size, and that of its pictures.
        episodes: Episodes in the gallery.
        left_out: Episodes that did not fit.
    """

    page: Path
    bytes: int
    episodes: int
    left_out: int


def write(report: Report, out: Path, *, split: bool = False) -> Written:
    """Write a report.

    Args:
        report: From `fssbench.reports.report.make`.
        out: The page; with `split` its folder, in which the page is index.html.
        split: Whether pictures are files next to the page, so that there is no limit.

    Raises:
        UsageError: If it can't be written.
        MissingError: If Jinja2 or matplotlib is not installed.
    """
    try:
        if split:
            return _split(report, out)
        kept = _fitting(report)
        html = render(report, kept, _inline)
        write_text(out, html)
        return Written(out, len(html.encode()), len(kept), len(report.cards) - len(kept))
    except OSError as error:
        raise UsageError(f"can't write {error.filename or out}: {error.strerror}", "give another --out") from error


def _split(report: Report, folder: Path) -> Written:
    (folder / PICTURES).mkdir(parents=True, exist_ok=True)
    total = 0

    def beside(picture: Picture, name: str) -> str:
        nonlocal total
        file = f"{name}.{picture.kind}"
        write_bytes(folder / PICTURES / file, picture.content)
        total += len(picture.content)
        return f"{PICTURES}/{file}"

    html = render(report, report.cards, beside)
    page = folder / "index.html"
    write_text(page, html)
    return Written(page, total + len(html.encode()), len(report.cards), 0)


def _fitting(report: Report) -> Sequence[Card]:
    """Return the episodes that fit on one page."""
    room = MOST_BYTES - len(render(report, (), _inline).encode())
    kept = []
    for card in report.cards:
        # Base 64 has four characters for three bytes.
        room -= card.bytes * 4 // 3 + _OVERHEAD
        if room < 0:
            break
        kept.append(card)
    return kept


def _inline(picture: Picture, name: str) -> str:  # noqa: ARG001 - a place
    return f"data:{_TYPES[picture.kind]};base64,{base64.b64encode(picture.content).decode('ascii')}"


def render(report: Report, cards: Sequence[Card], place: Callable[[Picture, str], str]) -> str:
    """Return the page.

    Everything from outside, such as names of classes, files and methods, is escaped by the template.

    Args:
        report: The report.
        cards: The episodes that are shown.
        place: Returns the address of a picture, which it is given with a name for its file.
    """
    jinja2 = imported_extra("jinja2", "the page is made by Jinja2, which can't be imported", "report")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = lambda text: plain(str(text))
    # SVG is made here, by matplotlib, which escapes the names in it.
    svgs = {chart.name: jinja2.utils.markupsafe.Markup(to_svg(chart.figure, chart.name)) for chart in report.charts}
    raw = {
        name: jinja2.utils.markupsafe.Markup((_HERE / name).read_text(encoding="utf-8"))
        for name in ("style.css", "script.js")
    }
    kinds = {str(kind): text for kind, text in MEANING.items()}
    text: str = environment.get_template("report.html.j2").render(
        report=report,
        cards=cards,
        place=place,
        svgs=svgs,
        style=raw["style.css"],
        script=raw["script.js"],
        meanings=kinds,
        shown_kinds=[kind for kind in kinds if any(kind in one.kinds for card in cards for one in card.shown)],
        classes=sorted({name for card in cards for name in card.classes}),
        folds=sorted({card.fold for card in cards}),
        sizes=[word for word in ("tiny", "small", "medium", "large") if any(word in card.sizes for card in cards)],
        names=report.runs.names,
        version=__version__,
    )
    return text
