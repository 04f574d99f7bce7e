"""Where the files of data sets are: the option, then FSSBENCH_DATA, then the configuration file."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fssbench.config import _expanded, config_file, config_name, reachable
from fssbench.datasets.catalogue import folder_name, list_datasets
from fssbench.errors import BrokenFileError, MissingError, unknown_name
from fssbench.files import file_size
from fssbench.toml import line_of, parse, text_of

DATA_VARIABLE = "FSSBENCH_DATA"
"""Environment variable: a folder that holds the data folders, each called as datasets.toml says."""


How = Literal["option", "environment", "config file"]


@dataclass(frozen=True)
class Root:
    """A data folder and how it was found."""

    path: Path
    how: How


def configured_roots() -> dict[str, Path]:
    """Return the data folders in the table [data] of the configuration file, by data set.

    A relative folder is relative to the folder of the file; `~` is the user's home.

    Raises:
        BrokenFileError: If the file is not TOML or has an unknown key, with the line.
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


def find_root(dataset: str, option: Path | None = None) -> Root | None:
    """Return the data folder of a data set and how it was found; None if none is configured.

    The configured folder may be the data folder itself or its parent. FSSBENCH_DATA may name a folder without this data
    set: it may have others.

    Args:
        dataset: Name of the data set; the folder of an unregistered data set has the same name.
        option: The folder from the command line or from Python.

    Raises:
        MissingError: If the option or the configuration file names a folder that does not exist.
        BrokenFileError: If the configuration file is broken.
    """
    if option is not None:
        return Root(_existing(dataset, _expanded(option, "--root"), "--root"), "option")
    folder = folder_name(dataset)
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
        MissingError: If none is configured, with what to set.
        BrokenFileError: If the configuration file is broken.
    """
    found = find_root(dataset, option)
    if found is not None:
        return found.path
    folder = folder_name(dataset)
    variable = os.environ.get(DATA_VARIABLE)
    looked = f"{DATA_VARIABLE}={variable} has no {folder}" if variable else f"{DATA_VARIABLE} is not set"
    raise MissingError(
        f"the folder {folder} of {dataset} was not found: --root is not set, {looked}, "
        f"and {config_name()} does not name it",
        f"--root DIR, or export {DATA_VARIABLE}=DIR where DIR has {folder}; fssbench data where shows what is found, "
        f"fssbench data fetch {dataset} --root DIR gets the data",
    )


def _existing(dataset: str, path: Path, named_by: str) -> Path:
    inner = path / folder_name(dataset)
    if inner.is_dir():
        return inner
    if path.is_dir():
        return path
    raise MissingError(
        f"there is no folder {path}, which {named_by} names as the root of {dataset}", "fssbench data where"
    )


def own_data_in(root: Path) -> str | None:
    """Return "folder" if `root` is a folder of own data, otherwise None."""
    from fssbench.datasets.folder import DESCRIPTION_FILE

    return "folder" if (root / DESCRIPTION_FILE).is_file() else None
