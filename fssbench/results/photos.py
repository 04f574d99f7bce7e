"""Digests of the photos of each row. A name alone does not tell whether the file is still the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.errors import BrokenFileError, MissingError
from fssbench.files import file_size

if TYPE_CHECKING:
    from fssbench.results.rows import Row

DIGITS = 12
"""Number of hex digits of a digest: few, but enough to distinguish two photos with the same name."""


def photo_digest(path: Path, remedy: str | None = None) -> str:
    """Return the first hex digits of the sha256 of a photo's file.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it can't be read.
    """
    try:
        file_size(path)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:DIGITS]
    except FileNotFoundError as error:
        raise MissingError(f"there is no file {path}", remedy) from error
    except OSError as error:
        raise BrokenFileError(f"can't read {path}: {error.strerror}", remedy) from error


def photo_names(query: str, supports: Sequence[Sequence[str]]) -> list[str]:
    """Return the names of an episode's images in the order of `fssbench.results.Row.photos`: query, then supports."""
    return [query, *chain(*supports)]


def digests_of(rows: Iterable[Row]) -> Iterator[tuple[str, str]]:
    """Yield the name and the digest of each photo of the rows, with repetitions; rows without digests are skipped."""
    for row in rows:
        yield from zip(photo_names(row.query, row.supports), row.photos or (), strict=row.photos is not None)


def check_photo_digests(rows: Iterable[Row], folder: Path, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the digest of each photo by name, and refuse rows with two different photos of the same name.

    Args:
        rows: The rows.
        folder: The folder of the rows, for the message.
        known: Digests of other rows of the same run.

    Raises:
        BrokenFileError: If two rows have different photos of the same name.
    """
    found = dict(known or {})
    for name, digest in digests_of(rows):
        if found.setdefault(name, digest) != digest:
            raise BrokenFileError(
                f"the rows in {folder} were computed from two different photos '{name}': the file was replaced",
                "restore the photos of one data set, and evaluate all of it with --overwrite",
            )
    return found
