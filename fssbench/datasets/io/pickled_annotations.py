"""Reading pickled annotations of a release without unpickling: plain values are read, objects are never made.

As in `pickled_lists`, a small machine runs the instructions of a pickle, and nothing is imported or called. Annotations
also have fractions, tuples and bytes, and sometimes objects of a library (an enumeration of detectron2, say). Such an
object becomes `OPAQUE`: it is passed over where nobody reads it, and refused by the reader where it is needed.
"""

from __future__ import annotations

import pickletools
from pathlib import Path
from typing import Final, cast

from fssbench.errors import BrokenFileError, MissingError
from fssbench.files import file_size

MAX_BYTES = 4 << 30
"""Larger files are refused."""


class _Opaque:
    """An object that was not made."""


class _Mark:
    """Marks the start of a group of items on the stack."""


OPAQUE: Final = _Opaque()
"""Stands for an object of a library in the result."""

_PUSH_ARGUMENT = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MEMO = frozenset(("BINPUT", "LONG_BINPUT", "PUT"))
_RECALL = frozenset(("BINGET", "LONG_BINGET", "GET"))
_TAKEN_BY_OBJECT = {"GLOBAL": 0, "STACK_GLOBAL": 2, "REDUCE": 2, "BUILD": 2, "NEWOBJ": 2, "NEWOBJ_EX": 3}
"""The instructions that make an object, and how many items of the stack they take."""
_NOTHING = frozenset(("PROTO", "FRAME"))


def read_annotations(path: Path, remedy: str | None = None) -> object:
    """Read a pickle of dicts, lists, tuples, text and numbers; other objects are `OPAQUE`.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it is truncated, not a pickle, too large, or has an instruction for something else.
    """
    raw = raw_pickle(path, MAX_BYTES, "annotations", remedy)
    try:
        return _run(raw)
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise BrokenFileError(f"{path} is truncated or not a pickle of annotations", remedy) from error


def raw_pickle(path: Path, most: int, content: str, remedy: str | None = None) -> bytes:
    """Return the bytes of a file.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it has more than `most` bytes, which is too large for such content, or can't be read.
    """
    try:
        if file_size(path) > most:
            raise BrokenFileError(f"{path} is too large for {content}", remedy)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise MissingError(f"there is no file {path}", remedy) from error
    except OSError as error:
        raise BrokenFileError(f"can't read {path}: {error.strerror}", remedy) from error


def _run(raw: bytes) -> object:
    """Run the instructions of a pickle; any standard exception means that the pickle is invalid."""
    stack: list[object] = []
    memo: dict[int, object] = {}
    for instruction, argument, _ in pickletools.genops(raw):
        name = instruction.name
        if name in _PUSH_ARGUMENT:
            stack.append(argument)
        elif name in ("APPENDS", "APPEND"):
            items = _group(stack) if name == "APPENDS" else [stack.pop()]
            _list(stack[-1]).extend(items)
        elif name in ("SETITEMS", "SETITEM"):
            items = _group(stack) if name == "SETITEMS" else [stack.pop(-2), stack.pop()]
            if stack[-1] is not OPAQUE:
                _dict(stack[-1]).update(zip(map(_key, items[::2]), items[1::2], strict=True))
        elif name == "MARK":
            stack.append(_Mark())
        elif name in _RECALL:
            stack.append(memo[cast("int", argument)])
        elif name in _MEMO:
            memo[cast("int", argument)] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name == "EMPTY_LIST":
            stack.append([])
        elif name == "EMPTY_DICT":
            stack.append({})
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _TUPLES:
            count = _TUPLES[name]
            stack[-count:] = [tuple(stack[-count:])]
        elif name in ("TUPLE", "LIST", "DICT"):
            items = _group(stack)
            made = {"TUPLE": tuple, "LIST": list}.get(name)
            stack.append(made(items) if made else dict(zip(map(_key, items[::2]), items[1::2], strict=True)))
        elif name in _TAKEN_BY_OBJECT:
            for _number in range(_TAKEN_BY_OBJECT[name]):
                stack.pop()
            stack.append(OPAQUE)
        elif name == "STOP":
            (result,) = stack
            return result
        elif name not in _NOTHING:
            raise ValueError(f"the instruction {name}")
    raise ValueError("no end")


def _key(value: object) -> object:
    """Refuse a tuple of tuples as a key: they may share their parts, and then the time to hash them has no end."""
    if isinstance(value, tuple) and any(isinstance(part, tuple) for part in value):
        raise TypeError("not a key")
    return value


def _group(stack: list[object]) -> list[object]:
    """Remove the last mark and the items above it from the stack, and return the items."""
    items: list[object] = []
    while not isinstance(item := stack.pop(), _Mark):
        items.append(item)
    return items[::-1]


def _list(item: object) -> list[object]:
    if not isinstance(item, list):
        raise TypeError("not a list")
    return item


def _dict(item: object) -> dict[object, object]:
    if not isinstance(item, dict):
        raise TypeError("not a dict")
    return item
