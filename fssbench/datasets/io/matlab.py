"""Reading MATLAB files (versions 5 to 7.2) from outside: numbers, text, cells and structs. Nothing in them is run.

`scipy.io.loadmat` is for files that one trusts: a few wrong bytes, or cells nested deep enough, end the whole process.
This reader checks every length against the end of what holds it. Its tests compare it with scipy's.

The format is in MathWorks' "MAT-File Format": a header of 128 bytes, then elements. An element is a tag, its kind and
its length, then the content, filled up to 8 bytes. A content of up to 4 bytes can stand within the tag.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fssbench.errors import BrokenFileError

MAX_BYTES = 16 << 20
"""Larger files are refused, before and after decompression. A label map of SBD has less than 1 MB."""

MAX_DEPTH = 16
MAX_NAME = 64
"""Longest name of a field in bytes, with the zero at its end: MATLAB's own limit."""

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_TYPES = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8"}
"""The kinds of elements that hold numbers."""
_ENCODINGS = {1: "latin-1", 2: "latin-1", 4: "utf-16-le", 16: "utf-8", 17: "utf-16-le", 18: "utf-32-le"}
"""The kinds of elements that hold text."""
_CELL, _STRUCT, _TEXT, _NUMBERS = 1, 2, 4, range(6, 16)
"""Classes of matrices. The others, sparse matrices and objects of classes, are not read."""
_COMPLEX = 0x08


@dataclass(frozen=True)
class Struct:
    """An array of structs.

    Attributes:
        shape: Its dimensions.
        items: The value of each field, for each struct, in MATLAB's order: the first dimension counts fastest.
    """

    shape: tuple[int, ...]
    items: tuple[dict[str, Value], ...]


@dataclass(frozen=True)
class Cell:
    """A cell array: dimensions, and the items in MATLAB's order."""

    shape: tuple[int, ...]
    items: tuple[Value, ...]


@dataclass(frozen=True)
class Unread:
    """A value of a kind that is not read, such as a sparse matrix or text of several lines."""


Value = npt.NDArray[np.generic] | str | Struct | Cell | Unread
"""Numbers are arrays, in the type in which they are stored; text of one line is a string."""


class _RefusedError(Exception):
    """What is wrong with a file."""


def read_matlab(raw: bytes, variable: str, where: str, *, largest: int = MAX_BYTES) -> Value:
    """Return a variable of a MATLAB file.

    Args:
        raw: The content of the file.
        variable: Name of the variable.
        where: The file, for messages.
        largest: Largest size of the file and of all its variables together, in bytes.

    Raises:
        BrokenFileError: If it is not such a file, is truncated, damaged or too large, or has no such variable.
    """
    try:
        for matrix in _variables(raw, largest):
            name, value = _matrix(matrix, 0)
            if name == variable:
                return value
    except _RefusedError as error:
        raise BrokenFileError(f"{where} {error}") from error
    raise BrokenFileError(f"{where} has no variable {variable}")


def _variables(raw: bytes, largest: int) -> Iterator[memoryview]:
    """Yield the content of each variable, decompressed."""
    if len(raw) > largest:
        raise _RefusedError(f"has more than {largest} bytes")
    if len(raw) < _HEADER or raw[124:_HEADER] != b"\x00\x01IM":
        raise _RefusedError("is not a MATLAB file of the versions 5 to 7.2 in little-endian order")
    place, left = _HEADER, largest
    while place < len(raw):
        kind, length = _long_tag(memoryview(raw)[place:])
        part = memoryview(raw)[place + 8 : place + 8 + length]
        place += 8 + length
        if len(part) < length:
            raise _RefusedError("is truncated")
        if kind == _COMPRESSED:
            content = memoryview(_inflated(bytes(part), left))
            left -= len(content)
            kind, length = _long_tag(content)
            part = content[8 : 8 + length]
        if kind != _MATRIX or len(part) != length:
            raise _RefusedError("has something else than variables")
        yield part


def _inflated(raw: bytes, most: int) -> bytes:
    inflater = zlib.decompressobj()
    try:
        content = inflater.decompress(raw, most + 1)
    except zlib.error as error:
        raise _RefusedError(f"is damaged: {error}") from error
    if len(content) > most:
        raise _RefusedError("is too large when it is decompressed")
    if not inflater.eof:
        raise _RefusedError("is truncated")
    return content


def _long_tag(raw: memoryview) -> tuple[int, int]:
    if len(raw) < 8:
        raise _RefusedError("is truncated")
    kind, length = struct.unpack("<II", raw[:8])
    return kind, length


def _element(raw: memoryview) -> tuple[int, memoryview, memoryview]:
    """Return kind and content of the first element, and the rest."""
    kind, length = _long_tag(raw)
    start, end = 8, 8 + length + -length % 8
    if kind >> 16:  # a short tag
        kind, length, start, end = kind & 0xFFFF, kind >> 16, 4, 8
        if length > 4:
            raise _RefusedError("is damaged: a tag holds more than it can")
    if start + length > len(raw):
        raise _RefusedError("is truncated")
    return kind, raw[start : start + length], raw[end:]


def _numbers(raw: memoryview) -> tuple[npt.NDArray[np.generic], memoryview]:
    """Return the numbers of the first element, and the rest."""
    kind, content, rest = _element(raw)
    if kind not in _TYPES:
        raise _RefusedError(f"is damaged: numbers of the unknown type {kind}")
    dtype = np.dtype(_TYPES[kind])
    if len(content) % dtype.itemsize:
        raise _RefusedError("is damaged: a number is cut off")
    return np.frombuffer(content, dtype), rest


def _matrix(raw: memoryview, depth: int) -> tuple[str, Value]:
    """Return name and value of a matrix from the content of its element."""
    if depth > MAX_DEPTH:
        raise _RefusedError(f"is nested deeper than {MAX_DEPTH} levels")
    if not len(raw):  # MATLAB leaves out all of an empty matrix.
        return "", np.zeros((0, 0))
    flags, raw = _numbers(raw)
    if flags.dtype != np.dtype("<u4") or flags.size != 2:
        raise _RefusedError("is damaged: a matrix has no flags")
    kind, is_complex = int(flags[0]) & 0xFF, bool(int(flags[0]) >> 8 & _COMPLEX)
    if kind not in (_CELL, _STRUCT, _TEXT, *_NUMBERS) or is_complex:
        return _name_of(raw, has_shape=kind <= _NUMBERS[-1]), Unread()
    shape, raw = _shape(raw)
    name, raw = _text(raw)
    if kind == _CELL:
        items, _ = _items(raw, math.prod(shape), depth)
        return name, Cell(shape, items)
    if kind == _STRUCT:
        return name, _struct(raw, shape, depth)
    if kind == _TEXT:
        return name, _line(raw) if shape[0] == 1 and len(shape) == 2 else Unread()
    numbers, _ = _numbers(raw)
    if numbers.size != math.prod(shape):
        raise _RefusedError("is damaged: a matrix has another size than its numbers")
    return name, numbers.reshape(shape, order="F")


def _line(raw: memoryview) -> str:
    kind, content, _ = _element(raw)
    try:
        return bytes(content).decode(_ENCODINGS[kind])
    except (KeyError, UnicodeDecodeError) as error:
        raise _RefusedError("is damaged: a text can't be decoded") from error


def _name_of(raw: memoryview, *, has_shape: bool) -> str:
    return _text(_shape(raw)[1] if has_shape else raw)[0]


def _shape(raw: memoryview) -> tuple[tuple[int, ...], memoryview]:
    sizes, rest = _numbers(raw)
    shape = tuple(int(size) for size in sizes)
    if sizes.dtype.kind not in "iu" or not 2 <= len(shape) <= 32 or min(shape) < 0:
        raise _RefusedError("is damaged: a matrix has no dimensions")
    return shape, rest


def _text(raw: memoryview) -> tuple[str, memoryview]:
    _, content, rest = _element(raw)
    return bytes(content).decode("latin-1"), rest


def _items(raw: memoryview, count: int, depth: int) -> tuple[tuple[Value, ...], memoryview]:
    """Return the values of some matrices, one after another."""
    if count * 8 > len(raw):  # Each has a tag at least.
        raise _RefusedError("is truncated")
    items = []
    for _ in range(count):
        kind, content, raw = _element(raw)
        if kind != _MATRIX:
            raise _RefusedError("is damaged: an item is not a matrix")
        items.append(_matrix(content, depth + 1)[1])
    return tuple(items), raw


def _struct(raw: memoryview, shape: tuple[int, ...], depth: int) -> Struct:
    lengths, raw = _numbers(raw)
    length = int(lengths[0]) if lengths.size == 1 and lengths.dtype.kind in "iu" else 0
    _, names, raw = _element(raw)
    if not 1 <= length <= MAX_NAME or len(names) % length:
        raise _RefusedError("is damaged: a struct has no names of fields")
    fields = [
        bytes(names[place : place + length]).partition(b"\0")[0].decode("latin-1")
        for place in range(0, len(names), length)
    ]
    count = math.prod(shape) if fields else 0
    values, _ = _items(raw, count * len(fields), depth)
    items = (values[place : place + len(fields)] for place in range(0, len(values), max(len(fields), 1)))
    return Struct(shape, tuple(dict(zip(fields, item, strict=True)) for item in items))
