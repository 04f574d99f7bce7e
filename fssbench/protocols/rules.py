"""Protocols by name: those of protocols.toml, those of other packages, and those in own files."""

from __future__ import annotations

import logging
import tomllib
from contextlib import suppress
from dataclasses import replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import cast

from fssbench.errors import FSSBenchError, MissingError, UsageError, unknown_name
from fssbench.names import known_name
from fssbench.protocols.choices import (
    MAX_SEED,
    OWN_DATA,
    BaseRule,
    Override,
    Protocol,
    ProtocolFile,
    QueryRim,
    ResizeRule,
    ScoreAt,
    size_in_words,
)
from fssbench.protocols.own import is_name, names_file, package_of, protocol_of_file, protocol_of_package, without_size

__all__ = [
    "MAX_SEED",
    "OWN_DATA",
    "BaseRule",
    "Override",
    "Protocol",
    "ProtocolFile",
    "QueryRim",
    "ResizeRule",
    "ScoreAt",
    "default_protocol",
    "list_protocols",
    "own_protocols",
    "protocol",
    "protocol_of_list",
    "readable_protocols",
    "shipped_protocols",
    "size_in_words",
]


@cache
def _shipped() -> dict[str, Protocol]:
    from pydantic import TypeAdapter

    schema = TypeAdapter(dict[str, Protocol])
    with (Path(__file__).with_name("protocols.toml")).open("rb") as file:
        raw = tomllib.load(file)
    found = schema.validate_python({name: {"name": name, **fields} for name, fields in raw.items()})
    return {name: replace(one, datasets=one.datasets + _datasets_naming(name)) for name, one in found.items()}


@cache
def _dataset_tables() -> dict[str, dict[str, object]]:
    # Only the file is read: this package must not import the code of data sets.
    with (Path(__file__).parents[1] / "datasets" / "datasets.toml").open("rb") as file:
        return tomllib.load(file)


def _datasets_naming(name: str) -> tuple[str, ...]:
    """Return the data sets that name a protocol in datasets.toml, and so use it without overrides."""
    tables = _dataset_tables()
    return tuple(
        dataset for dataset, fields in tables.items() if name in cast("list[str]", fields.get("protocols", []))
    )


@cache
def _of_packages() -> dict[str, list[EntryPoint]]:
    """Return the entry points of packages that provide protocols; names of fssbench's own protocols are refused."""
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group="fssbench.protocols"):
        if point.name in _shipped() or not is_name(point.name):
            reason = "fssbench has one of this name" if point.name in _shipped() else "the name is not valid"
            logging.getLogger(__name__).warning(
                "the package %s provides a protocol '%s', which is left out: %s", package_of(point), point.name, reason
            )
            continue
        found.setdefault(point.name, []).append(point)
    return found


def shipped_protocols() -> list[str]:
    """Return the names of fssbench's own protocols, in the order of protocols.toml."""
    return list(_shipped())


def own_protocols() -> dict[str, str]:
    """Return the names of the protocols of other packages, each with the names of the packages; no file is read."""
    return {name: " and ".join(map(package_of, points)) for name, points in _of_packages().items()}


def readable_protocols() -> list[Protocol]:
    """Return all protocols but those of other packages that can't be read."""
    found = [protocol(name) for name in shipped_protocols()]
    for name in own_protocols():
        with suppress(FSSBenchError):
            found.append(protocol(name))
    return found


def list_protocols() -> list[str]:
    """Return the names of all protocols: those of protocols.toml in its order, then those of other packages.

    Examples:
        >>> import fssbench
        >>> fssbench.list_protocols()[:3]
        ['hsnet', 'ifsl-fss', 'ifsl-fscs']
    """
    return [*_shipped(), *_of_packages()]


def protocol(name: str) -> Protocol:
    """Return a protocol by name, e.g. "hsnet", or "hsnet@original" to count IoU at the original size.

    Args:
        name: One of `list_protocols()`; or an own file, "./mine.toml", with the name of the table if it has several,
            "./mine.toml:mine".

    Raises:
        UsageError: If there is none, with the nearest names.
        MissingError: If there is no such file.
        BrokenFileError: If the file, or that of a package, is not a valid protocol, with the line.
    """
    base, size = without_size(name)
    found = _find(base)
    if size is None:
        return found
    if size == "input":
        return found.at("input")
    if size == "original":
        return found.at("original")
    raise UsageError(f"after @ there must be the size at which IoU is counted, input or original, not '{size}'")


def _find(name: str) -> Protocol:
    if names_file(name):
        return protocol_of_file(name, tuple(_shipped()))
    if name in _shipped():
        return _shipped()[name]
    points = _of_packages().get(name, [])
    if len(points) > 1:
        raise UsageError(f"{own_protocols()[name]} both provide a protocol '{name}'", "uninstall one of them")
    if points:
        return protocol_of_package(points[0])
    if "/" in name or "\\" in name:
        raise UsageError(f"{name} is not a protocol file: such a file is TOML", "--protocol ./mine.toml")
    if known := known_name("protocol", name, list_protocols()):
        return _find(known)
    raise unknown_name("protocol", name, list_protocols(), "fssbench list protocols")


def protocol_of_list(name: str, where: str) -> Protocol:
    """Return the protocol that an episode list names. Files are not read for it: only the user may name a file.

    Args:
        name: The name in the list.
        where: The list, for the message.

    Raises:
        MissingError: If the name is that of a file.
        UsageError: If there is no protocol of that name.
    """
    if names_file(name):
        raise MissingError(f"{where} was drawn by the protocol {name}, which is in an own file", "--protocol FILE")
    return protocol(name)


def protocols_on(dataset: str, task: str) -> list[str]:
    """Return the names of the shipped protocols for a task ("fss" or "fscs") that are defined for a data set."""
    return [name for name, rules in _shipped().items() if rules.task == task and rules.takes(dataset)]


def default_protocol(dataset: str, task: str, release: str) -> str:
    """Return the name of the default protocol; never one of another package.

    Args:
        dataset: Data set name.
        task: "fss" or "fscs".
        release: The protocol of the method's release for that task (`MethodInfo.protocols`).
    """
    defaults = (name for name, rules in _shipped().items() if rules.task == task and dataset in rules.default_for)
    return next(defaults, release)
