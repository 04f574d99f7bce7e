"""Which run folders a table is made of: those named in `--compare`, and those of the asked methods in `--runs`."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.errors import FSSBenchError, MissingError

if TYPE_CHECKING:
    from fssbench.results import Run
    from fssbench.tables.layout import LayoutName

_WILD = "*?["
_DEPTH = 4

LeaveOut = Callable[[Path, FSSBenchError], None]
"""What is done about a run folder that can't be read: raise the error, or make a note and go on without it."""


def refuse(folder: Path, error: FSSBenchError) -> None:  # noqa: ARG001 - a `LeaveOut`
    """Leave out nothing: a run that can't be read is an error.

    Raises:
        FSSBenchError: Always.
    """
    raise error


@dataclass(frozen=True)
class CompareArguments:
    """What the words of `--compare` are: names and patterns of methods, or run folders.

    Attributes:
        methods: Names and patterns.
        folders: Run folders, those too that were found in a folder that is named.
        named: The run folders among them that are named themselves.
        hidden: Folders with runs that have the name of a method, which is what the word stands for.
    """

    methods: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()
    named: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()


def find_runs(folder: Path) -> list[Path]:
    """Return the run folders in a folder, at any depth to 4, the folder itself included, sorted.

    Links are followed; a folder that is reached on several ways counts once, by the way without links if there is one.
    Shards that were put together in the folder above them are left out: the whole is there.

    Raises:
        MissingError: If there is no such folder.
    """
    if not folder.is_dir():
        raise MissingError(f"there is no folder of runs {folder}", "fssbench eval writes one; or give --runs DIR")
    found = sorted(path for path in _folders_below(folder) if (path / "run.json").exists())
    return [path for path in found if path == folder or not _was_merged(path)]


def _folders_below(base: Path) -> list[Path]:
    """Return a folder and those in it to the depth of 4, each once however many links lead to it."""
    seen: dict[Path, Path] = {}
    reached: dict[Path, int] = {}
    places = [(base, base.resolve(), 0)]
    links: list[tuple[Path, Path, int]] = []
    while places or links:
        # What needs no link comes first, and gives the folder the name it is listed by.
        path, real, depth = places.pop() if places else links.pop(0)
        if reached.get(real, _DEPTH + 1) <= depth:
            continue
        seen.setdefault(real, path)
        reached[real] = depth
        if depth == _DEPTH:
            continue
        for name, is_link in _subfolders(path):
            if is_link:
                links.append((path / name, (path / name).resolve(), depth + 1))
            else:
                places.append((path / name, real / name, depth + 1))
    return list(seen.values())


def _subfolders(path: Path) -> list[tuple[str, bool]]:
    """Return the names of the folders in a folder that may be read, and whether each is a link."""
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
    """Tell run folders from names of methods; a folder of run folders stands for all of them.

    A word is a folder if it has a slash, or if a folder of that name with runs is there. The name of a method is that
    method: `./hsnet` is the folder that is called so. Wildcards work in both.

    Args:
        words: What was typed.
        methods: Names of methods, in small letters.

    Raises:
        MissingError: If a word with a slash is no run folder, nor a folder of such.
    """
    names: list[str] = []
    folders: dict[Path, None] = {}
    named: list[Path] = []
    hidden: list[Path] = []
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
        else:
            names.append(word)
    return CompareArguments(tuple(names), tuple(folders), tuple(named), tuple(hidden))


def choose_layout(folders: Sequence[Path], ways: Sequence[int], leave_out: LeaveOut = refuse) -> LayoutName:
    """Return the layout that shows what is asked: "fscs" for more ways than 1, or where no run is of another task."""
    if ways and max(ways) > 1:
        return "fscs"
    runs = read_runs(folders, leave_out).values()
    return "fscs" if runs and all(run.method.task == "fscs" for run in runs) else "fss"


def read_runs(folders: Sequence[Path], leave_out: LeaveOut = refuse) -> dict[Path, Run]:
    """Return what each run says of itself.

    Args:
        folders: The run folders.
        leave_out: What is done about one that is no run, or a damaged one.

    Raises:
        BrokenFileError: If one is damaged, unless it is left out.
    """
    if not folders:
        return {}
    # Reading runs needs numpy, which printed numbers alone do not.
    from fssbench.results import read_run

    found = {}
    for folder in folders:
        try:
            found[folder] = read_run(folder)
        except FSSBenchError as error:
            leave_out(folder, error)
    return found


def deduplicated(named: Sequence[Path], others: Sequence[Path]) -> list[Path]:
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
