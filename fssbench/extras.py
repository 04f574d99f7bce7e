"""Packages that only some uses need: imported where they are used, and missed with the command that installs them."""

from __future__ import annotations

import importlib
from types import ModuleType

from fssbench.errors import MissingError


def imported_extra(name: str, what: str, extra: str) -> ModuleType:
    """Import a module of an extra.

    Args:
        name: e.g. "sklearn.cluster".
        what: The beginning of the message if it can't be imported, e.g. "insid3 clusters with scikit-learn, which ...".
        extra: The extra of fssbench that installs it.

    Raises:
        MissingError: If it can't be imported, with the reason and the command.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingError(f"{what}: {error}", f"pip install 'fssbench[{extra}]'") from error
