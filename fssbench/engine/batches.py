"""Features of unknown make (`fssbench.layers.trees`): how large they are, and the single images of a batch."""

from __future__ import annotations

from typing import Any, TypeVar

from torch import Tensor

from fssbench.layers.trees import parts_of, rebuilt, tensors_of

Tree = TypeVar("Tree")


def bytes_of(tree: object) -> int:
    """Return how many bytes of tensors are held; a storage that several share is counted once."""
    storages: dict[int, int] = {}
    for tensor in tensors_of(tree):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


def singles(tree: Tree, count: int) -> list[Tree]:
    """Return the images of a batch one by one, each in memory of its own, batch 1.

    Args:
        tree: Features of a batch.
        count: How many images it has.
    """
    return [tree] if count == 1 else [_single(tree, place) for place in range(count)]


def _single(tree: Any, place: int) -> Any:  # noqa: ANN401 - each method has its own type
    if isinstance(tree, Tensor):
        # A view would keep the whole batch alive.
        return tree[place : place + 1].clone()
    return rebuilt(tree, [_single(part, place) for part in parts_of(tree)])
