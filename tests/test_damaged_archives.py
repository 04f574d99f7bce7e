"""Zip archives that Python's reader takes in and fails on later are damaged files, wherever they are read."""

from __future__ import annotations

import bz2
import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fssbench.checkpoints.archives import archived_names
from fssbench.checkpoints.files import check_contents
from fssbench.datasets.io.archives import files_in
from fssbench.downloads.unpacking import names_in, unpack
from fssbench.errors import BrokenFileError

NAME = b"data.pkl"


def made(method: int, *, flags: int = 0, name: bytes = NAME, extra: bytes = b"", content: bytes = b"c" * 40) -> bytes:
    """Return a zip archive with one file, whose header is taken as it is."""
    fields = (flags, method, 0, 0, 0, len(content), 40, len(name), len(extra))
    head = struct.pack("<4sHHHHHLLLHH", b"PK\x03\x04", 20, *fields) + name + extra
    entry = struct.pack("<4sHHHHHHLLLHHHHHLL", b"PK\x01\x02", 20, 20, *fields, 0, 0, 0, 0, 0) + name + extra
    end = struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, 1, 1, len(entry), len(head) + len(content), 0)
    return head + content + entry + end


def broken_in(packed: bytes) -> bytes:
    """Return packed data with a part that its format does not allow."""
    return packed[:8] + b"\xff" * 12 + packed[20:]


HOSTILE = {
    "no name": made(0, name=b""),
    "encrypted": made(0, flags=1),
    "unknown method": made(97),
    "field cut short": made(0, extra=b"\x01\x00\x10\x00\x01"),
    "bzip2": made(12, content=broken_in(bz2.compress(b"c" * 40))),
    "lzma": made(14, content=b"\x09\x04\x05\x00" + b"\xff" * 60),
    "deflate": made(8, content=b"\xff" * 40),
    "name in no encoding": made(0, flags=0x800, name=b"\xff\xfe"),
}


def read(path: Path, into: Path) -> object:
    return list(files_in(path, lambda name: True, largest=1000))


def unpacked(path: Path, into: Path) -> object:
    into.mkdir()
    return unpack(path, into, ["(.*)"], into.parent / "part")


def named(path: Path, into: Path) -> object:
    return names_in(path)


def weights_named(path: Path, into: Path) -> object:
    return archived_names(path)


def checked(path: Path, into: Path) -> object:
    return check_contents(path)


def outcome(reader: Callable[[Path, Path], object], path: Path, into: Path) -> str:
    """Return why an archive is refused; empty if it is read."""
    try:
        reader(path, into)
    except BrokenFileError as error:
        return error.message
    return ""


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("reader", [read, unpacked, named, weights_named, checked])
def test_it_is_refused_in_one_line(reader: Callable[[Path, Path], object], hostile: str, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(HOSTILE[hostile])
    reason = outcome(reader, path, tmp_path / "out")
    assert "damaged" in reason or "can't read" in reason or (not reason and reader in (named, weights_named))
    assert "\n" not in reason
    assert not list((tmp_path / "out").glob("*"))


def failure(content: bytes) -> str:
    """Return the type of the error that Python's reader raises; empty if it raises none."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist():
                if not member.is_dir():
                    archive.read(member)
    except Exception as error:
        return type(error).__name__
    return ""


def test_the_archives_are_hostile_in_different_ways() -> None:
    """Otherwise all of them would be refused for one and the same reason."""
    found = {failure(content) for content in HOSTILE.values()}
    assert found >= {"IndexError", "RuntimeError", "NotImplementedError", "OSError", "LZMAError"}, found
    assert "" not in found
