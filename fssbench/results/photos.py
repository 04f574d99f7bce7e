"""Digests of the photos and masks of each row. A name alone does not tell whether the file is still the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fssbench.datasets.io.label_maps import label_hash
from fssbench.errors import BrokenFileError, MissingError
from fssbench.files import file_size

if TYPE_CHECKING:
    from fssbench.datasets.dataset import Label
    from fssbench.results.rows import Row

DIGITS = 12
"""Number of hex digits of a digest: few, but enough to distinguish two photos with the same name."""

Kind = Literal["photos", "masks"]
"""What of an image has a digest; also the attribute of a row."""


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


def mask_digest(label: Label) -> str:
    """Return the first hex digits of the sha256 of a label map (H, W).

    It is of the values, not of a file: a mask may be one object of many in a file of annotations, and a file that is
    written again with the same values is the same mask.
    """
    return label_hash(label).hex()[:DIGITS]


def photo_names(query: str, supports: Sequence[Sequence[str]]) -> list[str]:
    """Return the names of an episode's images in the order of `fssbench.results.Row.photos`: query, then supports."""
    return [query, *chain(*supports)]


def digests_of(rows: Iterable[Row], kind: Kind = "photos") -> Iterator[tuple[str, str]]:
    """Yield the name and the digest of each photo or mask of the rows, with repetitions; unknown ones are skipped."""
    for row in rows:
        digests: tuple[str, ...] | None = getattr(row, kind)
        if digests is not None:
            named = zip(photo_names(row.query, row.supports), digests, strict=True)
            yield from ((name, digest) for name, digest in named if digest)


def check_photo_digests(rows: Iterable[Row], folder: Path, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the digest of each photo by name, and refuse rows with two different photos of the same name.

    Args:
        rows: The rows.
        folder: The folder of the rows, for the message.
        known: Digests of other rows of the same run.

    Raises:
        BrokenFileError: If two rows have different photos of the same name.
    """
    return _same(rows, folder, "photos", known or {})


def check_mask_digests(rows: Iterable[Row], folder: Path, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the digest of each mask by the name of its image, and refuse rows with two different masks of an image.

    Args:
        rows: The rows.
        folder: The folder of the rows, for the message.
        known: Digests of other rows of the same run.

    Raises:
        BrokenFileError: If two rows have different masks of the same image.
    """
    return _same(rows, folder, "masks", known or {})


def _same(rows: Iterable[Row], folder: Path, kind: Kind, known: Mapping[str, str]) -> dict[str, str]:
    found = dict(known)
    for name, digest in digests_of(rows, kind):
        if found.setdefault(name, digest) != digest:
            what, changed = ("photos", "file") if kind == "photos" else ("masks of", "mask or its annotation")
            raise BrokenFileError(
                f"the rows in {folder} were computed from two different {what} '{name}': the {changed} was replaced",
                f"restore the {kind} of one data set, and evaluate all of it with --overwrite",
            )
    return found
