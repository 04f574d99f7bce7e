"""Whether the photos of a run that is continued are still those that its rows were answered from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fssbench.datasets.dataset import Dataset
from fssbench.errors import BrokenFileError, UsageError
from fssbench.results.photos import check_photo_digests, photo_digest
from fssbench.results.rows import Row


def check_same_photos(rows: Sequence[Row], dataset: Dataset, folder: Path) -> None:
    """Read the file of every photo that rows were answered from, and refuse to go on from others.

    The fingerprint of a data set is over its label maps; photos under the same names can be others.

    Args:
        rows: What is answered already. Rows of earlier versions do not say from which photos.
        dataset: The data set as it is now.
        folder: The run folder.

    Raises:
        UsageError: If a photo is another one now, naming the first and how many there are.
        BrokenFileError: If the rows themselves are of two photos of one name, or a file can't be read.
        MissingError: If a photo is not there any more.
    """
    now: dict[Path, str] = {}  # a file may hold several photos, as of tiles
    before = check_photo_digests(rows, folder)
    exchanged = []
    for name, digest in sorted(before.items()):
        path = dataset.photo_path(name)
        if path is None:
            raise BrokenFileError(f"{folder} has rows of a photo '{name}' in a file, and {dataset.name} has no files")
        if path not in now:
            now[path] = photo_digest(path, dataset.remedy)
        if now[path] != digest:
            exchanged.append(path)
    if exchanged:
        raise UsageError(
            f"the run in {folder} can't be continued: {len(exchanged)} of the {len(before)} photos of its rows were "
            f"exchanged since, the first {exchanged[0]}",
            "put the photos back, start the run again with --overwrite, or give another --out",
        )
