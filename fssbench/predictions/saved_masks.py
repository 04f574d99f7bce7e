"""Digests of the masks of the queries, next to saved predictions: they are counted on the same truth later, or not."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.episode.files import episode_id
from fssbench.errors import BrokenFileError
from fssbench.predictions.files import MASKS, read_file
from fssbench.unique_keys import loads

if TYPE_CHECKING:
    from fssbench.results.rows import Row


def masks_of(rows: Iterable[Row]) -> dict[str, str]:
    """Return the digest of the query's mask by the id of the episode, for rows that have it."""
    return {episode_id(row.fold, row.episode): row.masks[0] for row in rows if row.masks and row.masks[0]}


def read_masks(folder: Path) -> dict[str, str]:
    """Return the digests in a folder of predictions by the id of the episode; empty without a file of them.

    Raises:
        BrokenFileError: If the file is damaged.
    """
    path = folder / MASKS
    if not path.exists():
        return {}
    try:
        found = loads(read_file(path))
    except (ValueError, RecursionError) as error:
        raise BrokenFileError(f"{path} is not JSON: {error}", f"remove it: rm {path}") from error
    if not isinstance(found, dict) or not all(isinstance(digest, str) for digest in found.values()):
        raise BrokenFileError(f"{path} is not an object from ids to digests of masks", f"remove it: rm {path}")
    return found


def check_saved_masks(rows: Iterable[Row], folders: Collection[Path]) -> None:
    """Refuse rows whose query has another mask than when the predictions were saved.

    Args:
        rows: The rows.
        folders: The folders of their predictions.

    Raises:
        BrokenFileError: With the number of such rows and the first query; or if a file of digests is damaged.
    """
    saved: dict[str, str] = {}
    for folder in sorted(folders):
        saved |= read_masks(folder)
    now = masks_of(rows)
    if changed := [name for name, digest in now.items() if saved.get(name, digest) != digest]:
        files = " ".join(str(folder / MASKS) for folder in sorted(folders) if (folder / MASKS).exists())
        raise BrokenFileError(
            f"the masks of {len(changed)} of {len(now)} queries have changed since the predictions were saved, the "
            f"first that of {changed[0]}",
            f"restore the masks or annotations; or remove {files} to count on the masks as they are now",
        )
