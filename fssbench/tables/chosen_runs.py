"""Which run folders a table is made of: those named in `--compare`, and those of the asked methods in `--runs`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.errors import MissingError

if TYPE_CHECKING:
    from fssbench.results import Run
    from fssbench.tables.layout import LayoutName

_WILD = "*?["


@dataclass(frozen=True)
class ComparedWords:
    """What the words of `--compare` are: names and patterns of methods, or run folders."""

    methods: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()


def find_runs(folder: Path) -> list[Path]:
    """Return the run folders in a folder, at any depth to 4, the folder itself included, sorted.

    Shards that were put together in the folder above them are left out: the whole is there.

    Raises:
        MissingError: If there is no such folder.
    """
    if not folder.is_dir():
        raise MissingError(f"there is no folder of runs {folder}", "fssbench eval writes one; or give --runs DIR")
    patterns = ("run.json", *("/".join(["*"] * depth) + "/run.json" for depth in range(1, 5)))
    found = sorted({path.parent for pattern in patterns for path in folder.glob(pattern)})
    return [path for path in found if path == folder or not _was_merged(path)]


def _was_merged(folder: Path) -> bool:
    from fssbench.results.merge import is_part
    from fssbench.results.run import RUN, SHARDS

    return folder.match(SHARDS) and (folder.parent / RUN).is_file() and is_part(folder, folder.parent)


def compared(words: Sequence[str]) -> ComparedWords:
    """Tell run folders from names of methods; a folder of run folders stands for all of them.

    A word is a folder if it has a slash, or if a folder of that name with runs is there: `./hsnet` where a folder is
    called as a method is. Wildcards work in both.

    Raises:
        MissingError: If a word with a slash is no run folder, nor a folder of such.
    """
    methods: list[str] = []
    folders: dict[Path, None] = {}
    for word in words:
        is_path = os.sep in word or (os.altsep is not None and os.altsep in word)
        found = (
            [run for folder in _folders(word) for run in find_runs(folder)] if is_path or Path(word).is_dir() else []
        )
        if is_path and not found:
            raise MissingError(f"there is no run in {word}", "fssbench eval --out DIR writes one")
        if found:
            folders |= dict.fromkeys(found)
        else:
            methods.append(word)
    return ComparedWords(tuple(methods), tuple(folders))


def layout_of(folders: Sequence[Path], ways: Sequence[int]) -> LayoutName:
    """Return the layout that shows what is asked: "fscs" for more ways than 1, or where no run is of another task."""
    if ways and max(ways) > 1:
        return "fscs"
    return "fscs" if folders and all(run.method.task == "fscs" for run in read_runs(folders).values()) else "fss"


def read_runs(folders: Sequence[Path]) -> dict[Path, Run]:
    """Return what each run says of itself.

    Raises:
        BrokenFileError: If one is damaged.
    """
    # Reading runs needs numpy, which printed numbers alone do not.
    from fssbench.results import read_run

    return {folder: read_run(folder) for folder in folders}


def merged(named: Sequence[Path], others: Sequence[Path]) -> list[Path]:
    """Return run folders, those named first, none of them twice under different spellings."""
    taken = {folder.resolve() for folder in named}
    return [*named, *(folder for folder in others if folder.resolve() not in taken)]


def _folders(word: str) -> list[Path]:
    if not any(char in word for char in _WILD):
        path = Path(word)
        return [path] if path.is_dir() else []
    path = Path(word)
    base = Path(path.anchor) if path.is_absolute() else Path()
    pattern = str(path.relative_to(path.anchor)) if path.is_absolute() else word
    return sorted(folder for folder in base.glob(pattern) if folder.is_dir())
