"""Whether a method of the printed tables can be measured with its authors' weights. Standard library only."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from fssbench.files import shipped

RELEASED = "weights"
UNTRAINED = "no weights"
PUBLISHED_ONLY = "published-only"

# Methods whose weakly supervised variant has a key of its own in the printed tables.
_WEAK = {"asnet": "asnet-w"}


def status_of(methods: Iterable[str]) -> dict[str, str]:
    """Return the status of each method.

    `PUBLISHED_ONLY` if it does not run here; else `RELEASED` if its authors' weights are registered, or `UNTRAINED` if
    it has to be trained first.
    """
    released = released_weights()

    def status(method: str) -> str:
        if implementation_of(method) is None:
            return PUBLISHED_ONLY
        return RELEASED if released.get(method) else UNTRAINED

    return {method: status(method) for method in methods}


@cache
def released_weights() -> dict[str, list[str]]:
    """Return the ids of the released checkpoints in checkpoints.toml, by the method's key in the printed tables.

    Of a method without training they are those of its networks, if all networks of its default backbone are there.
    """
    return _weights("url") | _networks()


@cache
def shipped_weights() -> dict[str, list[str]]:
    """Return the ids of the checkpoints that were trained here and are shipped with fssbench, by the method's key."""
    return _weights("path")


@cache
def _records() -> list[dict[str, Any]]:
    # The registry is not used here: importing its schema takes longer than printing a table.
    records: list[dict[str, Any]] = tomllib.loads(shipped("checkpoints.toml").read_text(encoding="utf-8"))["checkpoint"]
    return records


def _weights(place: str) -> dict[str, list[str]]:
    # Weights with a url are the authors'; those with a path were trained in this project.
    found: dict[str, list[str]] = {}
    for record in _records():
        if "method" in record and place in record:
            method = record["method"]
            key = _WEAK.get(method, method) if record.get("weak") else method
            found.setdefault(key, []).append(record["id"])
    return found


def _networks() -> dict[str, list[str]]:
    from fssbench.methods.catalogue import infos_at_hand

    found = {}
    public = {
        record["backbone"]: record["id"] for record in _records() if "method" not in record and "path" not in record
    }
    for info in infos_at_hand():
        if info.training == "training-free" and info.source and info.backbones:
            networks = info.backbones[0].split("+")
            if all(network in public for network in networks):
                found[info.name] = [public[network] for network in networks]
    return found


def implementation_of(method: str) -> str | None:
    """Return the method that implements a key of the printed tables; None if none does."""
    from fssbench.methods.catalogue import list_methods

    weak = {key: name for name, key in _WEAK.items()}
    name = weak.get(method, method)
    return name if name in list_methods() else None


def explain_status(method: str, released: Sequence[str]) -> str:
    """Return as text whether the numbers of a method can be measured here.

    Args:
        method: Key of the method in the printed tables.
        released: Ids of its released checkpoints (`released_weights`).
    """
    if implementation_of(method) is None:
        return f"{PUBLISHED_ONLY}: not implemented here"
    if released:
        return f"{RELEASED}: implemented here, {len(released)} released checkpoints are registered"
    return f"{UNTRAINED}: implemented here, but no released weights are registered"
