"""Detecting masks that an image optimiser has saved as palette images with other values.

Such a program keeps the visible colours, but numbers the values again. If the colours are greys, or those of VOC's
colour map, which has a colour for each label, the palette tells the original values.
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
    image: PIL.Image.Image, values: npt.NDArray[np.uint8], labels: Collection[int], path: Path, remedy: str | None
) -> None:
    """Refuse a mask whose palette has greys, or VOC's colours, of other labels than its values.

    A palette with only black and white is accepted, and so is one with greys or colours that stand for no labels.

    Args:
        image: A decoded PNG.
        values: Its values.
        labels: The possible values.
        path: The path of the file, for messages.
        remedy: A further remedy.

    Raises:
        BrokenFileError: With a value and its grey or colour.
    """
    colours = np.array(image.getpalette("RGB") if image.mode == "P" else [], dtype=np.uint8).reshape(-1, 3)
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
            "labels: an image optimiser may have numbered the values again",
            f"save it again as grey PNG of 8 bits with the label values; {remedy}" if remedy else None,
        )


@cache
def voc_labels() -> dict[tuple[int, ...], int]:
    """Return the label of each colour (red, green, blue) in VOC's colour map, which has 256 labels.

    The bits of a label are distributed to red, green and blue in turn, with the lowest bits of the label as the highest
    bits of the colour (VOClabelcolormap.m of VOC's development kit).
    """
    places = [(bit, bit % 3, 7 - bit // 3) for bit in range(8)]
    return {
        tuple(
            sum((label >> bit & 1) << place for bit, channel, place in places if channel == c) for c in range(3)
        ): label
        for label in range(256)
    }
