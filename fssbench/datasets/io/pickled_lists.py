"""Reading pickled split files without unpickling: only dicts, lists, strings and integers are allowed.

A pickle is a program for a stack machine. The machine here runs only the instructions for these four types and refuses
all others, so nothing can be imported or called. The standard library parses the instructions and checks their
arguments against the end of the file; the memory that a file can use is bounded by its size.
"""

from __future__ import annotations

import pickletools
from pathlib import Path
from typing import cast

from fssbench.datasets.io.pickled_annotations import raw_pickle
from fssbench.errors import BrokenFileError

MAX_BYTES = 64 << 20
"""Larger files are refused; the release's largest split file has 6 MB."""

Value = int | str | list["Value"] | dict["Value", "Value"]

_PUSH_ARGUMENT = {"BININT", "BININT1", "BININT2", "BINUNICODE", "SHORT_BINUNICODE", "INT", "LONG", "LONG1", "UNICODE"}
_NOTHING = {"PROTO", "FRAME"}


class _Mark:
    """Marks the start of a group of items on the stack."""


def read_pickle(path: Path) -> Value:
    """Read a pickle of dicts, lists, strings and integers.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it is truncated, not a pickle, too large, or has any other value.
    """
    return parse_pickle(raw_pickle(path, MAX_BYTES, "a split file"), path)


def parse_pickle(raw: bytes, path: Path) -> Value:
    """Return the value of a pickle of dicts, lists, strings and integers.

    Args:
        raw: The content of the file.
        path: The file, for messages.

    Raises:
        BrokenFileError: If it is truncated, not a pickle, or has any other value.
    """
    try:
        return _run(raw)
    except _RefusedError as error:
        raise BrokenFileError(
            f"{path} is not a split file: it has {error}; only dicts, lists, strings and integers are allowed"
        ) from error
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, RecursionError) as error:
        raise BrokenFileError(f"{path} is truncated or not a pickle of lists") from error


class _RefusedError(Exception):
    """An instruction or a value that is not allowed."""


def _run(raw: bytes) -> Value:
    """Run the instructions of a pickle; any standard exception means that the pickle is invalid."""
    stack: list[Value | _Mark] = []
    memo: dict[int, Value] = {}
    for instruction, argument, _ in pickletools.genops(raw):
        name = instruction.name
        if isinstance(argument, bool):  # The oldest pickles write true and false as the numbers 01 and 00.
            raise _RefusedError("true or false")
        if name in _PUSH_ARGUMENT:
            stack.append(cast("int | str", argument))
        elif name == "EMPTY_DICT":
            stack.append({})
        elif name == "EMPTY_LIST":
            stack.append([])
        elif name == "MARK":
            stack.append(_Mark())
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            memo[cast("int", argument)] = _value(stack[-1])
        elif name == "MEMOIZE":
            memo[len(memo)] = _value(stack[-1])
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(memo[cast("int", argument)])
        elif name in ("APPEND", "APPENDS"):
            items = [_value(stack.pop())] if name == "APPEND" else _group(stack)
            _list(stack[-1]).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = [_value(item) for item in (stack.pop(-2), stack.pop())] if name == "SETITEM" else _group(stack)
            _dict(stack[-1]).update(zip(items[::2], items[1::2], strict=True))
        elif name in ("LIST", "DICT"):
            items = _group(stack)
            stack.append(items if name == "LIST" else dict(zip(items[::2], items[1::2], strict=True)))
        elif name == "STOP":
            (result,) = stack
            return _value(result)
        elif name not in _NOTHING:
            raise _RefusedError(f"the instruction {name}")
    raise ValueError("no end")


def _group(stack: list[Value | _Mark]) -> list[Value]:
    """Remove the last mark and the items above it from the stack, and return the items."""
    items: list[Value] = []
    while not isinstance(item := stack.pop(), _Mark):
        items.append(item)
    return items[::-1]


def _value(item: Value | _Mark) -> Value:
    if isinstance(item, _Mark):
        raise TypeError("a mark is no value")
    return item


def _list(item: Value | _Mark) -> list[Value]:
    if not isinstance(item, list):
        raise TypeError("not a list")
    return item


def _dict(item: Value | _Mark) -> dict[Value, Value]:
    if not isinstance(item, dict):
        raise TypeError("not a dict")
    return item
