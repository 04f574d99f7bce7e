"""Reading files of a folder, a zip or a tar archive, by their names. Nothing is unpacked to the disk.

Archives come from outside: names are only compared, links are passed over, and every size is limited before it is read.
"""

from __future__ import annotations

import gzip
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from fssbench.damaged_archives import DAMAGED
from fssbench.errors import BrokenFileError, MissingError
from fssbench.files import file_size

MAX_FILES = 1_000_000
"""Folders and archives of more files are refused."""

MAX_TOTAL = 16 << 30
"""Tar archives of more content are refused: all of it is decompressed on the way. VOC 2012 and SBD have 2 GB each."""

Wanted = Callable[[str], bool]
"""Says of the name of a file, with / between folders, whether it is read."""


def files_in(source: Path, wanted: Wanted, *, largest: int) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the wanted files of a folder, a zip, a tar or a tar.gz archive.

    Args:
        source: The folder or the archive.
        wanted: Which files are read. A name is the path in the source, without a leading "./".
        largest: Largest size of a wanted file in bytes.

    Raises:
        MissingError: If there is no such folder or file.
        BrokenFileError: If it is another kind of file, is damaged or truncated, or has a wanted file that is too large.
    """
    if source.is_dir():
        yield from _in_folder(source, wanted, largest)
        return
    try:
        file_size(source)
        with source.open("rb") as file:
            start = file.read(512)
            file.seek(0)
            yield from _in_archive(file, start, wanted, largest, source)
    except FileNotFoundError as error:
        raise MissingError(f"there is no folder or archive {source}") from error
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError) as error:
        raise BrokenFileError(f"{source} is truncated or damaged: {error}", "fetch or copy it again") from error
    except (*DAMAGED, OSError) as error:
        if isinstance(error, BrokenFileError):
            raise
        raise BrokenFileError(f"can't read {source}: {error}", "fetch or copy it again") from error


def _in_archive(
    file: BinaryIO, start: bytes, wanted: Wanted, largest: int, source: Path
) -> Iterator[tuple[str, bytes]]:
    if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        yield from _in_zip(file, wanted, largest, source)
    elif start[:2] == b"\x1f\x8b":
        with gzip.open(file) as content:
            yield from _in_tar(cast("BinaryIO", content), wanted, largest, source)
    elif start[257:262] == b"ustar":
        yield from _in_tar(file, wanted, largest, source)
    else:
        raise BrokenFileError(f"{source} is not a folder, a zip, a tar or a tar.gz archive")


def _in_folder(folder: Path, wanted: Wanted, largest: int) -> Iterator[tuple[str, bytes]]:
    count = 0
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        count += len(files)
        if count > MAX_FILES:
            raise BrokenFileError(f"{folder} has more than {MAX_FILES} files", "name the folder below it")
        for name in sorted(files):
            path = Path(place) / name
            relative = path.relative_to(folder).as_posix()
            if not wanted(relative):
                continue
            try:
                _check_size(file_size(path), largest, path)
                yield relative, path.read_bytes()
            except OSError as error:
                if isinstance(error, MissingError):
                    raise
                raise BrokenFileError(f"can't read {path}: {error.strerror}") from error


def _in_zip(file: BinaryIO, wanted: Wanted, largest: int, source: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            name = PurePosixPath(member.filename).as_posix()
            if member.is_dir() or not wanted(name):
                continue
            where = source / name
            _check_size(member.file_size, largest, where)
            with archive.open(member) as content:
                raw = content.read(largest + 1)  # The size in the header may be a lie.
            _check_size(len(raw), largest, where)
            yield name, raw


def _in_tar(file: BinaryIO, wanted: Wanted, largest: int, source: Path) -> Iterator[tuple[str, bytes]]:
    bounded = cast("BinaryIO", _Bounded(file, max(largest, 1 << 20), source))
    # A list of all members would grow with the archive, so they are read one by one.
    with tarfile.open(fileobj=bounded, mode="r:") as archive:
        count = 0
        while (member := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]
            count += 1
            if count > MAX_FILES:
                raise BrokenFileError(f"{source} has more than {MAX_FILES} files")
            name = PurePosixPath(member.name).as_posix()
            if not member.isreg() or not wanted(name):
                continue
            _check_size(member.size, largest, source / name)
            content = archive.extractfile(member)
            if content is not None:
                raw = content.read()
                if len(raw) != member.size:
                    raise BrokenFileError(f"{source} is truncated in {name}", "fetch or copy it again")
                yield name, raw


class _Bounded:
    """A file that refuses to read much at once, or to be read for ever: headers of a tar may claim any size."""

    def __init__(self, file: BinaryIO, most: int, source: Path) -> None:
        self._file, self._most, self._source = file, most, source

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self._most:
            raise BrokenFileError(f"{self._source} has a header that claims {size} bytes")
        return self._file.read(size)

    def seek(self, place: int) -> int:
        if place > MAX_TOTAL:
            raise BrokenFileError(f"{self._source} has more than {MAX_TOTAL >> 30} GiB of content")
        return self._file.seek(place)

    def tell(self) -> int:
        return self._file.tell()


def _check_size(size: int, largest: int, where: Path) -> None:
    if size > largest:
        raise BrokenFileError(f"{where} has {size} bytes, more than the {largest} that such a file can have")
