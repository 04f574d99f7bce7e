"""Imports code that the user names: `./my.py:MyNet` or `package.module:MyNet`. No other code of the user is run."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from fssbench.errors import FSSBenchError, MissingError, UsageError
from fssbench.methods.own.neighbours import check_own, hashes_of, imported_files

_MAX_BYTES = 4 << 20
"""Larger files are refused, because they can't be written by hand."""


@dataclass(frozen=True)
class OwnCode:
    """Imported code of the user.

    Attributes:
        found: The class or function.
        name: Its name in records and tables: "my.py:MyNet", or "package.module:MyNet".
        path: Its file; None if it has none.
        sha256: Hex hash of that file as it was run; None if it has none.
        imports: Of a file, those next to it that it imports: name and sha256 of each.
    """

    found: object
    name: str
    path: Path | None
    sha256: str | None
    imports: tuple[tuple[str, str], ...] = ()


def load_code(spec: str) -> OwnCode:
    """Import the class or function that the user names.

    Args:
        spec: "FILE.py:NAME" or "MODULE:NAME". A module is searched for on Python's path, then in the current folder. A
            file may import other files of its folder.

    Raises:
        MissingError: If there is no such file or module.
        UsageError: If it can't be imported, or has no such name.
    """
    source, _, attribute = spec.rpartition(":")
    if spec.endswith(".py") and not Path(spec).is_dir():
        raise UsageError(f"{spec} is a file, and no class or function of it is named", f"--method {spec}:NAME")
    if not source:
        raise UsageError(f"{spec} names no file and no module", f"--method ./my.py{spec}")
    if not attribute.isidentifier():
        raise UsageError(
            f"'{attribute}' in {spec} is not a valid name of a class or function", "--method ./my.py:MyNet"
        )
    if source.endswith(".py") or "/" in source or "\\" in source:
        named = Path(source)
        content = _content(named, spec)
        neighbours = imported_files(named, content)
        imports = hashes_of(named, neighbours)
        module = _from_file(named, content, spec)
        check_own(named, neighbours)
        path: Path | None = named
        name = f"{named.name}:{attribute}"
        sha256: str | None = hashlib.sha256(content).hexdigest()
    else:
        module = _from_name(source, spec)
        file = getattr(module, "__file__", None)
        path = None if file is None else Path(file)
        name, sha256 = spec, None if path is None else _sha256_when_imported(path)
        imports = ()
    found = getattr(module, attribute, None)
    if found is None:
        available = [
            key for key, value in vars(module).items() if _defined_in(module, value) and not key.startswith("_")
        ]
        raise UsageError(
            f"{source} has no '{attribute}'; it has {', '.join(available) or 'no class and no function'}",
            f"--method {source}:{available[0] if available else 'NAME'}",
        )
    return OwnCode(found, name, path, sha256, imports)


def own_frame(error: BaseException, path: Path | None) -> str:
    """Return where in the user's file an error occurred, "my.py, line 12, in predict", then its type and message."""
    place, trace = "", error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if path is not None and Path(code.co_filename).resolve() == path.resolve():
            place = f"{path}, line {trace.tb_lineno}, in {code.co_name}: "
        trace = trace.tb_next
    words = " ".join(str(error).split()) or "no message"
    return f"{place}{type(error).__name__}: {words}"


def _content(path: Path, spec: str) -> bytes:
    if not path.is_file():
        here = path.stem.isidentifier() and path.parent == Path() and not path.exists()
        remedy = f"fssbench new method {path.stem}" if here else "name your method's file: --method DIR/my.py:MyNet"
        raise MissingError(f"there is no file {path}, which --method {spec} names", remedy)
    if path.stat().st_size > _MAX_BYTES:
        raise UsageError(f"{path} is larger than {_MAX_BYTES >> 20} MiB: it is not Python source", "name another file")
    return path.read_bytes()


def _from_file(path: Path, content: bytes, spec: str) -> ModuleType:
    # A unique module name, because a file may have the name of an installed package.
    unique = f"fssbench_own_{path.stem}_{hashlib.sha256(str(path.resolve()).encode() + content).hexdigest()[:12]}"
    if unique in sys.modules:
        return sys.modules[unique]
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    found = importlib.util.spec_from_file_location(unique, path.resolve())
    if found is None or found.loader is None:
        raise UsageError(f"{path} is not a Python file", "name a file that ends in .py")
    module = importlib.util.module_from_spec(found)
    sys.modules[unique] = module
    here = Path.cwd()
    try:
        # Run exactly what was hashed, even if the file has changed since.
        exec(compile(content, str(path.resolve()), "exec"), vars(module))  # noqa: S102 - the user named it to be run
    except FSSBenchError:
        sys.modules.pop(unique, None)
        raise
    except (Exception, SystemExit) as error:
        sys.modules.pop(unique, None)
        relative = isinstance(error, ImportError) and "relative import" in str(error)
        remedy = "import a file next to it without the dot: from parts import Part" if relative else f"correct {path}"
        raise UsageError(f"{spec} can't be imported: {own_frame(error, path)}", remedy) from error
    if Path.cwd() != here:
        os.chdir(here)
        sys.modules.pop(unique, None)
        raise UsageError(
            f"{path} changes the folder that the command is in when it is imported; paths would mean others there",
            "leave os.chdir out, or call it only under if __name__ == '__main__'",
        )
    return module


def _from_name(source: str, spec: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        return importlib.import_module(source)
    except ModuleNotFoundError as error:
        if error.name is not None and (source == error.name or source.startswith(f"{error.name}.")):
            raise MissingError(
                f"there is no module {error.name}, which --method {spec} names", "name its file: ./my.py:MyNet"
            ) from error
        raise UsageError(f"{spec} can't be imported: {own_frame(error, None)}", "install it") from error
    except FSSBenchError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(f"{spec} can't be imported: {own_frame(error, None)}", f"correct {source}") from error


@cache
def _sha256_when_imported(path: Path) -> str:
    """Return the hash of a module's file at its import; later changes of the file are not run."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _defined_in(module: ModuleType, value: object) -> bool:
    return (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__ == module.__name__
