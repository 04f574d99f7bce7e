"""The errors that fssbench raises; their messages are for the user at the terminal.

FSSBenchError            what is wrong and where; `remedy` is the command that corrects it
├── UsageError           a name, number or option that does not exist       (exit 2)
├── MissingError         missing data, a missing checkpoint or file         (exit 2)
├── BrokenFileError      a file that is damaged or of the wrong kind        (exit 2)
├── CheckpointError      weights that do not fit the method                 (exit 2)
└── CheckFailedError     a measured number that is not the expected one     (exit 1)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class FSSBenchError(Exception):
    """Base class of all errors that a user can cause or correct.

    Args:
        message: One line: what is wrong, and where.
        remedy: The command or the step that corrects it, without a full stop; None if there is none.

    Examples:
        >>> import fssbench
        >>> try:
        ...     fssbench.build("hsnett")
        ... except fssbench.FSSBenchError as error:
        ...     print(error.message, "--", error.remedy)
        unknown method 'hsnett'; did you mean hsnet? -- fssbench list methods
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return self.message if self.remedy is None else f"{self.message}\n  try: {self.remedy}"


class UsageError(FSSBenchError, ValueError):
    """A name, a number or an option that does not exist or does not fit the others."""


class MissingError(FSSBenchError, FileNotFoundError):
    """Something required is missing: data, masks, a checkpoint, a run."""


class BrokenFileError(FSSBenchError, ValueError):
    """A file that is truncated, corrupt or of the wrong kind."""


class CheckpointError(FSSBenchError, ValueError):
    """Weights that belong to another method, backbone or fold, or are not weights."""


class CheckFailedError(FSSBenchError):
    """A measured number that is not the expected one."""

    exit_code: ClassVar[int] = 1


_NEAR = 3
_FEW = 40
"""How many names are listed where none is near; more would bury the message."""


def unknown_name(kind: str, name: str, known: Iterable[str], remedy: str | None = None) -> UsageError:
    """Return the error for an unknown `name`, with the nearest known names.

    Args:
        kind: The kind of the name, e.g. "method".
        name: The name that the user typed.
        known: All known names.
        remedy: The command that lists them.
    """
    names = sorted(known)
    if near := nearest(name, names):
        hint = f"did you mean {' or '.join(near)}?"
    else:
        hint = f"known: {', '.join(names)}" if len(names) <= _FEW else f"none of the {len(names)} known ones is like it"
    return UsageError(f"unknown {kind} '{name}'; {hint}", remedy)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a message that has named all known values: "; did you mean fscs?", or nothing."""
    near = nearest(name, known)
    return f"; did you mean {near[0]}?" if near else ""


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that a name was probably meant to be: at most three.

    First those with the fewest letters to change, at most a third of them; then those that the name is a part of.
    """
    by_key: dict[str, str] = {}
    for one in known:
        by_key.setdefault(one.lower(), one)
    typed = name.lower()
    close: dict[str, int] = {}
    for one in sorted(by_key):
        most = max(1, max(len(typed), len(one)) // 3)
        if abs(len(typed) - len(one)) <= most and (count := _changes(typed, one)) <= most:
            close[one] = count
    near = [one for one, count in close.items() if count == min(close.values())]
    near.sort(key=lambda one: -difflib.SequenceMatcher(None, typed, one).ratio())
    near += [one for one in sorted(by_key) if len(typed) >= _NEAR and typed in one and one not in near]
    return [by_key[one] for one in near[:_NEAR]]


def _changes(typed: str, meant: str) -> int:
    """Return how many letters are left out, added, replaced, or swapped with the next."""
    before: list[int] = []
    row = list(range(len(meant) + 1))
    for i, letter in enumerate(typed):
        above, before, row = before, row, [i + 1]
        for j, other in enumerate(meant):
            fewest = min(before[j] + (letter != other), before[j + 1] + 1, row[j] + 1)
            if i and j and letter == meant[j - 1] and typed[i - 1] == other:
                fewest = min(fewest, above[j - 1] + 1)
            row.append(fewest)
    return row[-1]
