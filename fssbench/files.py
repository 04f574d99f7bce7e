"""Writing files atomically, and locking files that several processes change."""

from __future__ import annotations

import errno
import os
import re
import secrets
import sys
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from stat import S_ISDIR, S_ISREG

if sys.platform != "win32":
    import fcntl

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""The errors of network folders that do not support locks."""
_APPEND = os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0)
_TEMPORARY = re.compile(r"\.(.+)\.[a-z0-9_]{8}", re.DOTALL)
_TRIES = 100


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically: to a temporary file in the same folder, which is then renamed.

    Temporary files that killed processes have left are removed first.

    Raises:
        OSError: If the folder can't be written; nothing is left behind.
    """
    remove_leftovers(path.parent, path.name)
    os.close(replace_locked(path, content, durable=True))


def replace_locked(path: Path, content: bytes, *, durable: bool = False) -> int:
    """Write a file like `write_bytes`, and return its handle, which is open for appending and locked until closed.

    Args:
        path: The file.
        content: All of it.
        durable: Whether it is on the disk before it is renamed. If not, a power cut may leave an empty file in place of
            the old one.

    Raises:
        OSError: If the folder can't be written; nothing is left behind.
    """
    if path.name in ("", "..") or path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists():
        file_size(path)  # a device or a pipe is never replaced by a file
    handle, temporary = _temporary(path)
    try:
        written = 0
        while written < len(content):
            written += os.write(handle, memoryview(content)[written:])
        if durable:
            _sync(handle)
        # The file is private while it is written, and readable for others afterwards.
        temporary.chmod(0o644)
        # The lock is held until the file is renamed: a temporary file without a lock is a leftover.
        if sys.platform == "win32":  # where an open file can't be renamed
            os.close(handle)
            temporary.replace(path)
            return os.open(path, _APPEND)
        temporary.replace(path)
    except BaseException as error:
        os.close(handle)
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a full disk is reported without the file
        raise
    return handle


def _sync(handle: int) -> None:
    """Wait until a file is on the disk, where its file system can promise that."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise  # a network disk may say only now that it is full


def _temporary(path: Path) -> tuple[int, Path]:
    """Create a temporary file in the folder of `path`. Its lock shows other processes that it is in use."""
    for _ in range(_TRIES):
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            handle = os.open(temporary, _APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        with suppress(OSError):  # in a folder without locks, leftovers are not removed
            _lock(handle)
        if temporary.exists():  # no other process removed it as a leftover before it was locked
            return handle, temporary
        os.close(handle)
    raise FileExistsError(errno.EEXIST, "no name is left for a temporary file", str(path))


def remove_leftovers(folder: Path, name: str) -> None:
    """Remove temporary files that killed processes have left. A file that is in use is locked, and stays.

    Args:
        folder: The folder of the files that they were to become.
        name: The name of such a file, or a pattern (`fnmatch`).
    """
    if sys.platform == "win32":
        return
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _TEMPORARY.fullmatch(entry.name)
            if found and (found[1] == name or fnmatchcase(found[1], name)) and entry.is_file(follow_symlinks=False):
                with suppress(OSError):
                    _remove_unlocked(Path(entry.path))


def _remove_unlocked(temporary: Path) -> None:
    if sys.platform != "win32":
        handle = os.open(temporary, os.O_RDWR)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            temporary.unlink()
        finally:
            os.close(handle)


def write_text(path: Path, content: str) -> None:
    """Write a text file atomically (UTF-8, newlines unchanged); see `write_bytes`."""
    write_bytes(path, content.encode("utf-8"))


@contextmanager
def locked(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Lock a file while it is read, changed and written: other processes and threads that lock it wait.

    The lock is held on an empty file in the same folder, because the file itself is replaced when it is written. The
    empty file stays: if it were removed, two processes could hold locks on different files of the same name. The system
    releases the lock when the process ends, however it ends.

    Args:
        path: The file.
        waiting: Called if another process or thread holds the lock, before it is waited for.

    Raises:
        OSError: If the folder can't be created or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("ab") as lock:
        if waiting is not None and _is_locked(lock.fileno()):
            waiting()
        _lock(lock.fileno())
        yield


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Lock a folder while a file in it is read, changed and written; no lock file is left in it.

    It is for folders with files of the user. Not every network folder can be locked; files are still written
    atomically there.

    Raises:
        OSError: If there is no such folder.
    """
    if sys.platform == "win32":
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, also=errno.EBADF)  # some systems can lock only files that are open for writing
        yield
    finally:
        os.close(handle)


def _is_locked(handle: int) -> bool:
    """Return whether another process or thread holds the lock of a file; if not, it is locked here."""
    if sys.platform != "win32":
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
    return False


def _lock(handle: int, also: int | None = None) -> None:
    if sys.platform != "win32":
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            # Without locks, files are still written atomically.
            if error.errno not in (*_NO_LOCKS, also):
                raise


PACKAGE = Path(__file__).resolve().parent


def shipped(relative: str) -> Path:
    """Return the path of a shipped file or folder such as `checkpoints.toml` or `benchmarks/published`.

    A wheel has them in `fssbench/shipped`; a checkout has them at its top.
    """
    installed = PACKAGE / "shipped" / relative
    return installed if installed.exists() else PACKAGE.parent / relative


def file_size(path: Path) -> int:
    """Return the size of a file in bytes, and refuse pipes: opening one would wait for a writer forever.

    Raises:
        OSError: If the file does not exist, or is a pipe, a socket or a device.
    """
    found = path.stat()
    if not (S_ISREG(found.st_mode) or S_ISDIR(found.st_mode)):
        raise OSError(errno.EINVAL, "it is a pipe, a socket or a device, not a file", str(path))
    return found.st_size


def without_mark(raw: bytes) -> bytes:
    """Return the content of a text file without the UTF-8 byte order mark that some editors write."""
    return raw.removeprefix(BOM_UTF8)
