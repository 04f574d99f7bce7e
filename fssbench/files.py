"""Writing a file whole or not at all, and changing one that others change, too."""

from __future__ import annotations

import errno
import os
import re
import secrets
import sys
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from stat import S_ISDIR, S_ISREG

if sys.platform != "win32":
    import fcntl

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""How some network folders say that they have no locks."""
_APPEND = os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0)
_TEMPORARY = re.compile(r"\.(.+)\.[a-z0-9_]{8}", re.DOTALL)
_TRIES = 100


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees half of it: into a temporary one beside it, then renamed.

    Temporary files of this one that killed writers have left go first.

    Raises:
        OSError: If the folder can't be written; nothing is left behind.
    """
    remove_leftovers(path.parent, path.name)
    os.close(replace_locked(path, content))


def replace_locked(path: Path, content: bytes) -> int:
    """Write a file as `write_bytes` does, and return its handle, open for appending and locked until it is closed.

    Raises:
        OSError: If the folder can't be written; nothing is left behind.
    """
    if path.name in ("", "..") or path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    handle, temporary = _temporary(path)
    try:
        written = 0
        while written < len(content):
            written += os.write(handle, memoryview(content)[written:])
        # Others are kept out of it while it is written; what is written is there to be shared.
        temporary.chmod(0o644)
        # Its lock is held until it has its name: a temporary file that nobody holds is a leftover.
        if sys.platform == "win32":  # where an open file has to keep its name
            os.close(handle)
            temporary.replace(path)
            return os.open(path, _APPEND)
        temporary.replace(path)
    except BaseException:
        os.close(handle)
        temporary.unlink(missing_ok=True)
        raise
    return handle


def _temporary(path: Path) -> tuple[int, Path]:
    """Make a temporary file beside `path`, locked, so that others see that its writer lives."""
    for _ in range(_TRIES):
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            handle = os.open(temporary, _APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        with suppress(OSError):  # a folder without locks; nobody removes anything there
            _lock(handle)
        if temporary.exists():  # nobody took it for a leftover before it was locked
            return handle, temporary
        os.close(handle)
    raise FileExistsError(errno.EEXIST, "no name is left for a temporary file", str(path))


def remove_leftovers(folder: Path, name: str) -> None:
    """Remove temporary files that killed writers have left; one whose writer lives is locked, and stays.

    Args:
        folder: Where the file is that they were to become.
        name: Its name, or a pattern of such names (`fnmatch`).
    """
    if sys.platform == "win32":
        return
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _TEMPORARY.fullmatch(entry.name)
            if found and (found[1] == name or fnmatchcase(found[1], name)) and entry.is_file(follow_symlinks=False):
                with suppress(OSError):
                    _remove_dead(Path(entry.path))


def _remove_dead(temporary: Path) -> None:
    if sys.platform != "win32":
        handle = os.open(temporary, os.O_RDWR)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            temporary.unlink()
        finally:
            os.close(handle)


def write_text(path: Path, content: str) -> None:
    """Write a text file (UTF-8, newlines as they are) whole or not at all; see `write_bytes`."""
    write_bytes(path, content.encode("utf-8"))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file that is read, changed and written again: other processes and threads that do so wait.

    The lock is an empty file beside it, because the file itself is replaced when it is written. It stays there: taken
    away, two could hold locks of one name. The system gives the lock back when the process ends, however it ends.

    Raises:
        OSError: If the folder can't be made or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("ab") as lock:
        _lock(lock.fileno())
        yield


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold a folder while a file in it is read, changed and written again; nothing is left in it.

    For folders that hold nothing but what a person wants there. Not every network folder can be held so; what is
    written is whole there, too.

    Raises:
        OSError: If there is no such folder.
    """
    if sys.platform == "win32":
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, also=errno.EBADF)  # where a lock wants a file that can be written
        yield
    finally:
        os.close(handle)


def _lock(handle: int, also: int | None = None) -> None:
    if sys.platform != "win32":
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            # What is written there is still whole.
            if error.errno not in (*_NO_LOCKS, also):
                raise


PACKAGE = Path(__file__).resolve().parent


def shipped(relative: str) -> Path:
    """Return the path of a shipped file or folder such as `checkpoints.toml` or `benchmarks/published`.

    A wheel holds them under `fssbench/shipped`; a checkout has them at its top.
    """
    installed = PACKAGE / "shipped" / relative
    return installed if installed.exists() else PACKAGE.parent / relative


def file_size(path: Path) -> int:
    """Return the bytes of a file that was found in a folder; to open a pipe would wait for ever for a writer.

    Raises:
        OSError: If it is not there, or is a pipe, a socket or a device.
    """
    found = path.stat()
    if not (S_ISREG(found.st_mode) or S_ISDIR(found.st_mode)):
        raise OSError(errno.EINVAL, "it is a pipe, a socket or a device, not a file", str(path))
    return found.st_size


def without_mark(raw: bytes) -> bytes:
    """Return what a text file holds without the byte order mark with which some editors begin UTF-8."""
    return raw.removeprefix(BOM_UTF8)
