"""Paths from the command line: they are never empty, and are checked before the work whose result goes there."""

from __future__ import annotations

from pathlib import Path

import typer

from fssbench.errors import UsageError
from fssbench.writable import check_writable


def given_path(text: str | Path) -> Path:
    """Return a path from the command line.

    Raises:
        BadParameter: If it is empty, as with a variable that is not set: it would mean the current folder.
    """
    if not str(text).strip():
        raise typer.BadParameter("the path is empty; a dot stands for the current folder")
    return Path(text)


def check_file(option: str, file: Path | None) -> None:
    """Refuse the path of a file that can't be written, before the work whose result goes there.

    Args:
        option: The option of the path.
        file: The path; None if the option is not set.

    Raises:
        UsageError: If the path is a folder, or its folder does not exist or can't be written.
    """
    if file is None:
        return
    if file.is_dir() or file.name in ("", ".."):
        raise UsageError(f"{option} is the file to write, and {file} is a folder", f"{option} {file / 'NAME'}")
    if file.exists() and not file.is_file():
        raise UsageError(
            f"can't write {file}: it is a pipe, a socket or a device, not a file", f"give another {option}"
        )
    if not file.parent.is_dir():
        kind = "is no folder" if file.parent.exists() else "is not there"
        raise UsageError(f"can't write {file}: its folder {file.parent} {kind}", f"give another {option}")
    check_writable(file.parent, option)


def check_folder(option: str, folder: Path | None) -> None:
    """Refuse a folder that can't be created or written.

    Args:
        option: The option of the folder.
        folder: The folder; None if the option is not set.

    Raises:
        UsageError: With the reason of the system.
    """
    if folder is not None:
        check_writable(folder, option)
