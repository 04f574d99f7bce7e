"""What the weights of a method have seen of the tested classes, as a remark next to its results."""

from __future__ import annotations

from fssbench.ledger.seen import Seen
from fssbench.ledger.words import named
from fssbench.methods.catalogue import REGISTRY, MethodInfo, method_info
from fssbench.tables.entry import Remark


def seen_remarks(method: str, dataset: str) -> list[Remark]:
    """Return the remark of a method that takes weights as they are; none for another.

    Args:
        method: Its key.
        dataset: The evaluated data set.
    """
    info = _info(method)
    if info is None or not info.seen:
        return []
    unranked = "; not ranked here" if info.knows_classes_of(dataset) else ""
    return [Remark("caution", f"{info.seen}{unranked}")]


def seen_remark(seen: Seen) -> Remark:
    """Return the remark of a row whose training had masks of test classes."""
    return Remark("caution", f"trained on masks of {named(seen.masks or (), seen.tested)}, so it is not ranked here")


def _info(method: str) -> MethodInfo | None:
    return method_info(method) if method in REGISTRY.names() else None
