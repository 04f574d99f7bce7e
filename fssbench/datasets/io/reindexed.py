"""Masks that a program which makes pictures smaller has saved anew: as palette masks with other values.

It keeps what a mask shows. Grey masks show their values, and colour masks often VOC's colour map, which has a colour
for each label; in both cases the palette tells what the values were.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL.Image

from fssbench.errors import BrokenFileError

_WHITE = 255


def refuse_reindexed(
    picture: PIL.Image.Image, values: npt.NDArray[np.uint8], labels: Collection[int], path: Path, remedy: str | None
) -> None:
    """Refuse a palette of greys or of VOC's colours which show other labels than the values are.

    A palette of greys that shows its only class in white says nothing of the kind, nor one with greys or colours that
    stand for no labels.

    Args:
        picture: A decoded PNG.
        values: The values that it holds.
        labels: The values that there may be.
        path: What the file is called.
        remedy: What to do besides.

    Raises:
        BrokenFileError: Naming a value and its grey or colour.
    """
    colours = np.array(picture.getpalette("RGB") if picture.mode == "P" else [], dtype=np.uint8).reshape(-1, 3)
    if not colours.size:
        return
    used = np.unique(values)
    used = used[used < len(colours)]
    if (colours == colours[:, :1]).all():
        shown = colours[used, 0].tolist()
        if set(shown) <= {0, _WHITE}:
            return
        what = "grey {}"
    else:
        shown = [voc_labels().get(tuple(colour), -1) for colour in colours[used].tolist()]
        what = "VOC's colour of {}"
    moved = [(value, label) for value, label in zip(used.tolist(), shown, strict=True) if value != label]
    if moved and set(shown) <= {0, *labels}:
        raise BrokenFileError(
            f"{path} has a palette that shows the value {moved[0][0]} as {what.format(moved[0][1])}, and both may be "
            "labels: a program that makes pictures smaller may have numbered the values anew",
            f"save it again as grey PNG of 8 bits with the label values; {remedy}" if remedy else None,
        )


@cache
def voc_labels() -> dict[tuple[int, ...], int]:
    """Return the label of each colour (red, green, blue) of VOC's colour map, which has one for each of 256 labels.

    The bits of a label go to red, green and blue in turn, the lowest to their highest bits (VOClabelcolormap.m of VOC's
    development kit).
    """
    places = [(bit, bit % 3, 7 - bit // 3) for bit in range(8)]
    return {
        tuple(
            sum((label >> bit & 1) << place for bit, channel, place in places if channel == c) for c in range(3)
        ): label
        for label in range(256)
    }
