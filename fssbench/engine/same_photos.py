"""Checks that the photos of a continued run are still those from which its rows were computed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fssbench.datasets.dataset import Dataset
from fssbench.errors import BrokenFileError, UsageError
from fssbench.results.photos import check_photo_digests, photo_digest
from fssbench.results.rows import Row


def check_same_photos(rows: Sequence[Row], dataset: Dataset, folder: Path) -> None:
    """Hash the file of every photo of the rows, and refuse to continue with other photos.

    The fingerprint of a data set covers no photos; other photos may have the same names.

    Args:
        rows: The rows of the run. Those of earlier versions have no hashes of photos.
        dataset: The data set as it is now.
        folder: The run folder.

    Raises:
        UsageError: If photos have changed, with their number and the first of them.
        BrokenFileError: If the rows have two different photos of one name, or a file can't be read.
        MissingError: If a photo is missing.
    """
    now: dict[Path, str] = {}  # a file may hold several images, such as tiles
    before = check_photo_digests(rows, folder)
    changed = []
    for name, digest in sorted(before.items()):
        path = dataset.photo_path(name)
        if path is None:
            raise BrokenFileError(
                f"{folder} has rows from a file of the photo '{name}', but {dataset.name} has no files"
            )
        if path not in now:
            now[path] = photo_digest(path, dataset.remedy)
        if now[path] != digest:
            changed.append(path)
    if changed:
        raise UsageError(
            f"the run in {folder} can't be continued: {len(changed)} of the {len(before)} photos of its rows have "
            f"changed since, the first {changed[0]}",
            "restore the photos, start the run again with --overwrite, or name another --out",
        )
