"""TOML from outside: what no parser of it should have to take is refused as what it is, a file that is no TOML."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from fssbench.errors import BrokenFileError

MAX_BYTES = 4 << 20
"""A larger file is none that a person wrote."""

_DEEPEST = 64
_LONG_KEY = re.compile(rf"""(?<![\w-])(?:["']?[\w-]++["']?[ \t]*+\.[ \t]*+){{{_DEEPEST}}}""")
"""A dotted key of so many parts; reading one takes time that grows with the square of its length."""

_LARGEST = 1 << 63
"""TOML asks for integers of 64 bits; Python takes any, and fails to print those of more than 4,300 digits."""


def text_of(path: Path) -> str:
    """Return the text of a TOML file that is there.

    Raises:
        FileNotFoundError: If it is not.
        BrokenFileError: If it is no text in UTF-8, can't be read, or is larger than 4 MiB.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BrokenFileError(f"{path} is too large for a file of settings", f"edit {path}")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise BrokenFileError(f"can't read {path}: {error}", f"edit {path}") from error


def parse(text: str) -> dict[str, Any]:
    """Return what a TOML text holds.

    Raises:
        tomllib.TOMLDecodeError: If it is not TOML, is nested deeper than 64 levels or has integers beyond 64 bits.
    """
    if _LONG_KEY.search(text):
        raise tomllib.TOMLDecodeError(f"it is nested deeper than {_DEEPEST} levels")
    try:
        raw = tomllib.loads(text)
    except RecursionError as error:
        raise tomllib.TOMLDecodeError(f"it is nested deeper than {_DEEPEST} levels") from error
    except tomllib.TOMLDecodeError:
        raise
    except ValueError as error:
        # Python refuses to read decimal numbers of thousands of digits.
        raise tomllib.TOMLDecodeError("it has an integer of more than 64 bits") from error
    level: list[object] = [raw]
    for _ in range(_DEEPEST):
        level = [inner for value in level for inner in _inside(value)]
        if any(isinstance(value, int) and not -_LARGEST <= value < _LARGEST for value in level):
            raise tomllib.TOMLDecodeError("it has an integer of more than 64 bits")
        if not level:
            return raw
    raise tomllib.TOMLDecodeError(f"it is nested deeper than {_DEEPEST} levels")


def _inside(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def line_of(text: str, key: str) -> int:
    """Return the number of the line that sets `key` or opens the table of that name; 1 if none is found."""
    pattern = re.compile(rf"""^\s*\[*\s*["']?{re.escape(key)}["']?\s*[=\].]""")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)
