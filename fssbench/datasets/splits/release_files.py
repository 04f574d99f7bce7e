"""Finding the split files of a release: in their folder, in a checkout of its repository, or in an archive of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fssbench.datasets.io.archives import files_in
from fssbench.datasets.io.pickled_lists import MAX_BYTES
from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.files import file_size

MAX_COPIES = 64
"""Archives and checkouts with more split files are refused; GF-SAM's has two copies of eight."""


@dataclass(frozen=True)
class SplitFile:
    """A split file.

    Attributes:
        path: Its path, for messages; in an archive it continues that of the archive.
        raw: The content.
    """

    path: Path
    raw: bytes


SplitFiles = Mapping[str, SplitFile]
"""Split files by their path in the folder of the splits, e.g. "val/fold0.pkl"."""


@dataclass(frozen=True)
class Layout:
    """Where split files of a data set are.

    Attributes:
        folder: The folder below data/splits in HSNet's release.
        files: Their paths in that folder.
        released: The paths (a pattern) in a repository; other files of these names are something else.
        known_by: A name (a pattern) of a folder above them, which decides if there are others of the same names.
    """

    folder: str
    files: tuple[str, ...]
    released: str
    known_by: str


def find_split_files(source: Path, layout: Layout) -> SplitFiles:
    """Return the split files of a release.

    Args:
        source: The folder of the splits, one above it, a checkout of a repository that has them somewhere, or a zip,
            tar or tar.gz archive of one.
        layout: Where they are.

    Returns:
        The files that there are, none if there are none.

    Raises:
        MissingError: If there is no such folder or archive.
        UsageError: If there are copies with different content.
        BrokenFileError: If a file or an archive can't be read, or is too large.
    """
    if not source.is_dir():
        if not source.exists():
            raise MissingError(f"there is no folder {source}, and no archive", "--from DIR, or --from ARCHIVE")
        return _searched(source, layout)
    above = ("data/splits", "splits", "data/lists", "lists", ".")
    candidates = (*(source / name / layout.folder for name in above), source)
    folder = next(path for path in candidates if path.is_dir())
    found = {name: _read(folder / name) for name in layout.files if (folder / name).exists()}
    return found or _searched(source, layout)


def _read(path: Path) -> SplitFile:
    try:
        if file_size(path) > MAX_BYTES:
            raise BrokenFileError(f"{path} is too large for a split file")
        return SplitFile(path, path.read_bytes())
    except OSError as error:
        raise BrokenFileError(f"can't read {path}: {error.strerror}") from error


def _searched(source: Path, layout: Layout) -> SplitFiles:
    """Return the split files that are anywhere in a folder or an archive; copies have to be equal."""
    pattern = re.compile(rf"(?:(.*)/)?({layout.released})")
    found: list[tuple[str, str, SplitFile]] = []
    for path, raw in files_in(source, lambda path: pattern.fullmatch(path) is not None, largest=MAX_BYTES):
        match = pattern.fullmatch(path)
        if match is not None:
            found.append((match[1] or "", match[2], SplitFile(source / path, raw)))
        if len(found) > MAX_COPIES:
            raise BrokenFileError(f"{source} has more than {MAX_COPIES} split files", "--from a folder in it")
    known = re.compile(layout.known_by)
    if ours := [one for one in found if any(known.fullmatch(part) for part in PurePosixPath(one[0]).parts)]:
        found = ours
    files: dict[str, SplitFile] = {}
    for _, name, file in found:
        if not _same(files.setdefault(name, file), file):
            raise UsageError(
                f"{source} has two different files {name}: {files[name].path} and {file.path}",
                "--from the folder of one of them, unpacked if it is in an archive",
            )
    return files


def _same(one: SplitFile, other: SplitFile) -> bool:
    """Return whether two files have the same content; git writes line ends of text as each machine has them."""
    if one.path.suffix == ".txt":
        return one.raw.split() == other.raw.split()
    return one.raw == other.raw
