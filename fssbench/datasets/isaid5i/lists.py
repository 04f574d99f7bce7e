"""The lists of iSAID-5i: a line NAME__CLASS for each entry, in the order of the release."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fssbench.errors import BrokenFileError

FOLDS = 3


@dataclass(frozen=True)
class Facts:
    """The content of facts.toml.

    Attributes:
        classes: Names of the label values 1..15.
        entries: Number of entries of each fold's list.
        sha256: Hash of each list, as `hash_of` computes it.
        images: Number of different images in all lists.
    """

    classes: tuple[str, ...]
    entries: tuple[int, ...]
    sha256: tuple[str, ...]
    images: int


@cache
def facts() -> Facts:
    """Read facts.toml."""
    with (Path(__file__).parent / "facts.toml").open("rb") as file:
        raw = tomllib.load(file)
    return Facts(tuple(raw["classes"]), tuple(raw["entries"]), tuple(raw["sha256"]), raw["images"])


def fold_classes(fold: int) -> tuple[int, ...]:
    """Return the label values of a fold: 1 to 5, 6 to 10, 11 to 15."""
    return tuple(range(5 * fold + 1, 5 * fold + 6))


def hash_of(lines: Iterable[str]) -> str:
    """Return the hex sha256 of the lines, joined by newlines."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def parse_line(line: str, fold: int, path: Path) -> tuple[str, int]:
    """Return the image and the label value of a line, e.g. P2085_0_256_824_1080__05.

    Raises:
        BrokenFileError: If it is something else, or the class is not in the fold.
    """
    match = re.fullmatch(r"(P[0-9]{4}(?:_[0-9]{1,5}){4})__([0-9]{2})", line)
    if match is None or int(match[2]) not in fold_classes(fold):
        raise BrokenFileError(f"{path} has the line {line[:60]!r}, which is no image and class of fold {fold}")
    return match[1], int(match[2])


def parse_list(raw: bytes, fold: int, path: Path) -> list[str]:
    """Return the lines of a fold's list.

    Raises:
        BrokenFileError: If a line is not an image and a class of the fold, or there is none.
    """
    try:
        lines = raw.decode("ascii").split()
    except UnicodeDecodeError as error:
        raise BrokenFileError(f"can't read {path}: {error}") from error
    for line in lines:
        parse_line(line, fold, path)
    if not lines:
        raise BrokenFileError(f"{path} has no line")
    return lines
