"""Rows appended to the file of a run while its episodes are evaluated, under a lock.

A run that is killed loses at most the row that is being written.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from fssbench.errors import UsageError
from fssbench.files import replace_locked
from fssbench.results.rows import Row, line_of

if sys.platform != "win32":
    import fcntl

_TRIES, _PAUSE = 5, 0.02
"""Attempts and seconds between them: a command that only tests the lock (`is_held`) holds it for a moment."""


def is_held(path: Path) -> bool:
    """Return whether a `RowWriter` has a file open at the moment."""
    if sys.platform == "win32":
        return False
    try:
        file = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a folder without locks
        return False
    finally:
        os.close(file)
    return False


class RowWriter:
    """Appends rows to a file. Each row is passed to the operating system at once, so it survives if the run is killed.

    Args:
        path: The file; it is created if it does not exist. An incomplete last line is removed.

    Raises:
        UsageError: If another run writes to the file, or it can't be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1
        try:
            self._open()
            self._cut_torn_line()
        except BaseException:
            self.close()
            raise

    def append(self, row: Row) -> None:
        """Write one row.

        Raises:
            UsageError: If the disk is full or gone.
        """
        line = line_of(row).encode("ascii") + b"\n"
        try:
            while line:
                line = line[os.write(self._file, line) :]
        except OSError as error:
            raise UsageError(
                f"can't write {self.path}: {error.strerror}", "make room, then continue with --resume"
            ) from error

    def rewrite(self, rows: Iterable[Row]) -> None:
        """Replace all rows of the file, atomically; the file stays locked.

        Raises:
            UsageError: If they can't be written.
        """
        content = "".join(f"{line_of(row)}\n" for row in rows).encode("ascii")
        try:
            file = replace_locked(self.path, content, durable=True)
        except OSError as error:
            raise UsageError(f"can't write {self.path}: {error.strerror}", "make room, then try again") from error
        self.close()
        self._file = file

    def clear(self) -> None:
        """Remove all rows of the file."""
        os.ftruncate(self._file, 0)

    def close(self) -> None:
        """Close the file, which also releases the lock."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> None:
        """Open and lock the file, and repeat that if another run has replaced the file in the meantime."""
        while True:
            try:
                self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            except OSError as error:
                raise UsageError(f"can't write {self.path}: {error.strerror}", "give another --out") from error
            self._lock()
            if self.path.exists() and os.path.samestat(os.fstat(self._file), self.path.stat()):
                return
            self.close()

    def _lock(self) -> None:
        # The system releases the lock when the process ends, however it ends.
        if sys.platform != "win32":
            for left in reversed(range(_TRIES)):
                try:
                    fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    if not left:
                        raise UsageError(
                            f"another run is writing to {self.path.parent}", "wait for it, or give another --out"
                        ) from error
                    time.sleep(_PAUSE)
                else:
                    return

    def _cut_torn_line(self) -> None:
        size = os.fstat(self._file).st_size
        end, block = size, 1 << 16
        while end:
            start = max(end - block, 0)
            os.lseek(self._file, start, os.SEEK_SET)
            place = os.read(self._file, end - start).rfind(b"\n")
            if place >= 0:
                end = start + place + 1
                break
            end = start
        if end < size:
            os.ftruncate(self._file, end)
