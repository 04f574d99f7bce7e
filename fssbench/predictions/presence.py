"""The predicted presence of classes in queries, where it is not taken from the label maps: JSON or CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.files import file_size
from fssbench.predictions.files import PRESENCE, fold_of, named

Presence = Mapping[str, tuple[bool, ...]]
"""For the id of each episode, whether each of its N classes is predicted as present, in the order of the classes."""

MAX_BYTES = 1 << 27
"""Larger files are refused. A million 5-way episodes need half of it."""

_TRUTHS = {"1": True, "true": True, "0": False, "false": False}


def find_presence(folder: Path, names: set[str]) -> Path | None:
    """Return the presence file in a folder of label maps; None if there is none.

    Raises:
        UsageError: If there are two.
        BrokenFileError: If it is a pipe or a device, which could block reading.
    """
    found = [name for name in PRESENCE if name in names]
    if len(found) > 1:
        raise UsageError(f"{folder} holds both {' and '.join(found)}", f"--presence {folder / found[0]}")
    path = folder / found[0] if found else None
    if path is not None and path.exists() and not path.is_file():
        raise BrokenFileError(f"{path} is not a regular file")
    return path


def read_presence(path: Path) -> Presence:
    """Read a presence file.

    JSON: an object from ids to lists of N values true or false, or 1 or 0. CSV (suffix .csv): a line for each episode,
    with its id and N values 1 or 0, or true or false; a first line that begins with `id` is a header.

    Raises:
        MissingError: If the file is missing.
        BrokenFileError: If it is not a presence file, or has an episode twice.
    """
    try:
        if file_size(path) > MAX_BYTES:
            raise BrokenFileError(f"{path} is too large for a presence file")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise MissingError(f"there is no presence file {path}") from error
    except OSError as error:
        raise BrokenFileError(f"can't read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BrokenFileError(f"{path} is not UTF-8 text") from error
    pairs = _read_csv(text, path) if path.suffix.lower() == ".csv" else _read_json(text, path)
    presence: dict[str, tuple[bool, ...]] = {}
    for name, present in pairs:
        if name in presence:
            raise BrokenFileError(f"{path} has {name} twice")
        presence[name] = present
    return presence


def _read_csv(text: str, path: Path) -> Iterable[tuple[str, tuple[bool, ...]]]:
    try:
        for number, line in enumerate(csv.reader(text.splitlines()), 1):
            if not line or (number == 1 and line[0].strip().lower() == "id"):
                continue
            name, *cells = (cell.strip() for cell in line)
            values = [_TRUTHS.get(cell.lower()) for cell in cells]
            present = tuple(value for value in values if value is not None)
            if len(present) < len(values):
                raise BrokenFileError(f"{path}, line {number}: presence is 1 or 0, true or false")
            yield name, present
    except csv.Error as error:
        raise BrokenFileError(f"{path} is not CSV: {error}") from error


def _read_json(text: str, path: Path) -> Iterable[tuple[str, tuple[bool, ...]]]:
    try:
        pairs = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise BrokenFileError(f"{path} is not JSON: {error}") from error
    if not isinstance(pairs, _Pairs):
        raise BrokenFileError(f"{path} is not an object from ids to lists")
    for name, values in pairs:
        # In Python True equals 1, and NumPy's booleans may be written as 0 and 1.
        if not isinstance(values, list) or any(type(value) not in (bool, int) for value in values):
            raise BrokenFileError(f"{path}: {name} needs a list of true or false")
        if any(value not in (0, 1) for value in values):
            raise BrokenFileError(f"{path}: {name} needs a list of true or false")
        yield name, tuple(bool(value) for value in values)


class _Pairs(list[tuple[str, object]]):
    """A JSON object as a list of pairs, so that a repeated name is noticed."""


def check_presence(
    presence: Presence, required: Iterable[str], known: set[str], folds: Collection[int], way: int, where: str
) -> None:
    """Refuse a presence file that does not fit the episodes.

    Args:
        presence: The contents of the file.
        required: Ids of the episodes that must be in it.
        known: All ids of the lists.
        folds: The folds of the lists; entries of other folds are ignored.
        way: N.
        where: The name of the file, for messages.

    Raises:
        BrokenFileError: With the numbers of missing ids, of ids without an episode, and of entries without N values;
            the first of each are named.
    """
    missing = [name for name in required if name not in presence]
    extra = [name for name in presence if name not in known and ((fold := fold_of(name)) is None or fold in folds)]
    other = [name for name, present in presence.items() if name in known and len(present) != way]
    problems = [
        f"{what}: {named(names)}"
        for names, what in (
            (missing, f"{len(missing)} episodes are missing"),
            (extra, f"{len(extra)} ids belong to no episode"),
            (other, f"{len(other)} have not {way} values"),
        )
        if names
    ]
    if problems:
        raise BrokenFileError(f"presence in {where}: {'; '.join(problems)}")
