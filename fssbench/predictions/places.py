"""Where the predictions of a run are: as a path from its folder, so that both can be moved together."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath, PureWindowsPath

_LONGEST = 1024


def path_from(run: Path, predictions: Path) -> str | None:
    """Return the path from a run folder to a folder that is in it or next to it; None if it is elsewhere.

    Args:
        run: The run folder.
        predictions: The folder of label maps.
    """
    here, there = run.resolve(), predictions.resolve()
    if not there.is_relative_to(here.parent) or there == here.parent or here.is_relative_to(there):
        return None
    return Path(os.path.relpath(there, here)).as_posix()


def place_of(run: Path, recorded: str) -> Path | None:
    """Return the folder that a path in run.json means, which may have come from anybody; None if it is refused.

    Only what `path_from` writes is taken: a relative path into the run folder, or next to it.

    Args:
        run: The run folder.
        recorded: The path.
    """
    if not recorded.isprintable() or not 0 < len(recorded) <= _LONGEST or "\\" in recorded:
        return None
    path = PurePosixPath(recorded)
    if path.is_absolute() or PureWindowsPath(recorded).drive or ".." in path.parts[1:] or path.parts in ((), ("..",)):
        return None
    found = run / path
    # A link in the folder must not lead elsewhere, either.
    return found if found.resolve().is_relative_to(run.resolve().parent) else None
