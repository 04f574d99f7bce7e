"""Reading untrusted TOML: files that are too large, too deeply nested, or have too large integers are refused."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from fssbench.errors import BrokenFileError
from fssbench.files import file_size

MAX_BYTES = 4 << 20
"""Larger files are refused."""

_DEEPEST = 64
_LONG_KEY = re.compile(rf"""(?<![\w-])(?:["']?[\w-]++["']?[ \t]*+\.[ \t]*+){{{_DEEPEST}}}""")
"""A dotted key with that many parts; the time to read one grows with the square of its length."""

_LARGEST = 1 << 63
"""TOML integers have 64 bits; Python accepts larger ones, and fails to print those with more than 4,300 digits."""


def text_of(path: Path) -> str:
    """Return the text of a TOML file.

    Raises:
        FileNotFoundError: If the file does not exist.
        BrokenFileError: If it is not UTF-8 text, can't be read, or is larger than 4 MiB.
    """
    try:
        if file_size(path) > MAX_BYTES:
            raise BrokenFileError(f"{path} is too large for a file of settings", f"edit {path}")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise BrokenFileError(f"can't read {path}: {error}", f"edit {path}") from error


def parse(text: str) -> dict[str, Any]:
    """Parse a TOML text.

    Raises:
        tomllib.TOMLDecodeError: If it is not TOML, is nested deeper than 64 levels, or has integers beyond 64 bits.
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
    """Return the number of the line that sets `key` or opens the table with that name; 1 if there is none."""
    pattern = re.compile(rf"""^\s*\[*\s*["']?{re.escape(key)}["']?\s*[=\].]""")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)
