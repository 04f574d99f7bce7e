"""Checking that a folder can be written, before the work whose result goes there."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from fssbench.errors import UsageError

_NO_UNNAMED = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL)
"""The errors of file systems that do not support unnamed files."""


def check_writable(folder: Path, option: str = "--out") -> None:
    """Refuse a folder that can't be created or written; nothing is left there.

    Args:
        folder: The folder; neither it nor its parents need to exist.
        option: The option of the folder, for the message.

    Raises:
        UsageError: With the reason of the system.
    """
    existing = folder
    try:
        while not existing.exists():
            if existing == existing.parent or existing.is_symlink():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            existing = existing.parent
        if not existing.is_dir():
            raise UsageError(f"can't make {folder}: {existing} is a file, not a folder", f"give another {option}")
        _try(existing)
    except OSError as error:
        raise UsageError(f"can't write to {folder}: {error.strerror}", f"give another {option}") from error


def _try(folder: Path) -> None:
    if hasattr(os, "O_TMPFILE"):
        try:
            os.close(os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600))
        except OSError as error:
            if error.errno not in _NO_UNNAMED:
                raise
        else:
            return
    Path(tempfile.mkdtemp(prefix=".fssbench-", dir=folder)).rmdir()
