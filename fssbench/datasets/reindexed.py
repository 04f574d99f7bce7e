"""Grey masks that a program which makes pictures smaller has turned into palette masks with other values."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL.Image

from fssbench.errors import BrokenFileError

_WHITE = 255


def refuse_reindexed(
    picture: PIL.Image.Image, values: npt.NDArray[np.uint8], labels: Collection[int], path: Path, remedy: str | None
) -> None:
    """Refuse a palette of greys which may be a grey mask that a program has made smaller: its values are others then.

    A palette that shows its only class in white says nothing of the kind, nor one with greys that are no labels.

    Args:
        picture: A decoded PNG.
        values: The values that it holds.
        labels: The values that there may be.
        path: What the file is called.
        remedy: What to do besides.

    Raises:
        BrokenFileError: Naming a value and its grey.
    """
    colours = np.array(picture.getpalette("RGB") if picture.mode == "P" else [], dtype=np.uint8).reshape(-1, 3)
    if not colours.size or (colours != colours[:, :1]).any():
        return
    used = np.unique(values)
    used = used[used < len(colours)]
    greys = colours[used, 0]
    moved = np.flatnonzero(used != greys)
    if moved.size and set(greys.tolist()) <= {0, *labels} and set(greys.tolist()) - {0, _WHITE}:
        value, grey = int(used[moved[0]]), int(greys[moved[0]])
        raise BrokenFileError(
            f"{path} has a palette that shows the value {value} as grey {grey}, and both may be labels: "
            "a program that makes pictures smaller may have numbered the greys anew",
            f"save it again as grey PNG of 8 bits with the label values; {remedy}" if remedy else None,
        )
