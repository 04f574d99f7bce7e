"""Masks of objects and parts as annotations store them: outlines, COCO's run lengths, boxes, crops."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from fssbench.datasets.coco20i.labels import Instance, Vertices, bounded, mask_of, vertices
from fssbench.datasets.folder.run_lengths import counts_of
from fssbench.datasets.io.images import MAX_PIXELS
from fssbench.errors import BrokenFileError

Mask = npt.NDArray[np.bool_]

CANVAS = (640, 640)
"""Height and width that hold every photo of COCO. Pixels of outlines are counted on it, so that no photo is needed."""


@dataclass(frozen=True, slots=True)
class CompressedMask:
    """A mask as COCO's compressed run lengths.

    Attributes:
        size: (height, width).
        counts: The lengths, alternately of background and foreground, column by column.
    """

    size: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
    counts: str


@dataclass(frozen=True, slots=True)
class Box:
    """A box in pixels, used as NumPy uses slices: rows `top` to `bottom`, columns `left` to `right`."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def empty(self) -> bool:
        """Whether it has no pixel."""
        return self.right <= self.left or self.bottom <= self.top

    def crop(self, pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """Return the part of (H, W, ...) in the box; it may be empty."""
        return pixels[self.top : self.bottom, self.left : self.right]


Segmentation = tuple[Vertices, ...] | CompressedMask
"""The mask of one annotation: the outlines of all its pieces, or run lengths."""


def segmentation_of(value: object) -> Segmentation:
    """Return an annotation's mask, read from its plain form: a list of lists x0, y0, x1, ..., or {size, counts}.

    Raises:
        ValueError: If it is something else.
    """
    if isinstance(value, list):
        return tuple(bounded([vertices(one) for one in value]))
    if isinstance(value, dict):
        size, counts = value.get("size"), value.get("counts")
        text = counts.decode("ascii") if isinstance(counts, bytes) else counts
        sides = tuple(size) if isinstance(size, list | tuple) else ()
        if isinstance(text, str) and len(sides) == 2 and all(type(side) is int and side > 0 for side in sides):
            return CompressedMask((sides[0], sides[1]), text)
    raise ValueError("a mask is outlines or compressed run lengths")


def mask_on(one: Segmentation, size: tuple[int, int], where: str, remedy: str | None = None) -> Mask:
    """Return the mask of an annotation on a photo: bool (H, W).

    Outlines are filled by COCO's own rasteriser, as the releases do.

    Args:
        one: The mask.
        size: (height, width) of the photo.
        where: The annotation, for messages.
        remedy: What to do about an invalid mask.

    Raises:
        BrokenFileError: If run lengths do not fill the photo.
    """
    if isinstance(one, CompressedMask):
        if one.size != size:
            raise BrokenFileError(f"{where} has run lengths of {one.size[1]} x {one.size[0]} pixels", remedy)
        return decoded(one, where, remedy)
    return mask_of(Instance(0, 0, one), *size)


def union_on(masks: Iterable[Segmentation], size: tuple[int, int], where: str, remedy: str | None = None) -> Mask:
    """Return where any of the masks is set on a photo: bool (H, W); arguments and errors as `mask_on`."""
    found = np.zeros(size, dtype=np.bool_)
    for one in masks:
        found |= mask_on(one, size, where, remedy)
    return found


def union(masks: Iterable[CompressedMask], where: str, remedy: str | None = None) -> Mask:
    """Return where any of the masks is set: bool (H, W).

    Args:
        masks: At least one mask.
        where: The object, for messages.
        remedy: What to do about invalid masks.

    Raises:
        BrokenFileError: If there is none, the sizes differ, or run lengths do not fill the image.
    """
    found: Mask | None = None
    for mask in masks:
        here = decoded(mask, where, remedy)
        if found is not None and found.shape != here.shape:
            raise BrokenFileError(f"{where} has masks of different sizes", remedy)
        found = here if found is None else found | here
    if found is None:
        raise BrokenFileError(f"{where} has no mask", remedy)
    return found


def decoded(mask: CompressedMask, where: str, remedy: str | None = None) -> Mask:
    """Return a mask: bool (H, W).

    Raises:
        BrokenFileError: If its run lengths do not fill the image.
    """
    height, width = mask.size
    try:
        counts = counts_of(mask.counts) if height * width <= MAX_PIXELS else []
    except ValueError:
        counts = []
    if min(counts, default=-1) < 0 or sum(counts) != height * width:
        raise BrokenFileError(f"{where} has run lengths that do not fill {width} x {height} pixels", remedy)
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(width, height).T
