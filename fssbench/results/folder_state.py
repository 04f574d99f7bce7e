"""The state of a folder that a run is to be written to: what is there, and whether it may be continued or replaced."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from fssbench.errors import BrokenFileError, UsageError
from fssbench.results.row_writer import is_held
from fssbench.results.run_reader import PARTS, ROWS, RUN, SHARDS, Existing
from fssbench.writable import check_writable

PUT_BACK = "put it back, start the run again with --overwrite, or give another --out"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seen:
    """The state of a folder when the command began: inode, size and time of run.json, or None without that file."""

    record: tuple[int, int, int] | None


def check_folder(path: Path, existing: Existing) -> Seen:
    """Refuse a folder that a run can't be written to, and return its state; nothing is written.

    Raises:
        UsageError: If the folder has a run that is neither to be continued nor replaced, a run that another command is
            writing, or other files; or if it can't be created or written.
        BrokenFileError: If the run to be continued has lost its record or its rows.
    """
    _check_content(path, existing)
    if existing is Existing.OVERWRITE and is_held(path / ROWS):
        raise UsageError(f"another run is writing to {path}", "wait for it, or give another --out")
    check_writable(path)
    return seen(path)


def seen(path: Path) -> Seen:
    """Return the state of a folder."""
    try:
        found = (path / RUN).stat()
    except OSError:
        return Seen(None)
    return Seen((found.st_ino, found.st_size, found.st_mtime_ns))


def _check_content(path: Path, existing: Existing) -> None:
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file, not a folder", "give another --out")
    if not path.exists() or all(entry.match(SHARDS) for entry in path.iterdir()):
        return
    if not (path / RUN).exists() and not (path / ROWS).exists():
        raise UsageError(f"{path} has files that do not belong to a run", "give another --out")
    if existing is Existing.REFUSE:
        raise UsageError(
            f"{path} already has a run",
            "continue it with --resume, replace it with --overwrite, or give another --out",
        )
    if existing is Existing.RESUME:
        _check_whole(path)


def _check_whole(path: Path) -> None:
    if not (path / RUN).exists() and holds_rows(path):
        raise BrokenFileError(
            f"the run in {path} can't be continued: it has rows, but no {RUN} that describes them", PUT_BACK
        )
    if (path / RUN).exists() and not any(path.glob(PARTS)) and not (path / ROWS).exists():
        _LOG.warning("%s has %s, but no %s: all episodes are evaluated again", path, RUN, ROWS)


def holds_rows(path: Path) -> bool:
    """Return whether one of the files of rows is not empty."""
    return any(file.stat().st_size > 0 for file in (path / ROWS, *path.glob(PARTS)) if file.exists())
