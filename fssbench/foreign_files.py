"""What all readers of files from elsewhere have in common: no pipe is waited for, no byte order mark in the way."""

from __future__ import annotations

import errno
from codecs import BOM_UTF8
from pathlib import Path
from stat import S_ISDIR, S_ISREG


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
