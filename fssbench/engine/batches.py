"""Features of unknown make: how large they are, and the single images of a batch.

What methods keep of images are tensors, or tuples, lists and dataclasses of such; every tensor has the batch as its
first axis (`fssbench.methods.method.Method`). All else in them is the same for every image.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from torch import Tensor

Tree = TypeVar("Tree")


def bytes_of(tree: object) -> int:
    """Return how many bytes of tensors are held; a storage that several share is counted once."""
    storages: dict[int, int] = {}
    for tensor in _tensors(tree):
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


def _tensors(tree: object) -> list[Tensor]:
    if isinstance(tree, Tensor):
        return [tree]
    return [tensor for part in _parts(tree) for tensor in _tensors(part)]


def _parts(tree: object) -> list[object]:
    if isinstance(tree, list | tuple):
        return list(tree)
    if isinstance(tree, dict):
        return list(tree.values())
    if is_dataclass(tree) and not isinstance(tree, type):
        return [getattr(tree, field.name) for field in fields(tree)]
    return []


def _single(tree: Any, place: int) -> Any:  # noqa: ANN401 - each method has its own type
    if isinstance(tree, Tensor):
        # A view would keep the whole batch alive.
        return tree[place : place + 1].clone()
    if isinstance(tree, list | tuple):
        parts = [_single(part, place) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    if isinstance(tree, dict):
        return {key: _single(part, place) for key, part in tree.items()}
    if is_dataclass(tree) and not isinstance(tree, type):
        return type(tree)(**{field.name: _single(getattr(tree, field.name), place) for field in fields(tree)})
    return tree
