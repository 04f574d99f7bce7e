"""COCO's run lengths: masks as the lengths of runs of background and foreground, plain or compressed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from fssbench.datasets.io.images import MAX_PIXELS
from fssbench.errors import BrokenFileError

SIZE = "export the json again: it has another size for the photos"
_BROKEN = "export the json again: these run lengths are cut off, or were changed by hand"


@dataclass(frozen=True, slots=True)
class RunLengths:
    """A mask as COCO's run lengths: alternately of background and foreground, column by column."""

    counts: Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=MAX_PIXELS)] | str
    size: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]


def counts_of(text: str) -> list[int]:
    """Decode COCO's compressed run lengths.

    A number consists of groups of five bits, the lowest first, with one character per group, from "0" on. The sixth bit
    of a group means that another group follows; the highest bit of the last group is the sign. From the fourth number
    on, a number is the difference to the last but one.

    Raises:
        ValueError: If the text is not valid.
    """
    counts: list[int] = []
    number = shift = 0
    for char in text:
        group = ord(char) - ord("0")
        if not 0 <= group < 64 or shift > 30:
            raise ValueError("no run lengths")
        number |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            number -= 1 << shift
        counts.append(number + counts[-2] if len(counts) > 2 else number)
        number = shift = 0
    if shift:
        raise ValueError("cut off")
    return counts


def decoded(runs: RunLengths, size: tuple[int, int], where: str) -> npt.NDArray[np.bool_]:
    """Return the mask of run lengths: bool (height, width).

    Args:
        runs: The run lengths.
        size: (height, width) of the photo.
        where: Whose they are, for the message.

    Raises:
        BrokenFileError: If they are invalid or do not fill the photo.
    """
    try:
        counts = counts_of(runs.counts) if isinstance(runs.counts, str) else runs.counts
    except ValueError:
        counts = []
    height, width = size
    if runs.size != size or min(counts, default=-1) < 0 or sum(counts) != height * width:
        remedy = SIZE if runs.size != size else _BROKEN
        raise BrokenFileError(f"{where} has run lengths that do not fill {width} x {height} pixels", remedy)
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape(width, height).T
