"""The folders of the cache, of user data and of the configuration file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path

import platformdirs

from fssbench.errors import MissingError

FEATURE_STORE_VARIABLE = "FSSBENCH_FEATURE_STORE"
"""Environment variable: the folder of `fssbench eval --feature-store` where none is named."""


class NoHomeError(MissingError):
    """There is no home folder: HOME is not set, empty or relative, and the system has none for the user."""


def cache_folder() -> Path:
    """Return the folder for data that can be computed again; it need not exist.

    Raises:
        NoHomeError: If there is no home folder for it.
    """
    return _own_folder(platformdirs.user_cache_path, "XDG_CACHE_HOME")


def user_data_folder() -> Path:
    """Return the folder for data that the user imported, such as splits; it need not exist.

    Raises:
        NoHomeError: If there is no home folder for it.
    """
    return _own_folder(platformdirs.user_data_path, "XDG_DATA_HOME")


def config_folder() -> Path:
    """Return the folder of the user's settings; it need not exist.

    Raises:
        NoHomeError: If there is no home folder for it.
    """
    return _own_folder(platformdirs.user_config_path, "XDG_CONFIG_HOME")


def config_file() -> Path:
    """Return the path of the configuration file; it need not exist.

    Raises:
        NoHomeError: If there is no home folder for it.
    """
    return config_folder() / "config.toml"


def _own_folder(find: Callable[[str], Path], variable: str) -> Path:
    try:
        path = find("fssbench")
    except RuntimeError:
        path = Path()
    if not path.is_absolute():
        raise NoHomeError(
            "there is no home folder: HOME is not set, or is not an absolute path",
            f"export HOME=DIR, or {variable}=DIR",
        )
    return path


def reachable(find: Callable[[], Path]) -> Path | None:
    """Return a path in the user's folders; None if it can't be accessed.

    It can't be accessed without a home folder, or in the home folder of another user. A warning is logged once, and
    fssbench works without the file: a cache, the configuration, the user's registry of checkpoints, or imported lists.

    Args:
        find: Returns the path.
    """
    try:
        path = find()
        path.exists()
    except NoHomeError as error:
        _warn_once(f"{error.message}; continuing without cache, configuration and own checkpoints")
    except PermissionError as error:
        _warn_once(f"{error.filename} is not readable; continuing without it (export HOME=DIR sets the home folder)")
    else:
        return path
    return None


@cache
def _warn_once(message: str) -> None:
    logging.getLogger(__name__).warning("%s", message)


def config_name() -> str:
    """Return the path of the configuration file for messages, even if it can't be accessed."""
    try:
        return str(config_file())
    except NoHomeError:
        return "fssbench/config.toml under XDG_CONFIG_HOME"


def _expanded(path: Path, named_by: str) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise MissingError(
            f"{named_by}: there is no user for the home folder {path.parts[0]} in {path}", "write the whole path"
        ) from error
