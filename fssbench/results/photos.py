"""Which photos rows were answered from: a row keeps a digest of the file of each, as names alone would not tell."""

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
"""Hex digits of a digest: enough to tell two photos of one name apart, and few in a row."""


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
    """Return the names of an episode's photos in the order of `fssbench.results.Row.photos`: query, then supports."""
    return [query, *chain(*supports)]


def digests_of(rows: Iterable[Row]) -> Iterator[tuple[str, str]]:
    """Yield name and digest of each photo of some rows, as often as there are; none of rows that do not know them."""
    for row in rows:
        yield from zip(photo_names(row.query, row.supports), row.photos or (), strict=row.photos is not None)


def check_photo_digests(rows: Iterable[Row], folder: Path, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the digest of each photo of some rows.

    Args:
        rows: The rows.
        folder: Where they are, for the message.
        known: Digests of other rows of the same run.

    Raises:
        BrokenFileError: If a name stands for two photos.
    """
    found = dict(known or {})
    for name, digest in digests_of(rows):
        if found.setdefault(name, digest) != digest:
            raise BrokenFileError(
                f"{folder} has rows of another photo '{name}' than other rows of the run: the file was exchanged",
                "put the photos of one data set there, and evaluate all of it with --overwrite",
            )
    return found
