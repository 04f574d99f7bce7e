"""MATLAB files from outside: the same values as scipy's, and sentences where scipy ends the process."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import scipy.io
import scipy.io.matlab
import scipy.sparse

from fssbench.datasets.io.matlab import Cell, Struct, Unread, Value, read_matlab
from fssbench.errors import BrokenFileError

HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
WRITTEN_BY_MATLAB = Path(scipy.io.matlab.__file__).parent / "tests" / "data"


def saved(*, compressed: bool, **variables: object) -> bytes:
    file = io.BytesIO()
    scipy.io.savemat(file, variables, do_compression=compressed)
    return file.getvalue()


def equals(value: Value, scipys: npt.NDArray[np.generic]) -> bool:
    """Whether a value is the one that scipy reads, as far as it is read here."""
    if isinstance(value, Unread):
        return True
    if isinstance(value, str):
        return "".join(scipys.ravel().tolist()).rstrip() == value.rstrip()
    flat = scipys.ravel(order="F")
    if isinstance(value, Cell):
        return value.shape == scipys.shape and all(map(equals, value.items, flat))
    if isinstance(value, Struct):
        pairs = zip(value.items, flat, strict=True)
        return value.shape == scipys.shape and all(equals(one[key], other[key]) for one, other in pairs for key in one)
    return value.size == scipys.size == 0 or (value.shape == scipys.shape and np.array_equal(value, scipys))


@pytest.mark.parametrize("compressed", [False, True])
def test_what_scipy_writes(*, compressed: bool) -> None:
    cells = np.empty((2, 3), object)
    for place in range(6):
        cells.flat[place] = np.full((place, 2), place, np.int16)
    structs = np.array([(1.5, "one"), (np.eye(3), "two")], [("a", object), ("b", object)]).reshape(1, 2)
    variables = {"cells": cells, "structs": structs, "cube": np.arange(24, dtype=np.uint8).reshape(2, 3, 4)}
    raw = saved(compressed=compressed, sparse=scipy.sparse.csc_array(np.eye(4)), complex=np.ones(3) * 1j, **variables)
    assert [name for name in ("sparse", "complex") if read_matlab(raw, name, "a.mat") == Unread()] == [
        "sparse",
        "complex",
    ]
    for name, scipys in scipy.io.loadmat(io.BytesIO(raw), variable_names=list(variables)).items():
        assert name.startswith("__") or equals(read_matlab(raw, name, "a.mat"), scipys), name


def test_what_matlab_wrote() -> None:
    paths = [*WRITTEN_BY_MATLAB.glob("test*GLNX86.mat"), *WRITTEN_BY_MATLAB.glob("test*WIN64.mat")]
    if not paths:
        pytest.skip("this scipy is installed without its test data")
    compared = 0
    for path in paths:
        raw = path.read_bytes()
        if raw[124:128] != b"\x00\x01IM":  # an older version or HDF5
            continue
        for name, scipys in scipy.io.loadmat(path).items():
            if name.startswith("__") or not isinstance(scipys, np.ndarray) or "func" in name:
                continue
            assert equals(read_matlab(raw, name, path.name), scipys), f"{path.name} {name}"
            compared += 1
    assert compared > 40


def test_what_is_no_matlab_file() -> None:
    for raw in (b"", b"\x89PNG", b"x" * 300, b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF"):
        with pytest.raises(BrokenFileError, match=r"a\.mat is not a MATLAB file of the versions 5 to 7\.2"):
            read_matlab(raw, "x", "a.mat")
    with pytest.raises(BrokenFileError, match=r"a\.mat has no variable y"):
        read_matlab(saved(compressed=True, x=[1]), "y", "a.mat")


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_that_is_cut_off_anywhere(*, compressed: bool) -> None:
    raw = saved(compressed=compressed, x=np.arange(50))
    for length in range(129, len(raw)):
        with pytest.raises(BrokenFileError, match=r"a\.mat "):
            read_matlab(raw[:length], "x", "a.mat")


def test_damaged_bytes_end_in_a_sentence_or_a_value() -> None:
    # scipy ends the process with a segmentation fault on several of these files.
    raw = saved(compressed=False, x={"a": np.arange(20), "b": "text", "c": [[1], [2, 3]]})
    random = np.random.default_rng(1)
    for _ in range(3000):
        broken = bytearray(raw)
        for place in random.integers(128, len(raw), 3):
            broken[place] = random.integers(256)
        with contextlib.suppress(BrokenFileError):
            read_matlab(bytes(broken), "x", "a.mat")


def element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + b"\0" * (-len(content) % 8)


def matrix(kind: int, shape: tuple[int, int], content: bytes, name: bytes = b"x") -> bytes:
    head = element(6, struct.pack("<II", kind, 0)) + element(5, struct.pack("<ii", *shape)) + element(1, name)
    return element(14, head + content)


def test_depth_is_limited() -> None:
    # scipy's recursion overflows the stack at some 15,000 levels, which take 3 kB if they are compressed.
    raw = matrix(9, (1, 1), element(2, b"\1"))
    for _ in range(15):
        raw = matrix(1, (1, 1), raw)
    assert isinstance(read_matlab(HEADER + raw, "x", "a.mat"), Cell)
    for _ in range(3000):
        raw = matrix(1, (1, 1), raw)
    for file in (raw, element(15, zlib.compress(raw))):
        with pytest.raises(BrokenFileError, match="nested deeper than 16 levels"):
            read_matlab(HEADER + file, "x", "a.mat")


@pytest.mark.parametrize("kind", [1, 2, 4, 9])
def test_dimensions_that_are_not_there_take_no_memory(kind: int) -> None:
    fields = element(5, struct.pack("<i", 8)) + element(1, b"field\0\0\0") if kind == 2 else b""
    for shape in ((2**31 - 1, 2**31 - 1), (2**31 - 1, 1), (-1, 2), (0, -5)):
        raw = HEADER + matrix(kind, shape, fields + element(2, b"\1"))
        if kind == 4 and shape[0] != 1:
            continue
        with pytest.raises(BrokenFileError, match=r"a\.mat is (damaged|truncated)"):
            read_matlab(raw, "x", "a.mat")


def test_a_struct_without_fields_has_no_items() -> None:
    fields = element(5, struct.pack("<i", 8)) + element(1, b"")
    value = read_matlab(HEADER + matrix(2, (2**31 - 1, 2**31 - 1), fields), "x", "a.mat")
    assert isinstance(value, Struct)
    assert value.items == ()


def test_size_is_limited_before_and_after_decompression() -> None:
    large = saved(compressed=True, y=np.zeros(3_000_000, np.uint8), x=[1])
    assert len(large) < 10_000
    with pytest.raises(BrokenFileError, match="too large when it is decompressed"):
        read_matlab(large, "x", "a.mat", largest=1 << 20)
    with pytest.raises(BrokenFileError, match="has more than 1048576 bytes"):
        read_matlab(bytes(2 << 20), "x", "a.mat", largest=1 << 20)
    twice = saved(compressed=True, y=np.zeros(900_000, np.uint8), z=np.zeros(900_000, np.uint8))
    with pytest.raises(BrokenFileError, match="too large when it is decompressed"):
        read_matlab(twice, "x", "a.mat", largest=1 << 20)


def test_nothing_is_decompressed_twice() -> None:
    inner = element(15, zlib.compress(matrix(9, (1, 1), element(2, b"\1"))))
    with pytest.raises(BrokenFileError, match="something else than variables"):
        read_matlab(HEADER + element(15, zlib.compress(inner)), "x", "a.mat")
