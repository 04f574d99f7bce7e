"""Photos that their EXIF orientation turns in a way that sizes do not tell, so that masks may be of the other way."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fssbench.datasets.folder.files import listed
from fssbench.datasets.io.images import turned_in_place
from fssbench.errors import FSSBenchError


def turned_note(photos: Iterable[Path]) -> str | None:
    """Return how many photos there are of the kind, and the first of them; None if there is none."""
    turned = []
    for path in photos:
        try:
            turned += [path.name] if turned_in_place(path) else []
        except FSSBenchError:
            continue  # It is a fault of its own.
    return f"photos whose EXIF orientation keeps their size: {len(turned)}, {listed(turned)}" if turned else None


def stored_note(photos: Iterable[Path]) -> list[str]:
    """Return what is to be said of such photos in a data set that is read as it is stored."""
    note = turned_note(photos)
    return [] if note is None else [f"{note}; they are read as they are stored, as masks are taken to be"]
