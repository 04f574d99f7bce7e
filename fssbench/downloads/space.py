"""Room on the disk, before and while files arrive."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fssbench.downloads.shown import size_text
from fssbench.errors import MissingError

RESERVE = 200 << 20
"""Bytes that are left free: a full disk stops other programs, too."""

_FULL = (errno.ENOSPC, errno.EDQUOT)


def check_space(folder: Path, needed: int, what: str) -> None:
    """Refuse what does not fit on the disk of a folder, which need not exist yet.

    Args:
        folder: Where it goes.
        needed: Bytes.
        what: What it is, for the message.

    Raises:
        MissingError: If there is too little room.
    """
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if needed and needed + RESERVE > free:
        raise MissingError(
            f"{what} needs {size_text(needed)} in {folder}, and {size_text(free)} are free there",
            "free some space, or give a folder on another disk with --root, or for checkpoints XDG_CACHE_HOME",
        )


@contextmanager
def full_disk_explained(folder: Path, what: str) -> Iterator[None]:
    """Explain the error of a disk that is full while something is written.

    Raises:
        MissingError: If no space is left, or the user's quota is reached.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise MissingError(
            f"no space is left in {folder} for {what}",
            "free some space; the same command then continues after what has arrived",
        ) from error
