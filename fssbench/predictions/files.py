"""The folder of predictions: a PNG for each episode, named after its id.

The folder may come from anyone. File names are generated here and never taken from a file. Only regular files of a
reasonable size are opened, and only images of the expected size are decoded.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

import numpy as np
from PIL import Image as PillowImage

from fssbench.datasets.io.images import read_values
from fssbench.episode.files import episode_id
from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.results.scoring import LabelMap

SUFFIX, BASE_SUFFIX = ".png", "-base.png"
"""What follows the id in the name of a label map, and in that of base classes where they are predicted apart."""

PRESENCE = ("presence.json", "presence.csv")
"""Names of the presence file in a folder of label maps."""

MASKS = "masks.json"
"""Name of the file with the digests of the queries' masks in a folder of saved predictions."""

MAX_BYTES = 1 << 26
"""Larger files are refused: 64 million pixels without any compression."""

NAMED = 3
"""How many files with the same mistake are named; all are counted."""


def file_name(fold: int, number: int, *, base: bool = False) -> str:
    """Return the name of the label map of an episode."""
    return episode_id(fold, number) + (BASE_SUFFIX if base else SUFFIX)


def fold_of(name: str) -> int | None:
    """Return the fold in the name of a prediction, or in its id; None if it is no such name."""
    found = re.fullmatch(r"fold(\d{1,4})-\d{5,9}((-base)?\.png)?", name, re.ASCII)
    return int(found[1]) if found else None


def named(names: Sequence[str], limit: int = NAMED) -> str:
    """Return the first names of a list, and how many more there are."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def encode_png(labels: LabelMap) -> bytes:
    """Return a label map, uint8 (H, W), as a grey PNG of 8 bits."""
    content = io.BytesIO()
    PillowImage.fromarray(np.ascontiguousarray(labels)).save(content, "PNG")
    return content.getvalue()


@dataclass(frozen=True)
class Listing:
    """The predictions of one fold in a folder.

    Attributes:
        folder: The folder.
        found: Numbers of the episodes that have a label map.
        missing: Names of the missing label maps.
        with_base: Whether there are label maps of base classes.
        missing_base: Names of the missing label maps of base classes, if there are any of base classes.
    """

    folder: Path
    found: tuple[int, ...]
    missing: tuple[str, ...]
    with_base: bool
    missing_base: tuple[str, ...]

    @classmethod
    def from_names(cls, folder: Path, names: set[str], fold: int, episodes: int, *, base: bool) -> Listing:
        """Return the listing of a fold.

        Args:
            folder: The folder.
            names: The names in the folder (`names_in`).
            fold: The fold.
            episodes: Length of its list.
            base: Whether to look for label maps of base classes.
        """
        found = tuple(n for n in range(episodes) if file_name(fold, n) in names)
        missing = tuple(name for n in range(episodes) if (name := file_name(fold, n)) not in names)
        with_base = base and any(file_name(fold, n, base=True) in names for n in range(episodes))
        missing_base = tuple(name for n in found if with_base and (name := file_name(fold, n, base=True)) not in names)
        return cls(folder, found, missing, with_base, missing_base)


def names_in(folder: Path) -> set[str]:
    """Return the names in a folder, without hidden ones.

    Raises:
        MissingError: If there is no such folder.
        UsageError: If it is a file, or can't be read.
    """
    try:
        return {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    except FileNotFoundError as error:
        raise MissingError(
            f"there is no folder of predictions {folder}", "--predictions DIR with a PNG for each episode"
        ) from error
    except OSError as error:
        raise UsageError(f"can't read the folder of predictions {folder}: {error.strerror}") from error


def read_file(path: Path) -> bytes:
    """Return the contents of a prediction's file.

    Raises:
        BrokenFileError: If it is not a regular file, is too large, or can't be read.
    """
    try:
        found = path.stat()
        if not S_ISREG(found.st_mode):
            raise BrokenFileError(f"{path} is not a regular file")
        if found.st_size > MAX_BYTES:
            raise BrokenFileError(f"{path} is too large for a label map")
        return path.read_bytes()
    except OSError as error:
        raise BrokenFileError(f"can't read {path}: {error.strerror}") from error


def read_label_map(path: Path, raw: bytes, size: tuple[int, int], largest: int) -> LabelMap:
    """Return the label map in the contents of a file: uint8 (height, width), values 0 to `largest`.

    Args:
        path: Name of the file.
        raw: Its contents.
        size: The (height, width) at which the protocol counts.
        largest: N, or N + B if base classes are predicted together with the novel ones.

    Raises:
        BrokenFileError: If it is not such a PNG, has another size, or holds another value.
    """
    labels = read_values(path, raw, size, labels=range(largest + 1))
    if labels.size and (value := int(labels.max())) > largest:
        count = int((labels > largest).sum())
        raise BrokenFileError(f"{path} holds the value {value} ({count} pixels above {largest}), not 0 to {largest}")
    return labels
