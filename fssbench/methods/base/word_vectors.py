"""Vectors of class names, for methods that are given the name of the class.

A release ships word2vec's vectors of its data set's classes, in the order of their labels; which class a row is of
follows from that order, never from likeness of names. For other classes there are vectors made from the characters of
a name by a fixed rule (`character_vector`). Numbers with one kind of vectors are not those with another, so the kind is
an option of the method and stands in the record of a run.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from fssbench.config import cache_folder
from fssbench.datasets.io.pickled_array import read_array
from fssbench.datasets.transfer.classes import plain
from fssbench.downloads.remote import Remote, difference, mirrored
from fssbench.errors import BrokenFileError, MissingError, UsageError, unknown_name
from fssbench.ledger.classes import class_names

if TYPE_CHECKING:
    from fssbench.downloads.shown import Shown

Vectors = Literal["characters", "pascal5i", "coco20i"]
"""Where vectors come from: the characters of a name, or a file that a release ships for the classes of a data set."""

LENGTH = 300
"""Numbers of a vector."""

_SHORTEST, _LONGEST = 3, 5
"""Characters of the parts of a name that `character_vector` hashes."""


@dataclass(frozen=True)
class ShippedVectors:
    """A file of word vectors that a release ships.

    Attributes:
        dataset: The data set of whose classes they are.
        url: Its address, at the commit of the release.
        file: Its name.
        size: Bytes.
        sha256: Hex.
        source: Who ships it.
        also: Further names of classes, and the data set's name of each.
    """

    dataset: str
    url: str
    file: str
    size: int
    sha256: str
    source: str
    also: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """What `fssbench checkpoints fetch` calls it."""
        return f"word-vectors-{self.dataset}"

    @property
    def path(self) -> Path:
        """Where the file is once it was fetched.

        Raises:
            NoHomeError: If there is no home folder for it.
        """
        return cache_folder() / "word-vectors" / self.file

    @property
    def remote(self) -> Remote:
        """The file at its host, or on a mirror (FSSBENCH_MIRROR)."""
        return Remote(mirrored(self.url), self.id, size=self.size, sha256=self.sha256)

    @cached_property  # names are looked up for every support
    def rows(self) -> dict[str, int]:
        """The row of each class by its normalised name."""
        names = class_names(self.dataset) or ()
        rows = {plain(name): row for row, name in enumerate(names, 1)}
        return rows | {plain(other): rows[plain(name)] for other, name in self.also.items()}


@cache
def shipped_vectors() -> Mapping[str, ShippedVectors]:
    """Return the files of word vectors, by data set."""
    with Path(__file__).with_suffix(".toml").open("rb") as file:
        return {dataset: ShippedVectors(dataset, **fields) for dataset, fields in tomllib.load(file).items()}


def fetch_vectors(wanted: ShippedVectors, shown: Shown | None = None) -> Path:
    """Download a file of word vectors, unless it is here, and return its path.

    Raises:
        MissingError: If the host does not send it.
        BrokenFileError: If what comes is not the recorded file; it is not kept.
    """
    from fssbench.downloads.resumable import download

    return download(wanted.remote, wanted.path, f"try again, or put {wanted.file} at {wanted.path} by hand", shown)


def vector_of(name: str, vectors: Vectors) -> npt.NDArray[np.float32]:
    """Return the vector of a class name, float32 (300,), of unit length.

    Args:
        name: As a data set has it; case, spaces, hyphens and known spellings ("aeroplane", "airplane") make no
            difference to shipped vectors.
        vectors: Which vectors.

    Raises:
        UsageError: If there is no vector for that name, with the names that are like it.
        MissingError: If the file is not here, with the command that fetches it.
        BrokenFileError: If it is not the recorded file.
    """
    if vectors == "characters":
        return character_vector(name)
    shipped = shipped_vectors()[vectors]
    rows = shipped.rows
    if plain(name) not in rows:
        known = [*(class_names(shipped.dataset) or ()), *shipped.also]
        raise unknown_name(
            f"class for the word vectors of {vectors}:", name, known, f"name the class as {vectors} does"
        )
    vector: npt.NDArray[np.float32] = _table(vectors)[rows[plain(name)]]
    return vector


def check_vectors(vectors: str) -> Vectors:
    """Return the name of a kind of vectors.

    Raises:
        UsageError: If there is none of that name.
    """
    if vectors not in get_args(Vectors):
        raise unknown_name("kind of word vectors", vectors, get_args(Vectors))
    return cast("Vectors", vectors)


@cache
def _table(dataset: Vectors) -> npt.NDArray[np.float32]:
    shipped = shipped_vectors()[dataset]
    fetch = f"fssbench checkpoints fetch {shipped.id}"
    path = shipped.path
    if not path.is_file():
        raise MissingError(f"there are no word vectors of {dataset}: {path} is missing", fetch)
    if wrong := difference(path, shipped.remote):
        raise BrokenFileError(f"{path} is not the recorded file of word vectors: {wrong}", fetch)
    return read_array(path, (1 + len(class_names(dataset) or ()), LENGTH), fetch)


def character_vector(name: str) -> npt.NDArray[np.float32]:
    """Return a vector made from the characters of a name, float32 (300,), of unit length; the same on every machine.

    Between "<" and ">" stands the name in lower case, with one space for whatever is neither letter nor digit. The
    whole, and each part of 3 to 5 characters as often as it occurs, adds 1 or -1 to each number: -1 where the bit of
    its SHAKE-256 is set, the lowest bit of a byte first. Names that share parts have similar vectors, whatever they
    mean.

    Raises:
        UsageError: If the name has neither letter nor digit.
    """
    words = "".join(letter if letter.isalnum() else " " for letter in name.lower()).split()
    if not words:
        raise UsageError(f"'{name}' is no name of a class: it has no letter", "name the class, such as 'dog'")
    text = f"<{' '.join(words)}>"
    parts = [text]
    for length in range(_SHORTEST, _LONGEST + 1):
        parts += [text[start : start + length] for start in range(len(text) - length + 1)]
    total = np.zeros(LENGTH, np.int64)
    for part in parts:
        drawn = hashlib.shake_256(part.encode()).digest(-(-LENGTH // 8))
        total += 1 - 2 * np.unpackbits(np.frombuffer(drawn, np.uint8), bitorder="little")[:LENGTH].astype(np.int64)
    vector: npt.NDArray[np.float32] = (total / float((total**2).sum()) ** 0.5).astype(np.float32)
    return vector
