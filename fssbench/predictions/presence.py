"""Which classes a prediction says are in the query, where the label map does not decide it: JSON or CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.predictions.files import PRESENCE, fold_of, named

Presence = Mapping[str, tuple[bool, ...]]
"""For each episode's id and each of its N classes, in the order asked, whether it is said to be there."""

MAX_BYTES = 1 << 27
"""A larger file is none: a million 5-way episodes take half of it."""

_TRUTHS = {"1": True, "true": True, "0": False, "false": False}


def find_presence(folder: Path, names: set[str]) -> Path | None:
    """Return the file that lies beside the label maps, None if there is none.

    Raises:
        UsageError: If there are two.
        BrokenFileError: If it is a pipe or a device, which would be waited for.
    """
    found = [name for name in PRESENCE if name in names]
    if len(found) > 1:
        raise UsageError(f"{folder} holds both {' and '.join(found)}", f"--presence {folder / found[0]}")
    path = folder / found[0] if found else None
    if path is not None and path.exists() and not path.is_file():
        raise BrokenFileError(f"{path} is no file")
    return path


def read_presence(path: Path) -> Presence:
    """Read a file of presence answers.

    JSON: an object from ids to lists of N times true or false, or 1 or 0. CSV (by the suffix .csv): a line per episode,
    its id and then N times 1 or 0, or true or false; a first line that begins with `id` is a heading.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it is none, or answers an episode twice.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BrokenFileError(f"{path} is too large for a file of presence answers")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise MissingError(f"there is no file of presence answers {path}") from error
    except OSError as error:
        raise BrokenFileError(f"can't read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BrokenFileError(f"{path} is no text in UTF-8") from error
    pairs = _of_csv(text, path) if path.suffix.lower() == ".csv" else _of_json(text, path)
    presence: dict[str, tuple[bool, ...]] = {}
    for name, answers in pairs:
        if name in presence:
            raise BrokenFileError(f"{path} answers {name} twice")
        presence[name] = answers
    return presence


def _of_csv(text: str, path: Path) -> Iterable[tuple[str, tuple[bool, ...]]]:
    try:
        for number, line in enumerate(csv.reader(text.splitlines()), 1):
            if not line or (number == 1 and line[0].strip().lower() == "id"):
                continue
            name, *answers = (cell.strip() for cell in line)
            said = [_TRUTHS.get(answer.lower()) for answer in answers]
            known = tuple(answer for answer in said if answer is not None)
            if len(known) < len(said):
                raise BrokenFileError(f"{path}, line {number}: presence is 1 or 0, true or false")
            yield name, known
    except csv.Error as error:
        raise BrokenFileError(f"{path} is no CSV: {error}") from error


def _of_json(text: str, path: Path) -> Iterable[tuple[str, tuple[bool, ...]]]:
    try:
        pairs = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise BrokenFileError(f"{path} is no JSON: {error}") from error
    if not isinstance(pairs, _Pairs):
        raise BrokenFileError(f"{path} is no object from ids to lists")
    for name, answers in pairs:
        # True is 1 to Python, and NumPy's own numbers are written as 0 and 1.
        if not isinstance(answers, list) or any(type(answer) not in (bool, int) for answer in answers):
            raise BrokenFileError(f"{path}: {name} needs a list of true or false")
        if any(answer not in (0, 1) for answer in answers):
            raise BrokenFileError(f"{path}: {name} needs a list of true or false")
        yield name, tuple(bool(answer) for answer in answers)


class _Pairs(list[tuple[str, object]]):
    """A JSON object as it is written, so that a name that comes twice is seen."""


def check_presence(
    presence: Presence, asked: Iterable[str], known: set[str], folds: Collection[int], way: int, where: str
) -> None:
    """Refuse presence answers that do not fit the episodes.

    Args:
        presence: What was read.
        asked: Ids of the episodes that have to be answered.
        known: All ids of the lists.
        folds: Their folds; answers of others are passed over.
        way: N.
        where: What it was read from.

    Raises:
        BrokenFileError: Saying how many are missing, of no episode, or not of N classes; the first are named.
    """
    missing = [name for name in asked if name not in presence]
    extra = [name for name in presence if name not in known and ((fold := fold_of(name)) is None or fold in folds)]
    other = [name for name, answers in presence.items() if name in known and len(answers) != way]
    said = [
        f"{what}: {named(names)}"
        for names, what in (
            (missing, f"{len(missing)} episodes are missing"),
            (extra, f"{len(extra)} ids are of no episode"),
            (other, f"{len(other)} have not {way} answers"),
        )
        if names
    ]
    if said:
        raise BrokenFileError(f"presence answers in {where}: {'; '.join(said)}")
