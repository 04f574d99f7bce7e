"""Archives that hold the checkpoints of several records."""

from __future__ import annotations

import re
import tarfile
import zipfile
from pathlib import Path

from fssbench.damaged_archives import DAMAGED
from fssbench.downloads.shown import Shown
from fssbench.downloads.unpacking import Limits, names_in, unpack
from fssbench.errors import BrokenFileError

LIMITS = Limits(files=10_000, size=32 << 30, ratio=20)
"""Weights are hardly compressed."""


def is_archive(path: Path) -> bool:
    """Return whether a file is a zip or tar archive of other files; torch's own files are zip archives, too."""
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as opened:
                return not any(name.endswith("data.pkl") for name in opened.namelist())
        except (*DAMAGED, OSError):
            return False
    return tarfile.is_tarfile(path)


def archived_names(archive: Path) -> list[str]:
    """Return the paths of the files in an archive.

    Raises:
        BrokenFileError: If it is damaged, or holds too many.
    """
    names = names_in(archive)
    if len(names) > LIMITS.files:
        raise BrokenFileError(f"{archive} holds more than {LIMITS.files} files")
    return [name for name in names if not name.startswith("__MACOSX/")]


def unpack_one(archive: Path, name: str, target: Path, shown: Shown) -> Path:
    """Unpack one file of an archive, and return its path.

    Raises:
        BrokenFileError: If the archive is damaged, or claims to be larger than it can be.
        MissingError: If the disk is full.
    """
    folder, _, base = name.rpartition("/")
    before = re.escape(f"{folder}/") if folder else ""
    into = target.with_name(f"{target.name}.unpacked")
    (into / base).unlink(missing_ok=True)  # of an earlier unpacking
    unpack(archive, into, [f"{before}({re.escape(base)})"], target, shown, LIMITS)
    (into / base).replace(target)
    into.rmdir()
    return target
