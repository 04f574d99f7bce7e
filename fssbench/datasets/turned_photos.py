"""Photos whose EXIF orientation keeps their size, so that the size does not tell which orientation the masks have."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fssbench.datasets.folder.files import first_names
from fssbench.datasets.io.images import turned_in_place
from fssbench.errors import FSSBenchError


def turned_note(photos: Iterable[Path]) -> str | None:
    """Return a sentence with the number and the names of such photos; None if there is none."""
    turned = []
    for path in photos:
        try:
            turned += [path.name] if turned_in_place(path) else []
        except FSSBenchError:
            continue  # Unreadable photos are reported elsewhere.
    return f"photos whose EXIF orientation keeps their size: {len(turned)}, {first_names(turned)}" if turned else None


def stored_note(photos: Iterable[Path]) -> list[str]:
    """Return the note about such photos for a data set that ignores the EXIF orientation."""
    note = turned_note(photos)
    return [] if note is None else [f"{note}; they are read as stored, which masks are assumed to match"]
