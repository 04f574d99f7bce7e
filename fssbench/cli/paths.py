"""Paths that options name: never empty, and looked at before the work that is to be written there."""

from __future__ import annotations

from pathlib import Path

import typer

from fssbench.errors import UsageError
from fssbench.writable import check_writable


def given_path(text: str | Path) -> Path:
    """Return a path from the command line.

    Raises:
        BadParameter: If nothing was given, as by a variable that is not set: it would mean the folder one is in.
    """
    if not str(text).strip():
        raise typer.BadParameter("the path is empty; a dot stands for the folder you are in")
    return Path(text)


def check_file(option: str, file: Path | None) -> None:
    """Refuse the name of a file to be written where no file can have it, before hours are spent on what goes there.

    Args:
        option: What the name was given with.
        file: The name, if one was.

    Raises:
        UsageError: If there is a folder of that name, or no folder that it can be written into.
    """
    if file is None:
        return
    if file.is_dir() or file.name in ("", ".."):
        raise UsageError(f"{option} is the file to write, and {file} is a folder", f"{option} {file / 'NAME'}")
    if not file.parent.is_dir():
        kind = "is no folder" if file.parent.exists() else "is not there"
        raise UsageError(f"can't write {file}: its folder {file.parent} {kind}", f"give another {option}")
    check_writable(file.parent, option)


def check_folder(option: str, folder: Path | None) -> None:
    """Refuse the name of a folder to be made, or written to, where a file is in the way or nothing can be written.

    Args:
        option: What the name was given with.
        folder: The name, if one was.

    Raises:
        UsageError: If the folder, or one that it is to be made in, is a file, or the system lets nothing be written.
    """
    there = next((place for place in (folder, *folder.parents) if place.exists()), None) if folder else None
    if there is not None and not there.is_dir():
        raise UsageError(f"{option} is a folder, and {there} is a file", f"give another {option}")
    if folder is not None:
        check_writable(folder, option)
