"""A segmented photo drawn: classes in colours with an outline, and a legend."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from fssbench.datasets.dataset import Image
from fssbench.escape import printable
from fssbench.notebook.pictures import COLOURS as COLOURS
from fssbench.notebook.pictures import colour_of, drawn

LONGEST = 2048
"""Longer side of an overlay at most, in pixels."""


def label_png(labels: npt.NDArray[np.uint8], class_count: int) -> bytes:
    """Return a label map as a palette PNG, whose values are the labels and whose colours are those of the overlay."""
    palette = [0, 0, 0, *(part for label in range(1, class_count + 1) for part in colour_of(label))]
    image = PillowImage.frombytes("P", (labels.shape[1], labels.shape[0]), np.ascontiguousarray(labels).tobytes())
    image.putpalette(palette)
    return _png(image)


def overlay(photo: Image, labels: npt.NDArray[np.uint8], legend: dict[int, str]) -> bytes:
    """Return a PNG of a photo with its classes tinted and outlined, and a legend at the top left.

    Args:
        photo: RGB uint8 (H, W, 3).
        labels: uint8 (H, W); 255, the ignore region of a support, is grey.
        legend: The text of each label.
    """
    height, width = labels.shape
    scale = min(1.0, LONGEST / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    thickness = max(1, round(max(size) / 300))
    image = PillowImage.fromarray(drawn(photo, labels, size, thickness))
    _draw_legend(image, {label: printable(text) for label, text in legend.items()})
    return _png(image)


def _draw_legend(image: PillowImage.Image, legend: dict[int, str]) -> None:
    if not legend:
        return
    height = max(12, min(36, round(max(image.size) / 32)))
    font = ImageFont.load_default(height)
    pad = height // 2
    draw = ImageDraw.Draw(image, "RGBA")
    width = max(draw.textlength(text, font=font) for text in legend.values())
    line = round(height * 1.4)
    draw.rectangle((pad, pad, pad * 4 + height + width, pad * 2 + line * len(legend)), fill=(0, 0, 0, 170))
    for number, (label, text) in enumerate(legend.items()):
        top = round(pad * 1.5) + number * line
        colour = colour_of(label)
        draw.rectangle((pad * 2, top, pad * 2 + height, top + height), fill=colour, outline=(255, 255, 255))
        draw.text((pad * 3 + height, top + height / 2), text, font=font, fill=(255, 255, 255), anchor="lm")


def _png(image: PillowImage.Image) -> bytes:
    written = BytesIO()
    image.save(written, format="PNG")
    return written.getvalue()
