"""The data folder that is fetched to, which need not exist yet."""

from __future__ import annotations

import os
from pathlib import Path

from fssbench.config import _expanded
from fssbench.datasets.catalogue import folder_name
from fssbench.datasets.fetching.sources import source_of
from fssbench.datasets.roots import DATA_VARIABLE, find_root
from fssbench.errors import UsageError

WORK = ".fssbench"
"""The folder in the data folder where files arrive."""


def destination(name: str, root: Path | None) -> Path:
    """Return the data folder of a data set: as `find_root` finds it, or as it will be found once it is there.

    Args:
        name: Name of the data set.
        root: The option: the data folder, or the folder that has it or will have it.

    Raises:
        UsageError: If nothing says where the data goes.
        MissingError: If the configuration file names a folder that does not exist.
        BrokenFileError: If the configuration file is broken.
    """
    folder = folder_name(name)
    if root is not None:
        given = _expanded(root, "--root")
        if given.name == folder or (not (given / folder).is_dir() and _is_data_folder(name, given)):
            return given
        return given / folder
    if found := find_root(name):
        return found.path
    if variable := os.environ.get(DATA_VARIABLE):
        return _expanded(Path(variable), DATA_VARIABLE) / folder
    raise UsageError(
        f"nothing says where {name} should go: --root is not set, and {DATA_VARIABLE} is not either",
        f"--root DIR, or export {DATA_VARIABLE}=DIR; the data goes to DIR/{folder}",
    )


def _is_data_folder(name: str, folder: Path) -> bool:
    """Return whether a folder of another name has a part of the data set in it, whole or not."""
    source = source_of(name)
    tops = {pattern.partition("/")[0] for part in source.parts for pattern in part.holds} if source else set()
    return any((folder / top).exists() for top in tops if "*" not in top)


def work_folder(folder: Path) -> Path:
    """Return where files arrive before they are whole."""
    return folder / WORK
