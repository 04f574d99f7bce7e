"""Where data, caches and settings are: the option, then FSSBENCH_DATA, then the configuration file."""

from __future__ import annotations

import logging
import os
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import platformdirs

from fssbench.errors import BrokenFileError, MissingError
from fssbench.foreign_files import file_size
from fssbench.toml_text import parse, text_of

DATA_VARIABLE = "FSSBENCH_DATA"
"""Environment variable: a folder that holds the data folders of `FOLDERS`."""

FOLDERS = {
    "pascal5i": "VOC2012",
    "coco20i": "COCO2014",
    "fss1000": "FSS-1000",
    "suim": "SUIM",
    "deepglobe": "Deepglobe",
    "isic2018": "ISIC",
    "chestxray": "LungSegmentation",
    "folder": "own-data",
}
"""The data folder of each data set that has files, named as in HSNet's and PATNet's releases; one's own may be any."""

How = Literal["option", "environment", "config file"]


@dataclass(frozen=True)
class Root:
    """A data folder and how it was found."""

    path: Path
    how: How


class NoHomeError(MissingError):
    """There is no home folder: HOME is not set, empty or relative, and the system knows none of the user."""


def cache_folder() -> Path:
    """Return the folder of what can be computed again; it need not exist.

    Raises:
        NoHomeError: If there is no home folder that it could be in.
    """
    return _own_folder(platformdirs.user_cache_path, "XDG_CACHE_HOME")


def user_data_folder() -> Path:
    """Return the folder of what the user gave once, such as imported splits; it need not exist.

    Raises:
        NoHomeError: If there is no home folder that it could be in.
    """
    return _own_folder(platformdirs.user_data_path, "XDG_DATA_HOME")


def config_folder() -> Path:
    """Return the folder of what the user has set; it need not exist.

    Raises:
        NoHomeError: If there is no home folder that it could be in.
    """
    return _own_folder(platformdirs.user_config_path, "XDG_CONFIG_HOME")


def config_file() -> Path:
    """Return the path of the configuration file; it need not exist.

    Raises:
        NoHomeError: If there is no home folder that it could be in.
    """
    return config_folder() / "config.toml"


def _own_folder(find: Callable[[str], Path], variable: str) -> Path:
    try:
        path = find("fssbench")
    except RuntimeError:
        path = Path()
    if not path.is_absolute():
        raise NoHomeError(
            "there is no home folder for what is kept: HOME is not set, or is no absolute path",
            f"export HOME=DIR, or {variable}=DIR",
        )
    return path


def reachable(find: Callable[[], Path]) -> Path | None:
    """Return a place of the user's, from which something is read if it is there; None where it can't be reached.

    That is so without a home folder, and in the home of somebody else. It is said once, and what would be read is done
    without: the cache, the configuration, the user's own registry and imported lists.

    Args:
        find: Returns the place.
    """
    try:
        path = find()
        path.exists()
    except NoHomeError as error:
        _say_once(f"{error.message}; going on without cache, configuration and own checkpoints")
    except PermissionError as error:
        _say_once(f"{error.filename} is not readable; going on without it (export HOME=DIR gives another home folder)")
    else:
        return path
    return None


@cache
def _say_once(message: str) -> None:
    logging.getLogger(__name__).warning("%s", message)


def configured_roots() -> dict[str, Path]:
    """Return the data folders that the configuration file names in its table [data], by data set.

    A relative folder is taken from the file's own place; `~` is the user's home.

    Raises:
        BrokenFileError: If the file is not TOML or says something unknown, with the line.
    """
    path = reachable(config_file)
    if path is None:
        return {}
    try:
        file_size(path)
        text = text_of(path)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BrokenFileError(f"can't read {path}: {error}", f"edit {path}") from error
    return {name: path.parent / _expanded(folder, f"{path}, {name}") for name, folder in _parse(text, path).items()}


def _parse(text: str, path: Path) -> dict[str, Path]:
    from pydantic import BaseModel, ConfigDict, Field, ValidationError

    from fssbench.datasets import list_datasets
    from fssbench.errors import unknown_name

    class ConfigFile(BaseModel):
        model_config = ConfigDict(extra="forbid")
        data: dict[str, Path] = Field(default_factory=dict)

    try:
        roots = ConfigFile.model_validate(parse(text)).data
    except tomllib.TOMLDecodeError as error:
        raise BrokenFileError(f"{path} is not TOML: {error}", f"edit {path}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = str(first["loc"][-1])
        line = line_of(text, key)
        raise BrokenFileError(f"{path}, line {line}: {key}: {first['msg']}", f"edit {path}") from error
    known = list_datasets()
    for name in roots:
        if name not in known:
            hint = unknown_name("data set", name, known).message
            raise BrokenFileError(f"{path}, line {line_of(text, name)}: {hint}", f"edit {path}")
    return roots


def line_of(text: str, key: str) -> int:
    """Return the number of the line that sets `key` or opens the table of that name; 1 if none is found."""
    pattern = re.compile(rf"""^\s*\[*\s*["']?{re.escape(key)}["']?\s*[=\].]""")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)


def find_root(dataset: str, option: Path | None = None) -> Root | None:
    """Return the data folder of a data set and how it was found; None if nothing names one.

    What is named may be the data folder itself or its parent. A folder named by FSSBENCH_DATA that does not
    hold this data set is passed over: it may hold the others.

    Args:
        dataset: A key of `FOLDERS`, or another data set that the configuration file names.
        option: What the user gave on the command line or in Python.

    Raises:
        MissingError: If the option or the configuration file names a folder that is not there.
        BrokenFileError: If the configuration file is broken.
    """
    if option is not None:
        return Root(_existing(dataset, _expanded(option, "--root"), "--root"), "option")
    folder = FOLDERS.get(dataset, dataset)
    if variable := os.environ.get(DATA_VARIABLE):
        parent = _expanded(Path(variable), DATA_VARIABLE)
        if (parent / folder).is_dir():
            return Root(parent / folder, "environment")
        if parent.name == folder and parent.is_dir():
            return Root(parent, "environment")
    configured = configured_roots().get(dataset)
    if configured is not None:
        return Root(_existing(dataset, configured, f"{config_file()}"), "config file")
    return None


def require_root(dataset: str, option: Path | None = None) -> Path:
    """Return the data folder of a data set.

    Raises:
        MissingError: If nothing names one, with what to set.
        BrokenFileError: If the configuration file is broken.
    """
    found = find_root(dataset, option)
    if found is not None:
        return found.path
    folder = FOLDERS.get(dataset, dataset)
    variable = os.environ.get(DATA_VARIABLE)
    looked = f"{DATA_VARIABLE}={variable} holds no {folder}" if variable else f"{DATA_VARIABLE} is not set"
    raise MissingError(
        f"{dataset} needs its folder {folder}, and nothing says where it is: no root was given, {looked}, "
        f"and {config_name()} names none",
        f"--root DIR, or export {DATA_VARIABLE}=DIR where DIR holds {folder}; fssbench data where shows what is found",
    )


def config_name() -> str:
    """Return what the configuration file is called in a sentence, also where it can't be reached."""
    try:
        return str(config_file())
    except NoHomeError:
        return "fssbench/config.toml under XDG_CONFIG_HOME"


def _expanded(path: Path, named_by: str) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise MissingError(
            f"{named_by}: {path.parts[0]} in {path} is the home folder of nobody here", "write the whole path"
        ) from error


def _existing(dataset: str, path: Path, named_by: str) -> Path:
    inner = path / FOLDERS.get(dataset, dataset)
    if inner.is_dir():
        return inner
    if path.is_dir():
        return path
    raise MissingError(
        f"there is no folder {path}, which {named_by} names as the root of {dataset}", "fssbench data where"
    )
