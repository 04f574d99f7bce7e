"""Binary masks that can be read but look wrong: photos in their place, no object, another size than the photo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fssbench.datasets.folder.files import first_names
from fssbench.datasets.io.images import read_grey, size_of
from fssbench.errors import FSSBenchError
from fssbench.progress import tracked

_DARK, _LIGHT = 32, 224
_OBJECT = 128
"""As `fssbench.datasets.fss1000.dataset.FOREGROUND`."""
_MOST_BETWEEN = 0.5
"""In FSS-1000, up to 4 per cent of the pixels of a mask are between dark and light, but more than 90 per cent of those
of a photo."""


def odd_masks(pairs: Sequence[tuple[Path, Path]]) -> list[str]:
    """Return sentences with the number and the names of the masks that look wrong; unreadable files are skipped.

    Args:
        pairs: Masks with their photos.
    """
    photos: list[str] = []
    empty: list[str] = []
    whole: list[str] = []
    for mask, _ in tracked(pairs, "checking the masks", "masks"):
        try:
            grey = read_grey(mask)
        except FSSBenchError:
            continue
        name = f"{mask.parent.name}/{mask.name}"
        if np.mean((grey >= _DARK) & (grey < _LIGHT)) > _MOST_BETWEEN:
            photos.append(name)
        elif grey.max() < _OBJECT:
            empty.append(f"{name} (lightest {grey.max()})")
        elif grey.min() >= _OBJECT:
            whole.append(name)
    sentences = []
    if photos:
        sentences.append(
            f"masks that are photos, of which all pixels lighter than grey count as the object: {_count_text(photos)}"
        )
    if empty:
        sentences.append(f"masks without an object, as no pixel has grey {_OBJECT} or lighter: {_count_text(empty)}")
    if whole:
        sentences.append(
            f"masks that are all object, as every pixel has grey {_OBJECT} or lighter: {_count_text(whole)}"
        )
    return [*sentences, *other_sizes(pairs)]


def other_sizes(pairs: Sequence[tuple[Path, Path]]) -> list[str]:
    """Return a sentence with the number and the names of the masks whose size, in the header, is not the photo's."""
    found: list[str] = []
    for mask, photo in pairs:
        try:
            drawn, taken = size_of(mask), size_of(photo)
        except FSSBenchError:
            continue
        if drawn != taken:
            name = f"{mask.parent.name}/{mask.name}"
            found.append(f"{name} ({drawn[1]} x {drawn[0]}, its photo {taken[1]} x {taken[0]})")
    return [f"masks of another size than their photo: {_count_text(found)}"] if found else []


def _count_text(names: list[str]) -> str:
    return f"{len(names)}, {first_names(names)}"
