"""Writing a file whole or not at all, and changing one that others change, too."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""How some network folders say that they have no locks."""


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees half of it: into a temporary one beside it, then renamed.

    Raises:
        OSError: If the folder can't be written; nothing is left behind.
    """
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        # mkstemp keeps others out; what is written here is there to be shared.
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


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
