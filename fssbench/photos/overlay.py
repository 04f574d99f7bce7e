"""A segmented photo drawn: classes in colours with an outline, and a legend."""

from __future__ import annotations

from io import BytesIO

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from fssbench.datasets.dataset import Image
from fssbench.escape import printable

COLOURS = (
    (213, 94, 0),
    (0, 114, 178),
    (0, 158, 115),
    (240, 228, 66),
    (204, 121, 167),
    (86, 180, 233),
    (230, 159, 0),
)
"""RGB of the classes, which readers with every kind of colour vision can tell apart (Okabe and Ito, 2008)."""

LONGEST = 2048
"""Longer side of an overlay at most, in pixels."""

_TINT = 0.45
_IGNORE_GREY = 128


def colour_of(label: int) -> tuple[int, int, int]:
    """Return the colour of the n-th class, from 1; after the last colour they begin again."""
    return COLOURS[(label - 1) % len(COLOURS)]


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
    shown = PillowImage.fromarray(photo).resize(size, PillowImage.Resampling.BILINEAR)
    pixels = np.array(shown, dtype=np.float32)
    small = np.array(PillowImage.fromarray(labels).resize(size, PillowImage.Resampling.NEAREST))
    thickness = max(1, round(max(size) / 300))
    for label in [int(value) for value in np.unique(small) if value]:
        inside = (small == label).astype(np.uint8)
        colour = np.array((_IGNORE_GREY,) * 3 if label == 255 else colour_of(label), dtype=np.float32)
        pixels[inside == 1] = (1 - _TINT) * pixels[inside == 1] + _TINT * colour
        contours, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        edge = np.zeros_like(inside)
        cv2.drawContours(edge, contours, -1, 1, thickness + 2)
        pixels[edge == 1] = 255.0
        edge[:] = 0
        cv2.drawContours(edge, contours, -1, 1, thickness)
        pixels[edge == 1] = colour
    image = PillowImage.fromarray(pixels.round().clip(0, 255).astype(np.uint8))
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
        colour = (_IGNORE_GREY,) * 3 if label == 255 else colour_of(label)
        draw.rectangle((pad * 2, top, pad * 2 + height, top + height), fill=colour, outline=(255, 255, 255))
        draw.text((pad * 3 + height, top + height / 2), text, font=font, fill=(255, 255, 255), anchor="lm")


def _png(image: PillowImage.Image) -> bytes:
    written = BytesIO()
    image.save(written, format="PNG")
    return written.getvalue()
