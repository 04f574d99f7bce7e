"""JSON from outside in which a key occurs twice in an object is refused: parsers would silently take the last one."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import lru_cache
from pathlib import Path

from fssbench.errors import BrokenFileError

_NEUTRAL = b"0123456789.,-+ \t\r\n[]"
"""Bytes that decide nothing about keys, except within them."""
_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*)"(:?)|\}', re.DOTALL)
_SHORT = 2000
"""Shorter objects are looked at once, whichever files they are in: the records of many runs have most in common."""
_WHOLE = re.compile(rb'(?:"(?:[^"\\]|\\.)*"|[^"])*', re.DOTALL)


class RepeatedKeyError(ValueError):
    """An object has a key twice.

    Attributes:
        key: The key.
    """

    def __init__(self, key: str) -> None:
        super().__init__(f"it has the key '{key}' twice in one object")
        self.key = key


def loads(text: str | bytes) -> object:
    """Parse JSON as `json.loads` does.

    Raises:
        RepeatedKeyError: If an object has a key twice.
        ValueError: If it is not JSON.
        RecursionError: If it is nested too deeply.
    """
    return json.loads(text, object_pairs_hook=_unique)


def refuse_repeated(raw: bytes, path: Path | str, remedy: str | None = None) -> None:
    """Refuse JSON in which an object has a key twice; anything else that is wrong is left to the parser.

    Large files are looked through without being parsed, in a small part of the time that parsing takes.

    Args:
        raw: The JSON, UTF-8.
        path: Where it is, for the message.
        remedy: What to do.

    Raises:
        BrokenFileError: With the key.
    """
    if not _may_repeat(raw):
        return
    try:
        loads(raw)
    except RepeatedKeyError as error:
        raise BrokenFileError(f"{path}: {error}", remedy or "remove the one that does not belong there") from error
    except (ValueError, RecursionError):
        return


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise RepeatedKeyError(Counter(key for key, _ in pairs).most_common(1)[0][0])
    return found


def _may_repeat(raw: bytes) -> bool:
    """Return whether an object may have a key twice; False only if none has.

    Without numbers, commas, brackets and blanks, nearly all objects of a large file are the same few texts, and each is
    looked at once. Keys that differ in these characters alone then look equal, which a parser clears up.
    """
    opened: list[set[bytes]] = [set()]
    for number, text in enumerate(raw.translate(None, _NEUTRAL).split(b"{")):
        keys = _kept_keys(text) if len(text) < _SHORT else _keys(text)
        if keys is None:
            return True
        if number:
            if len(keys) == 2 and not keys[1]:
                continue  # an object that holds no other one
            opened.append(set(keys[0]))
        for after in keys[1:]:
            opened.pop()
            if not opened or not opened[-1].isdisjoint(after):
                return True
            opened[-1].update(after)
    return False


@lru_cache(maxsize=4096)
def _kept_keys(text: bytes) -> tuple[tuple[bytes, ...], ...] | None:
    return _keys(text)


def _keys(text: bytes) -> tuple[tuple[bytes, ...], ...] | None:
    """Return the keys of an object up to the next one, and after each closing brace those of the object around it.

    None if that is not certain, or a key is there twice.
    """
    if not _WHOLE.fullmatch(text):
        return None  # a string with a brace in it
    found: list[tuple[bytes, ...]] = []
    keys: list[bytes] = []
    for token in _TOKEN.finditer(text):
        if token[2]:
            keys.append(token[1])
        elif token[1] is None:
            found.append(tuple(keys))
            keys = []
    found.append(tuple(keys))
    sure = all(len(set(group)) == len(group) and not any(b"\\" in key for key in group) for group in found)
    return tuple(found) if sure else None
