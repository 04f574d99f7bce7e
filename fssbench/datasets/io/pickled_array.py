"""Reading one pickled NumPy array of float32 without unpickling: the bytes of its values are taken, nothing is made.

A pickled array names three things of NumPy, its shape, its type, and the bytes of its values. The standard library
parses the instructions of protocol 3. Any other name, type or instruction is refused; nothing is imported or called.
"""

from __future__ import annotations

import pickletools
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fssbench.datasets.io.pickled_annotations import raw_pickle
from fssbench.errors import BrokenFileError

_NAMES = frozenset(
    ("numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct", "numpy ndarray", "numpy dtype")
)
_BYTES = frozenset(("BINBYTES", "SHORT_BINBYTES"))
_ARGUMENTS = frozenset(("BININT", "BININT1", "BININT2", "BINUNICODE"))
_SILENT = {
    *("PROTO", "BINPUT", "BINGET", "MARK", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
    *("REDUCE", "BUILD", "NONE", "NEWFALSE", "STOP"),
}
"""What a pickled array has besides; NEWTRUE is there once, in the type, and would be Fortran's order elsewhere."""
_SHAPE = slice(2, 4)
"""Where the shape is among what is pushed: after an empty array's length 0 and the version 1."""


def read_array(path: Path, shape: tuple[int, int], remedy: str | None = None) -> npt.NDArray[np.float32]:
    """Return the values of a pickled float32 array of this shape, in a new array.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it is anything else than one such array.
    """
    count = shape[0] * shape[1] * np.dtype(np.float32).itemsize
    raw = raw_pickle(path, 2 * count + 4096, f"an array of {shape[0]} x {shape[1]} numbers", remedy)
    try:
        values = _values(raw, shape)
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError) as error:
        raise BrokenFileError(
            f"{path} is not one pickled array of {shape[0]} x {shape[1]} float32 numbers: {error}", remedy
        ) from error
    return np.frombuffer(values, "<f4").astype(np.float32).reshape(shape)


def _values(raw: bytes, shape: tuple[int, int]) -> bytes:
    """Return the bytes of the values; any standard exception means that it is no such array."""
    held: list[bytes] = []
    pushed: list[object] = []
    flags = 0
    for instruction, argument, _ in pickletools.genops(raw):
        name = instruction.name
        if name == "GLOBAL":
            if argument not in _NAMES:
                raise ValueError(f"it names {argument}")
        elif name in _BYTES:
            held.append(argument if isinstance(argument, bytes) else b"")
        elif name in _ARGUMENTS:
            pushed.append(argument)
        elif name == "NEWTRUE":
            flags += 1
        elif name not in _SILENT:
            raise ValueError(f"it has the instruction {name}")
    if pushed[_SHAPE] != list(shape) or [one for one in pushed if isinstance(one, str)] != ["f4", "<"] or flags != 1:
        raise ValueError("its shape, type or order of values is another")
    # The first bytes are the letter of an empty array's type.
    if [len(one) for one in held] != [1, shape[0] * shape[1] * 4]:
        raise ValueError("it has another number of values")
    return held[1]
