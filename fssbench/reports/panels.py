"""An episode as one picture: supports, query, truth, and what each method predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from fssbench.escape import printable
from fssbench.figures.palette import EXTRA, GREY, HIT, MISSED

if TYPE_CHECKING:
    from fssbench.reports.gallery import Card, Picture

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
_GAP = 12
_TEXT = 15
_INK, _SOFT, _WARN, _PAPER = (26, 29, 33), (90, 98, 108), (154, 59, 0), (255, 255, 255)
_LEGEND = (("right", HIT), ("wrongly predicted", EXTRA), ("missing", MISSED), ("not counted", GREY))


@dataclass(frozen=True, eq=False)
class Tile:
    """A picture with a line of text below it."""

    picture: PillowImage.Image
    text: str


def panel(card: Card, names: Sequence[str]) -> bytes:
    """Return an episode as a PNG.

    Args:
        card: The episode.
        names: The names of the methods.
    """
    size = (card.frame[1], card.frame[0])
    query = _opened(card.query).convert("RGBA").resize(size)
    first = [
        Tile(_over(_opened(one.photo).convert("RGBA"), one.mask), f"support, {card.classes[place]}")
        for place, supports in enumerate(card.supports)
        for one in supports
    ]
    first += [Tile(query, "query"), Tile(_over(query, card.truth), "truth")]
    rows: list[tuple[str, list[Tile]]] = [("", first)]
    for name, shown in zip(names, card.shown, strict=True):
        kinds = ", ".join(kind for kind in shown.kinds if kind)
        title = f"{name}: IoU {shown.iou:.1f} %{f', {kinds}' if kinds else ''}"
        tiles = []
        if shown.prediction is not None and shown.errors is not None:
            dim = PillowImage.blend(query.convert("L").convert("RGBA"), PillowImage.new("RGBA", size, _PAPER), 0.45)
            tiles = [
                Tile(_over(query, shown.prediction), f"prediction, {shown.origin}"),
                Tile(_over(dim, shown.errors), "errors"),
            ]
        rows.append((f"{title}. {shown.fault}" if shown.fault else title, tiles))
    title = f"{card.name}  {', '.join(card.classes)}"
    if card.share is not None:
        title += f"  {card.share:.1f} % of the query"
    return drawn(title, rows, card.notes)


def _opened(picture: Picture) -> PillowImage.Image:
    return PillowImage.open(BytesIO(picture.content))


def _over(photo: PillowImage.Image, layer: Picture) -> PillowImage.Image:
    return PillowImage.alpha_composite(photo, _opened(layer).convert("RGBA").resize(photo.size))


Rows = Sequence[tuple[str, Sequence[Tile]]]


def drawn(title: str, rows: Rows, notes: Sequence[str] = (), *, legend: bool = True) -> bytes:
    """Return rows of tiles as a PNG, each row with its title.

    Args:
        title: The first line.
        rows: The rows: a title, which may be empty, and tiles.
        notes: Lines below the title that a viewer must read.
        legend: Whether the colours of errors are explained at the end.
    """
    font = ImageFont.load_default(_TEXT)
    line = round(_TEXT * 1.5)
    heights = [
        (line if text else 0) + (max((tile.picture.height for tile in tiles), default=0) + line + _GAP if tiles else 0)
        for text, tiles in rows
    ]
    measure = ImageDraw.Draw(PillowImage.new("RGB", (1, 1)))
    texts = [title, *notes, *(text for text, _ in rows)]
    wide = max(measure.textlength(printable(text), font=font) for text in texts)
    width = max(
        2 * _GAP + round(min(wide, 1600)),
        *(_GAP + sum(tile.picture.width + _GAP for tile in tiles) for _, tiles in rows),
        _legend_width(measure, font) if legend else 0,
    )
    head = line * (1 + len(notes))
    below = line if legend else 0
    sheet = PillowImage.new("RGB", (width, 2 * _GAP + head + sum(heights) + below), _PAPER)
    draw = ImageDraw.Draw(sheet)
    y = _GAP
    for text, colour in ((title, _INK), *((note, _WARN) for note in notes)):
        draw.text((_GAP, y), printable(text), font=font, fill=colour)
        y += line
    for (text, tiles), height in zip(rows, heights, strict=True):
        x, top = _GAP, y
        if text:
            draw.text((_GAP, top), printable(text), font=font, fill=_INK)
            top += line
        for tile in tiles:
            sheet.paste(tile.picture.convert("RGB"), (x, top))
            caption = _fitting(draw, printable(tile.text), font, tile.picture.width)
            draw.text((x, top + tile.picture.height + 2), caption, font=font, fill=_SOFT)
            x += tile.picture.width + _GAP
        y += height
    if legend:
        _draw_legend(draw, font, y)
    written = BytesIO()
    sheet.save(written, "PNG", optimize=True)
    return written.getvalue()


def _fitting(draw: ImageDraw.ImageDraw, text: str, font: Font, width: int) -> str:
    """Return the beginning of a text that is not wider than its picture."""
    if draw.textlength(text, font=font) <= width:
        return text
    while text and draw.textlength(f"{text}…", font=font) > width:
        text = text[:-1]
    return f"{text}…"


def _legend_width(draw: ImageDraw.ImageDraw, font: Font) -> int:
    return 2 * _GAP + round(sum(2 * _TEXT + _GAP + draw.textlength(text, font=font) for text, _ in _LEGEND))


def _draw_legend(draw: ImageDraw.ImageDraw, font: Font, y: int) -> None:
    x = float(_GAP)
    for text, colour in _LEGEND:
        draw.rectangle((x, y + 3, x + _TEXT, y + 3 + _TEXT), fill=colour, outline=_SOFT)
        draw.text((x + 1.4 * _TEXT, y), text, font=font, fill=_SOFT)
        x += 2 * _TEXT + _GAP + draw.textlength(text, font=font)
