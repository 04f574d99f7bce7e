"""Small pictures for notebooks, and the drawing of classes in a photo: in colours, with an outline."""

from __future__ import annotations

import base64
import math
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as PillowImage

from fssbench.label_values import IGNORE

if TYPE_CHECKING:
    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]

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

IGNORE_COLOUR = (128, 128, 128)
BYTES = 180_000
"""What the pictures of one object have together at most. Written as text they are a third larger."""

_TINT = 0.45
_LONGEST = 160
_PALETTE = 96
_BESIDES = 1024
"""Bytes of a palette PNG besides its pixels, which have a byte each at most."""


def colour_of(label: int) -> tuple[int, int, int]:
    """Return the colour of the n-th class, from 1; after the last colour they begin again. 255 is grey."""
    return IGNORE_COLOUR if label == IGNORE else COLOURS[(label - 1) % len(COLOURS)]


def side_for(count: int) -> int:
    """Return the longer side of each of so many pictures, in pixels, that together have `BYTES` bytes at most."""
    return min(_LONGEST, max(8, math.isqrt(max(BYTES // max(count, 1) - _BESIDES, 64))))


def drawn(photo: Pixels, labels: Pixels, size: tuple[int, int], thickness: int) -> Pixels:
    """Return a photo at another size, its classes tinted and outlined.

    Args:
        photo: RGB uint8 (H, W, 3).
        labels: uint8 (H, W): 0, n for the n-th class, 255 for what is neither.
        size: (width, height) of the result.
        thickness: Of the outlines, in pixels of the result.
    """
    import cv2

    shown = PillowImage.fromarray(photo).resize(size, PillowImage.Resampling.BILINEAR)
    pixels = np.array(shown, dtype=np.float32)
    small = np.array(PillowImage.fromarray(labels).resize(size, PillowImage.Resampling.NEAREST))
    for label in [int(value) for value in np.unique(small) if value]:
        inside = (small == label).astype(np.uint8)
        colour = np.array(colour_of(label), dtype=np.float32)
        pixels[inside == 1] = (1 - _TINT) * pixels[inside == 1] + _TINT * colour
        contours, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        edge = np.zeros_like(inside)
        cv2.drawContours(edge, contours, -1, 1, thickness + 2)
        pixels[edge == 1] = 255.0
        edge[:] = 0
        cv2.drawContours(edge, contours, -1, 1, thickness)
        pixels[edge == 1] = colour
    return pixels.round().clip(0, 255).astype(np.uint8)


def picture(photo: Pixels, labels: Pixels | None = None, side: int = _LONGEST) -> str:
    """Return a small PNG of a photo as a data URI, with its classes drawn if there are labels; see `drawn`.

    It has few colours, so that each pixel takes a byte at most.
    """
    height, width = photo.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if labels is None:
        labels = np.zeros((height, width), np.uint8)
    image = PillowImage.fromarray(drawn(photo, labels, size, 1))
    return _uri(image.quantize(_PALETTE, PillowImage.Quantize.MEDIANCUT, dither=PillowImage.Dither.NONE))


def label_picture(labels: Pixels, side: int = 2 * _LONGEST) -> str:
    """Return a small PNG of a label map, uint8 (H, W), as a data URI: the background is black."""
    image = PillowImage.fromarray(labels)
    image.thumbnail((side, side), PillowImage.Resampling.NEAREST)
    shown = PillowImage.frombytes("P", image.size, np.asarray(image).tobytes())
    shown.putpalette([0, 0, 0, *(part for label in range(1, 256) for part in colour_of(label))])
    return _uri(shown)


def _uri(image: PillowImage.Image) -> str:
    written = BytesIO()
    image.save(written, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(written.getvalue()).decode('ascii')}"
