"""The errors that fssbench raises, each speaking to the person at the terminal.

FSSBenchError            what is wrong and where; `remedy` is the command that mends it
├── UsageError           a name, number or option that does not exist       (exit 2)
├── MissingError         data, a checkpoint or a file that is not there     (exit 2)
├── BrokenFileError      a file that is there but can't be read as it should (exit 2)
├── CheckpointError      weights that do not fit the method                  (exit 2)
└── CheckFailedError     a measured number that misses its expectation       (exit 1)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class FSSBenchError(Exception):
    """Base of all errors a user can cause or mend.

    Args:
        message: One line: what is wrong, and where.
        remedy: The command or the step that mends it, without a full stop; None if there is none.

    Examples:
        >>> import fssbench
        >>> try:
        ...     fssbench.build("hsnett")
        ... except fssbench.FSSBenchError as error:
        ...     print(error.message, "--", error.remedy)
        unknown method 'hsnett'; did you mean hsnet or asnet or asgnet? -- fssbench list methods
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
    """Something that has to be there and is not: data, masks, a checkpoint, a run."""


class BrokenFileError(FSSBenchError, ValueError):
    """A file that is there but is truncated, corrupt or not of its kind."""


class CheckpointError(FSSBenchError, ValueError):
    """Weights that belong to another method, backbone or fold, or are not weights at all."""


class CheckFailedError(FSSBenchError):
    """A measured number that is not what it should be."""

    exit_code: ClassVar[int] = 1


def unknown_name(kind: str, name: str, known: Iterable[str], remedy: str | None = None) -> UsageError:
    """Return the error for an unknown `name`, with the nearest known names.

    Args:
        kind: What was asked for, e.g. "method".
        name: What the user typed.
        known: All names there are.
        remedy: The command that lists them.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
    return UsageError(f"unknown {kind} '{name}'; {hint}", remedy)
