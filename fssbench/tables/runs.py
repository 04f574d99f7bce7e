"""The run folders of a table: those named in `--compare`, and those in `--runs`."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.errors import FSSBenchError, MissingError

if TYPE_CHECKING:
    from fssbench.results import Run
    from fssbench.tables.request import LayoutName

_WILD = "*?["
_DEPTH = 4

LeaveOut = Callable[[Path, FSSBenchError], None]
"""Called for a run folder that can't be read: it raises the error, or records it and returns."""


def refuse(folder: Path, error: FSSBenchError) -> None:  # noqa: ARG001 - a `LeaveOut`
    """Raise the error of a run that can't be read.

    Raises:
        FSSBenchError: Always.
    """
    raise error


@dataclass(frozen=True)
class CompareArguments:
    """The arguments of `--compare`, split into methods and run folders.

    Attributes:
        methods: Names and patterns of methods.
        folders: Run folders, including those found inside an argument that is a folder of runs.
        named: The run folders that are arguments themselves.
        hidden: Folders with runs whose name is also the name of a method: the argument means the method.
        order: `methods` and `folders` in the order of the arguments.
    """

    methods: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()
    named: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()
    order: tuple[str | Path, ...] = ()


def find_runs(folder: Path) -> list[Path]:
    """Return the run folders in a folder, up to depth 4, including the folder itself, sorted.

    Links are followed. A folder with several paths is returned once, by its path without links if there is one. Shards
    are left out if the folder above them has the merged run.

    Raises:
        MissingError: If there is no such folder.
    """
    if not folder.is_dir():
        raise MissingError(f"there is no folder of runs {folder}", "fssbench eval writes one; or give --runs DIR")
    found = sorted(path for path in _folders_below(folder) if (path / "run.json").exists())
    return [path for path in found if path == folder or not _was_merged(path)]


def _folders_below(base: Path) -> list[Path]:
    """Return a folder and its subfolders up to depth 4, each once, however many links lead to it."""
    seen: dict[Path, Path] = {}
    reached: dict[Path, int] = {}
    places = [(base, _real(base), 0)]
    links: list[tuple[Path, Path, int]] = []
    while places or links:
        # Paths without links come first, so that folders are listed by them.
        path, real, depth = places.pop() if places else links.pop(0)
        if reached.get(real, _DEPTH + 1) <= depth:
            continue
        seen.setdefault(real, path)
        reached[real] = depth
        if depth == _DEPTH:
            continue
        for name, is_link in _subfolders(path):
            if is_link:
                links.append((path / name, _real(path / name), depth + 1))
            else:
                places.append((path / name, real / name, depth + 1))
    return list(seen.values())


def _real(path: Path) -> Path:
    """Return a path without links; unlike `Path.resolve`, it takes links that lead to themselves as they are."""
    return Path(os.path.realpath(path))


def _subfolders(path: Path) -> list[tuple[str, bool]]:
    """Return the names of the readable subfolders of a folder, and whether each is a link."""
    try:
        with os.scandir(path) as entries:
            return sorted((entry.name, entry.is_symlink()) for entry in entries if _is_folder(entry))
    except OSError:
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _was_merged(folder: Path) -> bool:
    from fssbench.results.merge import is_part
    from fssbench.results.run_reader import RUN, SHARDS

    return folder.match(SHARDS) and (folder.parent / RUN).is_file() and is_part(folder, folder.parent)


def parse_compare(words: Sequence[str], methods: Container[str] = ()) -> CompareArguments:
    """Split the arguments of `--compare` into methods and run folders.

    An argument is a folder if it has a slash, or if a folder of that name exists and has runs. The name of a method
    means the method: `./hsnet` is a folder of that name. A folder of run folders means all of them. Wildcards work for
    both.

    Args:
        words: The arguments.
        methods: Names of methods, in lower case.

    Raises:
        MissingError: If an argument with a slash has no run.
    """
    names: list[str] = []
    folders: dict[Path, None] = {}
    named: list[Path] = []
    hidden: list[Path] = []
    order: list[str | Path] = []
    for word in words:
        is_path = os.sep in word or (os.altsep is not None and os.altsep in word)
        roots = _folders(word) if is_path or Path(word).is_dir() else []
        found = [run for folder in roots for run in find_runs(folder)]
        if is_path and not found:
            raise MissingError(f"there is no run in {word}", "fssbench eval --out DIR writes one")
        if found and not is_path and word.lower() in methods:
            hidden.append(Path(word))
            found = []
        if found:
            folders |= dict.fromkeys(found)
            named += [folder for folder in roots if Path(word) == folder and folder in found]
            order += found
        else:
            names.append(word)
            order.append(word)
    return CompareArguments(tuple(names), tuple(folders), tuple(named), tuple(hidden), tuple(order))


def choose_layout(folders: Sequence[Path], ways: Sequence[int], leave_out: LeaveOut = refuse) -> LayoutName:
    """Return the layout for a request: "fscs" if there are several ways, or if all runs have that task; else "fss"."""
    if ways and max(ways) > 1:
        return "fscs"
    runs = read_runs(folders, leave_out).values()
    return "fscs" if runs and all(run.method.task == "fscs" for run in runs) else "fss"


def read_runs(folders: Sequence[Path], leave_out: LeaveOut = refuse) -> dict[Path, Run]:
    """Return the record of each run.

    Args:
        folders: The run folders.
        leave_out: Called for a folder without a run, or with a damaged one.

    Raises:
        BrokenFileError: If a run is damaged, unless it is left out.
    """
    if not folders:
        return {}
    # Reading runs needs numpy; a table of printed numbers does not.
    from fssbench.results import read_run

    found = {}
    for folder in folders:
        try:
            found[folder] = read_run(folder)
        except FSSBenchError as error:
            leave_out(folder, error)
    return found


def deduplicated(named: Sequence[Path], others: Sequence[Path]) -> list[Path]:
    """Return the run folders of both lists, those of `named` first, without duplicates under another path."""
    taken = {_real(folder) for folder in named}
    return [*named, *(folder for folder in others if _real(folder) not in taken)]


def _folders(word: str) -> list[Path]:
    if not any(char in word for char in _WILD):
        path = Path(word)
        return [path] if path.is_dir() else []
    path = Path(word)
    base = Path(path.anchor) if path.is_absolute() else Path()
    pattern = str(path.relative_to(path.anchor)) if path.is_absolute() else word
    return sorted(folder for folder in base.glob(pattern) if folder.is_dir())
