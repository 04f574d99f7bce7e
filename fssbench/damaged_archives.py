"""What Python's readers of zip and tar archives raise for damaged and hostile ones."""

from __future__ import annotations

import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib

DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    struct.error,  # a field that is cut short
    IndexError,  # a member without a name
    RuntimeError,  # encrypted, or compressed in a way that Python does not know
    ValueError,  # a name in no encoding, a negative size
)
"""Besides `OSError`, which bzip2 raises for what it can't unpack."""
