"""Code that a user names: `./my.py:MyNet` or `package.module:MyNet`. It runs because it was named, and only then."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from fssbench.errors import FSSBenchError, MissingError, UsageError

_MAX_BYTES = 4 << 20
"""A larger file is no source that a person wrote."""


@dataclass(frozen=True)
class OwnCode:
    """What was loaded.

    Attributes:
        found: The class or function.
        name: How it is called in records and tables: "my.py:MyNet", or "package.module:MyNet".
        path: Its file; None if it has none.
        sha256: Hex hash of that file as it was run; None if it has none.
    """

    found: object
    name: str
    path: Path | None
    sha256: str | None


def is_own(name: str) -> bool:
    """Return whether a method is named by its code: "FILE.py:NAME" or "MODULE:NAME"."""
    source, _, attribute = name.rpartition(":")
    return bool(source) and bool(attribute)


def load_code(spec: str) -> OwnCode:
    """Load the class or function that a user names.

    Args:
        spec: "FILE.py:NAME" or "MODULE:NAME". A module is looked for where Python finds modules, then in the folder
            one is in. The folder of a file is searched for what the file imports.

    Raises:
        MissingError: If there is no such file or module.
        UsageError: If it can't be imported, or has nothing of that name.
    """
    source, _, attribute = spec.rpartition(":")
    if not attribute.isidentifier():
        raise UsageError(f"'{attribute}' in {spec} is no name of a class or function", "--method ./my.py:MyNet")
    if source.endswith(".py") or "/" in source or "\\" in source:
        named = Path(source)
        content = _content(named, spec)
        module = _from_file(named, content, spec)
        path: Path | None = named
        name = f"{named.name}:{attribute}"
        sha256: str | None = hashlib.sha256(content).hexdigest()
    else:
        module = _from_name(source, spec)
        file = getattr(module, "__file__", None)
        path = None if file is None else Path(file)
        name, sha256 = spec, None if path is None else _sha256_when_imported(path)
    found = getattr(module, attribute, None)
    if found is None:
        there = [key for key, value in vars(module).items() if _defined_in(module, value) and not key.startswith("_")]
        raise UsageError(
            f"{source} has no '{attribute}'; it has {', '.join(there) or 'no class and no function'}",
            f"--method {source}:{there[0] if there else 'NAME'}",
        )
    return OwnCode(found, name, path, sha256)


def own_frame(error: BaseException, path: Path | None) -> str:
    """Return where in a user's file an error came from, "my.py, line 12, in predict"; its kind and words after it."""
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
        raise MissingError(f"there is no file {path}, which --method {spec} names", f"fssbench new method {path.stem}")
    if path.stat().st_size > _MAX_BYTES:
        raise UsageError(f"{path} is larger than {_MAX_BYTES >> 20} MiB: it is no Python source", "name another file")
    return path.read_bytes()


def _from_file(path: Path, content: bytes, spec: str) -> ModuleType:
    # A name of its own: a file may be called like a package that is installed.
    unique = f"fssbench_own_{path.stem}_{hashlib.sha256(str(path.resolve()).encode() + content).hexdigest()[:12]}"
    if unique in sys.modules:
        return sys.modules[unique]
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    found = importlib.util.spec_from_file_location(unique, path.resolve())
    if found is None or found.loader is None:
        raise UsageError(f"{path} is no Python file", "name a file that ends in .py")
    module = importlib.util.module_from_spec(found)
    sys.modules[unique] = module
    try:
        # What was hashed is what runs, whatever is written to the file meanwhile.
        exec(compile(content, str(path.resolve()), "exec"), vars(module))  # noqa: S102 - the user named it to be run
    except FSSBenchError:
        sys.modules.pop(unique, None)
        raise
    except Exception as error:
        sys.modules.pop(unique, None)
        raise UsageError(f"{spec} can't be imported: {own_frame(error, path)}", f"mend {path}") from error
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
    except Exception as error:
        raise UsageError(f"{spec} can't be imported: {own_frame(error, None)}", f"mend {source}") from error


@cache
def _sha256_when_imported(path: Path) -> str:
    """Return the hash of a module's file; what is written to it later is not what runs."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _defined_in(module: ModuleType, value: object) -> bool:
    return (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__ == module.__name__
