"""Unpacking archives from outside: nothing leaves the folder, no links, and limits on number, size and ratio.

Each file is written next to the others and renamed when it is whole, so that an unpacking that was broken off goes on
with the files that are missing.
"""

from __future__ import annotations

import re
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from fssbench.damaged_archives import DAMAGED
from fssbench.downloads.shown import Shown, Silent
from fssbench.downloads.space import check_space, full_disk_explained
from fssbench.errors import BrokenFileError, FSSBenchError

CHUNK = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What an archive may hold at most.

    Attributes:
        files: Number of entries.
        size: Bytes of all files together.
        ratio: How many times larger all files may be than the archive.
    """

    files: int = 1_000_000
    size: int = 64 << 30
    ratio: int = 100


@dataclass(frozen=True)
class _Member:
    """A file in an archive."""

    name: str
    size: int
    entry: zipfile.ZipInfo | tarfile.TarInfo


def unpack(
    archive: Path,
    into: Path,
    take: Sequence[str],
    temporary: Path,
    shown: Shown | None = None,
    limits: Limits | None = None,
) -> int:
    """Unpack files of a zip or tar archive (plain, gz, bz2, xz), and return how many were written.

    Args:
        archive: The archive.
        into: The folder.
        take: Patterns (regular expressions) of whole names. The first group is the path in `into`. Files without a
            match are not unpacked; a file that is there with the same size is kept.
        temporary: A file on the same disk that each file is written to first.
        shown: Where the progress goes.
        limits: What the archive may hold.

    Raises:
        BrokenFileError: If it is not an archive, is damaged, holds a name that leads out of the folder or a link, or is
            over a limit.
        MissingError: If the disk is full.
    """
    limits, shown = limits or Limits(), shown or Silent()
    patterns = [re.compile(pattern) for pattern in take]
    written = total = 0
    try:
        with _opened(archive) as opened, full_disk_explained(into, archive.name):
            needed = None  # a tar archive has no list of its files
            if isinstance(opened, zipfile.ZipFile):
                needed = sum(entry.file_size for entry in opened.infolist() if _place(entry.filename, patterns))
                _check_size(archive, needed, limits)
                check_space(into, needed - _there(opened, into, patterns), f"what is in {archive.name}")
            shown.begin(f"unpacking {archive.name}", 0, needed)
            for number, member in enumerate(_members(opened), 1):
                if number > limits.files:
                    raise BrokenFileError(f"{archive} holds more than {limits.files} files")
                place = _place(member.name, patterns)
                if place is not None or isinstance(opened, tarfile.TarFile):  # which is decompressed as a whole
                    total += member.size
                    _check_size(archive, total, limits)
                if place is None:
                    continue
                if not _is_plain(member.entry):
                    raise BrokenFileError(f"{archive} holds a link or a device, {member.name[:80]!r}")
                path = into / place
                if not (path.is_file() and path.stat().st_size == member.size):
                    _write(opened, member, path, temporary)
                    written += 1
                shown.advance(member.size)
    except (*DAMAGED, OSError) as error:
        # An error of the system has a number; bzip2's is of the archive.
        if isinstance(error, FSSBenchError) or getattr(error, "errno", None) is not None:
            raise
        raise BrokenFileError(f"{archive} is damaged or not an archive: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return written


def names_in(archive: Path) -> list[str]:
    """Return the names of the files in a zip or tar archive; links and devices of a tar archive are none.

    Raises:
        BrokenFileError: If it is damaged, or is no archive.
    """
    try:
        with _opened(archive) as opened:
            every = isinstance(opened, zipfile.ZipFile)
            return [one.name for one in _members(opened) if every or _is_plain(one.entry)]
    except (*DAMAGED, OSError) as error:
        raise BrokenFileError(f"{archive} is damaged: {error}", "fetch it again") from error


def _check_size(archive: Path, total: int, limits: Limits) -> None:
    if total > min(limits.size, limits.ratio * archive.stat().st_size):
        raise BrokenFileError(
            f"{archive} claims to hold {total} bytes, too many for an archive of its size; it is not unpacked further"
        )


def _place(name: str, patterns: Sequence[re.Pattern[str]]) -> str | None:
    """Return where a file goes, relative to the folder; None if it is not taken.

    Raises:
        BrokenFileError: If the name leads out of the folder.
    """
    if name.startswith("/") or ".." in PurePosixPath(name).parts or re.search(r"[\\\x00]|^[A-Za-z]:", name):
        raise BrokenFileError(f"the archive holds a name that leads out of the folder: {name[:80]!r}")
    found = next((match for pattern in patterns if (match := pattern.fullmatch(name))), None)
    return None if found is None else found[1]


def _there(opened: zipfile.ZipFile, into: Path, patterns: Sequence[re.Pattern[str]]) -> int:
    """Return the bytes of the files that are unpacked already."""
    pairs = ((entry.file_size, _place(entry.filename, patterns)) for entry in opened.infolist())
    return sum(size for size, place in pairs if place and (into / place).is_file())


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile | tarfile.TarFile]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            yield opened
    else:
        with tarfile.open(archive) as opened:
            yield opened


def _members(opened: zipfile.ZipFile | tarfile.TarFile) -> Iterator[_Member]:
    if isinstance(opened, zipfile.ZipFile):
        for info in opened.infolist():
            if not info.is_dir():
                yield _Member(info.filename, info.file_size, info)
    else:
        for entry in opened:
            if not entry.isdir():
                yield _Member(entry.name.removeprefix("./"), entry.size, entry)


def _is_plain(entry: zipfile.ZipInfo | tarfile.TarInfo) -> bool:
    if isinstance(entry, tarfile.TarInfo):
        return entry.isreg()
    kind = entry.external_attr >> 16 & 0o170000
    return kind in (0, 0o100000)


def _write(opened: zipfile.ZipFile | tarfile.TarFile, member: _Member, path: Path, temporary: Path) -> None:
    source: IO[bytes] | None
    if isinstance(opened, zipfile.ZipFile) and isinstance(member.entry, zipfile.ZipInfo):
        source = opened.open(member.entry)
    elif isinstance(opened, tarfile.TarFile) and isinstance(member.entry, tarfile.TarInfo):
        source = opened.extractfile(member.entry)
    else:
        source = None
    if source is None:
        raise BrokenFileError(f"the archive has no content of {member.name[:80]!r}")
    with source, temporary.open("wb") as file:
        left = member.size
        while chunk := source.read(CHUNK):
            left -= len(chunk)
            if left < 0:
                raise BrokenFileError(f"the archive holds more of {member.name[:80]!r} than it states")
            file.write(chunk)
    if left:
        raise BrokenFileError(f"the archive ends within {member.name[:80]!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink() or path.is_dir():
        raise BrokenFileError(f"{path} is a link or a folder, where a file of the archive belongs")
    temporary.replace(path)
