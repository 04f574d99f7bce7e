"""Masks of objects and parts as annotations store them: COCO's run lengths, boxes, crops."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from fssbench.datasets.folder.coco import counts_of
from fssbench.datasets.io.images import MAX_PIXELS
from fssbench.errors import BrokenFileError

Mask = npt.NDArray[np.bool_]


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

    def crop(self, pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """Return the part of (H, W, ...) in the box; it may be empty."""
        return pixels[self.top : self.bottom, self.left : self.right]


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
