"""Folders for temporary files, which do not pile up where commands are killed."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fssbench.files import locked_folder

if sys.platform != "win32":
    import fcntl

_NEW = 60.0
"""Seconds in which a folder may not be locked yet by who made it."""


@contextmanager
def temporary_folder(name: str) -> Iterator[Path]:
    """Make an empty folder, and remove it in the end; and also those of the same name that killed processes have left.

    Args:
        name: How the names of all of them begin, as "fssbench-bench".

    Raises:
        OSError: If there is no folder for temporary files.
    """
    import tempfile

    _remove_left(Path(tempfile.gettempdir()), name)
    with tempfile.TemporaryDirectory(prefix=f"{name}-") as folder, locked_folder(Path(folder)):
        yield Path(folder)


def _remove_left(base: Path, name: str) -> None:
    """Remove folders of this user whose processes have ended: one that is in use is locked."""
    if sys.platform == "win32":
        return
    with suppress(OSError), os.scandir(base) as entries:
        for entry in entries:
            if not entry.name.startswith(f"{name}-") or not entry.is_dir(follow_symlinks=False):
                continue
            with suppress(OSError):
                facts = entry.stat(follow_symlinks=False)
                if facts.st_uid == os.getuid() and facts.st_mtime < time.time() - _NEW:
                    _remove_unlocked(Path(entry.path))


def _remove_unlocked(folder: Path) -> None:
    if sys.platform != "win32":
        handle = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(handle)
