"""From a report to files: one page with everything in it, or a page and a folder of pictures."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fssbench.errors import UsageError
from fssbench.figures import to_svg
from fssbench.files import write_bytes, write_text
from fssbench.reports.errors import MEANING
from fssbench.reports.gallery import SIZES
from fssbench.reports.lists import overview
from fssbench.templates import page_templates
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


@dataclass(frozen=True, eq=False)
class _Part:
    """A list of episodes on the page.

    Attributes:
        report: What is shown of it.
        cards: Its episodes.
        pre: The beginning of its anchors; empty if it is the only one.
        svgs: Its charts, as SVG.
    """

    report: Report
    cards: Sequence[Card]
    pre: str
    svgs: Mapping[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """The methods."""
        return self.report.runs.names

    @property
    def classes(self) -> list[str]:
        """The classes of the episodes."""
        return sorted({name for card in self.cards for name in card.classes})

    @property
    def folds(self) -> list[int]:
        """The folds of the episodes."""
        return sorted({card.fold for card in self.cards})

    @property
    def sizes(self) -> list[str]:
        """The sizes of objects in the episodes, in words."""
        return [word for word, _ in SIZES if any(word in card.sizes for card in self.cards)]

    @property
    def shown_kinds(self) -> list[str]:
        """The kinds of errors in the episodes."""
        return [str(kind) for kind in MEANING if any(kind in one.kinds for card in self.cards for one in card.shown)]


def write(reports: Report | Sequence[Report], out: Path, *, split: bool = False) -> Written:
    """Write a report, or several of different episode lists as one page.

    Args:
        reports: From `fssbench.reports.report.make`.
        out: The page; with `split` its folder, in which the page is index.html.
        split: Whether pictures are files next to the page, so that there is no limit.

    Raises:
        UsageError: If it can't be written.
        MissingError: If Jinja2 or matplotlib is not installed.
    """
    each = _listed(reports)
    try:
        if split:
            return _split(each, out)
        kept = _fitting(each)
        html = render(each, kept, _inline)
        write_text(out, html)
        count = sum(map(len, kept))
        return Written(out, len(html.encode()), count, sum(len(report.cards) for report in each) - count)
    except OSError as error:
        raise UsageError(f"can't write {error.filename or out}: {error.strerror}", "give another --out") from error


def _listed(reports: Report | Sequence[Report]) -> Sequence[Report]:
    return reports if isinstance(reports, Sequence) else [reports]


def _split(reports: Sequence[Report], folder: Path) -> Written:
    (folder / PICTURES).mkdir(parents=True, exist_ok=True)
    total = 0

    def beside(picture: Picture, name: str) -> str:
        nonlocal total
        file = f"{name}.{picture.kind}"
        write_bytes(folder / PICTURES / file, picture.content)
        total += len(picture.content)
        return f"{PICTURES}/{file}"

    html = render(reports, [report.cards for report in reports], beside)
    page = folder / "index.html"
    write_text(page, html)
    return Written(page, total + len(html.encode()), sum(len(report.cards) for report in reports), 0)


def _fitting(reports: Sequence[Report]) -> list[list[Card]]:
    """Return the episodes of each report that fit on one page: of each report one in turn."""
    room = MOST_BYTES - len(render(reports, [()] * len(reports), _inline).encode())
    kept: list[list[Card]] = [[] for _ in reports]
    for cards in zip_longest(*(report.cards for report in reports)):
        for place, card in enumerate(cards):
            if card is None:
                continue
            # Base 64 has four characters for three bytes.
            room -= card.bytes * 4 // 3 + _OVERHEAD
            if room < 0:
                return kept
            kept[place].append(card)
    return kept


def _inline(picture: Picture, name: str) -> str:  # noqa: ARG001 - a place
    return f"data:{_TYPES[picture.kind]};base64,{base64.b64encode(picture.content).decode('ascii')}"


def render(
    reports: Report | Sequence[Report],
    cards: Sequence[Card] | Sequence[Sequence[Card]],
    place: Callable[[Picture, str], str],
) -> str:
    """Return the page.

    Everything from outside, such as names of classes, files and methods, is escaped by the template.

    Args:
        reports: The report, or one for each list of episodes.
        cards: The episodes that are shown, of each report.
        place: Returns the address of a picture, which it is given with a name for its file.
    """
    templates = page_templates(_HERE)
    each = _listed(reports)
    shown: Any = cards if isinstance(reports, Sequence) else [cards]
    parts = []
    for number, (report, of_report) in enumerate(zip(each, shown, strict=True), 1):
        pre = "" if len(each) == 1 else f"list{number}-"
        svgs = {chart.name: to_svg(chart.figure, pre + chart.name) for chart in report.charts}
        parts.append(_Part(report, of_report, pre, svgs))
    several = len(parts) > 1
    text: str = templates.get_template("report.html.j2").render(
        title=f"{len(parts)} lists of episodes" if several else f"{each[0].title}: {', '.join(parts[0].names)}",
        parts=parts,
        overview=overview(each) if several else None,
        place=place,
        meanings={str(kind): meaning for kind, meaning in MEANING.items()},
        version=__version__,
    )
    return text
