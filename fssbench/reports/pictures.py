"""Pictures of an episode: photos, and masks as layers that lie on them."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from fssbench.figures.palette import COLOURS, EXTRA, GREY, HIT, MISSED, RGB
from fssbench.label_values import IGNORE
from fssbench.protocols.transforms import framed_shape, padded_shape

if TYPE_CHECKING:
    from fssbench.datasets.dataset import Image, Label
    from fssbench.protocols.rules import Protocol

    Labels = npt.NDArray[np.uint8]

SIDE = 320
"""Longer side of a picture, in pixels."""
_TINT = 115
_EDGE = 255
_QUALITY = 82
_OTHER = 0


@dataclass(frozen=True, eq=False)
class Layer:
    """A picture that is see-through where nothing is.

    Attributes:
        values: uint8 (h, w): a place in the palette.
        palette: The colour and the opacity (0 to 255) of each value.
    """

    values: Labels
    palette: tuple[tuple[RGB, int], ...]

    def png(self) -> bytes:
        """Return the layer as a small PNG."""
        image = PillowImage.fromarray(self.values)
        image.putpalette([part for colour, _ in self.palette for part in colour])
        written = BytesIO()
        image.save(written, "PNG", transparency=bytes(opacity for _, opacity in self.palette), optimize=True)
        return written.getvalue()

    def on(self, photo: Image) -> Image:
        """Return a photo, RGB uint8 (h, w, 3), with the layer on it."""
        colours = np.array([colour for colour, _ in self.palette], dtype=np.float32)[self.values]
        opacity = np.array([value / 255 for _, value in self.palette], dtype=np.float32)[self.values][..., None]
        return (photo * (1 - opacity) + colours * opacity).round().astype(np.uint8)


def shown_size(shape: tuple[int, int], side: int = SIDE) -> tuple[int, int]:
    """Return (height, width) of a picture whose longer side is `side`; a smaller one is enlarged to at most twice."""
    scale = min(2.0, side / max(shape))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def shown_photo(photo: Image, size: tuple[int, int]) -> Image:
    """Return a photo, RGB uint8 (H, W, 3), at a size (height, width)."""
    rule = PillowImage.Resampling.LANCZOS
    return np.array(PillowImage.fromarray(photo).resize((size[1], size[0]), rule), dtype=np.uint8)


def jpeg(photo: Image) -> bytes:
    """Return a photo as JPEG."""
    written = BytesIO()
    PillowImage.fromarray(photo).save(written, "JPEG", quality=_QUALITY, optimize=True)
    return written.getvalue()


def shown_labels(labels: Label, size: tuple[int, int]) -> Label:
    """Return a label map (H, W) at a size (height, width), by nearest neighbour."""
    found = cv2.resize(labels, (size[1], size[0]), interpolation=cv2.INTER_NEAREST)
    return np.asarray(found, dtype=labels.dtype)


def photo_part(counted: Label | Labels, photo: tuple[int, int], rules: Protocol) -> tuple[int, int]:
    """Return (height, width) of the top left part of a counted label map on which the photo lies; the rest is padding.

    Args:
        counted: A label map where pixels are counted, (H, W).
        photo: (height, width) of the photo.
        rules: The protocol.
    """
    height, width = counted.shape
    if rules.resize == "opencv-pad-squeezed":
        framed = framed_shape(photo, rules.input)
        return (
            max(1, round(height * framed[0] / rules.input[0])),
            max(1, round(width * framed[1] / rules.input[1])),
        )
    if rules.resize == "opencv-pad" and rules.score_at == "input":
        return padded_shape(photo, rules.input)
    return height, width


def mask_layer(labels: Label, values: dict[int, RGB], *, rim: bool = True, tint: int = _TINT) -> Layer:
    """Return classes tinted and outlined.

    Args:
        labels: A label map (h, w) at the size of the picture.
        values: The colour of each label that is shown.
        rim: Whether pixels labelled 255 are shown grey, in label maps of 8 bits.
        tint: Opacity within the outline, 0 to 255.
    """
    shown = np.zeros(labels.shape, dtype=np.uint8)
    palette: list[tuple[RGB, int]] = [((0, 0, 0), 0)]
    if rim and labels.dtype == np.uint8 and IGNORE not in values:
        shown[labels == IGNORE] = len(palette)
        palette.append((GREY, 150))
    for value, colour in values.items():
        inside = labels == value
        shown[inside] = len(palette)
        palette.append((colour, tint))
    # Edges come last, so that a neighbour does not cover them.
    for value, colour in values.items():
        shown[outline(labels == value)] = len(palette)
        palette.append((colour, _EDGE))
    return Layer(shown, tuple(palette))


def outline(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the pixels of a mask (h, w) that are within its edge, about a hundredth of the picture wide."""
    if not mask.any():
        return mask
    width = max(2, round(max(mask.shape) / 120))
    kernel = np.ones((3, 3), dtype=np.uint8)
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    inner = cv2.erode(padded, kernel, iterations=width)[1:-1, 1:-1]
    edge: npt.NDArray[np.bool_] = mask & (np.asarray(inner) == 0)
    return edge


def class_colours(count: int) -> dict[int, RGB]:
    """Return the colour of each label 1 to `count` of an episode."""
    return {n: COLOURS[(n - 1) % len(COLOURS)] for n in range(1, count + 1)}


def error_layer(labels: Labels, truth: Label, classes: tuple[int, ...]) -> Layer:
    """Return where a prediction is right and wrong: right, wrongly in it, missing from it, another class of it.

    Args:
        labels: The predicted label map (h, w): n for the n-th class of the episode.
        truth: The label map (h, w) with the data set's values.
        classes: The classes of the episode.
    """
    wanted = np.zeros(truth.shape, dtype=np.int64)
    for n, class_id in enumerate(classes, 1):
        wanted[truth == class_id] = n
    found = np.where(labels <= len(classes), labels, _OTHER).astype(np.int64)
    shown = np.zeros(truth.shape, dtype=np.uint8)
    shown[(found == wanted) & (wanted > 0)] = 1
    shown[(found != wanted) & (found > 0)] = 2
    shown[(found != wanted) & (found == 0)] = 3
    if truth.dtype == np.uint8:
        shown[truth == IGNORE] = 4
    return Layer(shown, (((0, 0, 0), 0), (HIT, 190), (EXTRA, 215), (MISSED, 215), (GREY, 120)))
