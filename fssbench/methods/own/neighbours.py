"""The files next to one's own method that it imports: on record too, and never those of another folder."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

from fssbench.errors import UsageError

_MOST = 500
"""More files than a person puts next to a method: what lies beyond is no part of it."""


def imported_files(path: Path, content: bytes) -> dict[str, Path]:
    """Return the files in a method's folder that it imports, itself or through one of them, by their modules' names.

    They are read from the source, so that neither what else is loaded nor where an import stands changes them.

    Args:
        path: The method's file.
        content: What stands in it.
    """
    folder = path.resolve().parent
    found: dict[str, Path] = {}
    left = [content]
    while left and len(found) < _MOST:
        for name in _imports(left.pop()):
            file = _file_of(folder, name)
            if file is not None and name not in found and file != path.resolve():
                found[name] = file
                left.append(file.read_bytes())
    return found


def hashes_of(path: Path, files: dict[str, Path]) -> tuple[tuple[str, str], ...]:
    """Return the name below the method's folder and the sha256 of each file, sorted."""
    folder = path.resolve().parent
    return tuple(
        sorted(
            (str(file.relative_to(folder)), hashlib.sha256(file.read_bytes()).hexdigest()) for file in files.values()
        )
    )


def check_own(path: Path, files: dict[str, Path]) -> None:
    """Refuse a method that got another module of the name of a file next to it: its number would be of other code.

    Raises:
        UsageError: Naming both.
    """
    for name, file in files.items():
        module = sys.modules.get(name)
        there = None if module is None else getattr(module, "__file__", None)
        if there is not None and Path(there).resolve() != file:
            raise UsageError(
                f"{path} imports {name}, and of that name {there} is loaded, not {file}",
                f"give {file.name} a name of its own; of two methods with such files evaluate one at a time",
            )


def _imports(content: bytes) -> Iterator[str]:
    """Yield the names of modules that a source imports, with each package above them."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{one.name}" for one in node.names)]
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[: depth + 1]) for depth in range(len(parts)))


def _file_of(folder: Path, name: str) -> Path | None:
    place = folder.joinpath(*name.split("."))
    files = (place.with_name(f"{place.name}.py"), place / "__init__.py")
    return next((file.resolve() for file in files if file.is_file()), None)
