"""Whether there is a place to write to, found out before the work whose result goes there."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from fssbench.errors import UsageError

_NO_UNNAMED = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL)
"""How file systems say that they have no files without a name."""


def check_writable(folder: Path, option: str = "--out") -> None:
    """Refuse a folder that can't be made, or in which nothing can be written; nothing is left there.

    Args:
        folder: It need not exist yet, nor those that it is in.
        option: Which gives another.

    Raises:
        UsageError: With the system's reason.
    """
    there = folder
    try:
        while not there.exists():
            if there == there.parent or there.is_symlink():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            there = there.parent
        if not there.is_dir():
            raise UsageError(f"can't make {folder}: {there} is a file, not a folder", f"give another {option}")
        _try(there)
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
