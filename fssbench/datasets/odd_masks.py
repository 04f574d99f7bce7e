"""Binary masks that look wrong though they can be read: pictures in their place, no object, other sizes than photos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fssbench.datasets.folder.files import listed
from fssbench.datasets.io.images import read_grey, size_of
from fssbench.errors import FSSBenchError
from fssbench.progress import tracked

_DARK, _LIGHT = 32, 224
_OBJECT = 128
"""As `fssbench.datasets.fss1000.dataset.FOREGROUND`."""
_MOST_BETWEEN = 0.5
"""The greys of FSS-1000's masks lie between dark and light for up to 4 per cent of the pixels, those of its photos for
more than 90."""


def odd_masks(pairs: Sequence[tuple[Path, Path]]) -> list[str]:
    """Return sentences that count and name the masks which look wrong; what can't be read is passed over.

    Args:
        pairs: Mask and photo.
    """
    pictures: list[str] = []
    empty: list[str] = []
    whole: list[str] = []
    for mask, _ in tracked(pairs, "looking at the masks", "masks"):
        try:
            grey = read_grey(mask)
        except FSSBenchError:
            continue
        name = f"{mask.parent.name}/{mask.name}"
        if np.mean((grey >= _DARK) & (grey < _LIGHT)) > _MOST_BETWEEN:
            pictures.append(name)
        elif grey.max() < _OBJECT:
            empty.append(f"{name} (lightest {grey.max()})")
        elif grey.min() >= _OBJECT:
            whole.append(name)
    said = []
    if pictures:
        said.append(f"masks that show a picture, of which what is lighter than grey counts: {_counted(pictures)}")
    if empty:
        said.append(f"masks without an object, as no pixel is of grey {_OBJECT} or lighter: {_counted(empty)}")
    if whole:
        said.append(f"masks that are all object, as every pixel is of grey {_OBJECT} or lighter: {_counted(whole)}")
    return [*said, *other_sizes(pairs)]


def other_sizes(pairs: Sequence[tuple[Path, Path]]) -> list[str]:
    """Return a sentence that counts and names the masks of another size than their photo, by the headers of both."""
    found: list[str] = []
    for mask, photo in pairs:
        try:
            drawn, taken = size_of(mask), size_of(photo)
        except FSSBenchError:
            continue
        if drawn != taken:
            name = f"{mask.parent.name}/{mask.name}"
            found.append(f"{name} ({drawn[1]} x {drawn[0]}, its photo {taken[1]} x {taken[0]})")
    return [f"masks of another size than their photo: {_counted(found)}"] if found else []


def _counted(names: list[str]) -> str:
    return f"{len(names)}, {listed(names)}"
