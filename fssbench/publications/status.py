"""Whether a method of the printed tables can be measured with its authors' weights. Standard library only."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from functools import cache

from fssbench.files import shipped

RELEASED = "weights"
PUBLISHED_ONLY = "published-only"

# Methods whose weakly supervised form has a key of its own in the printed tables.
_WEAK = {"asnet": "asnet-w"}


def status_of(methods: Iterable[str]) -> dict[str, str]:
    """Return for each method `RELEASED` if its authors' weights are registered here, else `PUBLISHED_ONLY`.

    A published-only number can't be measured again: the method is not implemented here, or no weights of it were
    released, so that it would have to be trained.
    """
    released = released_weights()
    return {method: RELEASED if released.get(method) else PUBLISHED_ONLY for method in methods}


@cache
def released_weights() -> dict[str, list[str]]:
    """Return the ids of the released checkpoints in checkpoints.toml by the key of the method in the printed tables."""
    # Not through the registry, whose schema takes longer to import than a whole table to print.
    found: dict[str, list[str]] = {}
    for record in tomllib.loads(shipped("checkpoints.toml").read_text(encoding="utf-8"))["checkpoint"]:
        # Weights that travel with fssbench have a path: they are its own, not the authors'.
        if "method" in record and "url" in record:
            method = record["method"]
            key = _WEAK.get(method, method) if record.get("weak") else method
            found.setdefault(key, []).append(record["id"])
    return found


def explain_status(method: str, released: Sequence[str]) -> str:
    """Return in words whether the numbers of a method can be measured here.

    Args:
        method: Its key in the printed tables.
        released: Ids of its released checkpoints (`released_weights`).
    """
    from fssbench.methods.catalogue import list_methods

    implemented = {*list_methods(), *_WEAK.values()}
    if released:
        return f"{RELEASED}: implemented here, {len(released)} released checkpoints are registered"
    if method in implemented:
        return f"{PUBLISHED_ONLY}: implemented here, but no released weights are registered"
    return f"{PUBLISHED_ONLY}: not implemented here"
