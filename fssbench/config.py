"""Where data, caches and settings are: the option, then FSSBENCH_DATA, then the configuration file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path

import platformdirs

from fssbench.errors import MissingError


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
