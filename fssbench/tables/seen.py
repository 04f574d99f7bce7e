"""What the weights of a method have seen of the tested classes, as a remark next to its results."""

from __future__ import annotations

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


def knows_test_classes(method: str, dataset: str) -> bool:
    """Return whether a method's weights were trained on labels of the test classes, so that it is not ranked."""
    info = _info(method)
    return info is not None and info.knows_classes_of(dataset)


def _info(method: str) -> MethodInfo | None:
    return method_info(method) if method in REGISTRY.names() else None
