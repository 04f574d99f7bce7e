"""Pytrees: the features of any method can be taken apart, batched and split without knowing the method.

A tree is a tensor, or a tuple, list, dict or dataclass of trees; the first axis of every tensor is the batch
(`fssbench.methods.base.method.Method`). All other values in a tree are the same for every image of a batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Self, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

Tree = TypeVar("Tree")


class Ragged(ABC):
    """A part of a tree whose length may differ from image to image, and which therefore defines its own batching."""

    @property
    @abstractmethod
    def kind(self) -> Hashable:
        """What must be equal in parts that are batched."""

    @abstractmethod
    def collate_with(self, others: Sequence[Self]) -> Self:
        """Return this part and others of its kind as one batch, in this order, padded to the largest length."""


def collate(trees: Sequence[Tree]) -> Tree:
    """Return trees of one kind as one tree with all their images as its batch, in this order."""
    joint: Tree = trees[0] if len(trees) == 1 else _collate(trees)
    return joint


def group_by_shape(trees: Sequence[object]) -> list[list[int]]:
    """Return the indices of trees in groups that can be batched, each in rising order, the first tree's group first."""
    groups: dict[Hashable, list[int]] = {}
    for place, tree in enumerate(trees):
        groups.setdefault(kind_of(tree), []).append(place)
    return list(groups.values())


def kind_of(tree: object) -> Hashable:
    """Return what must be equal in trees that are batched: everything but the batch size and the values of tensors."""
    if isinstance(tree, Tensor):
        return tuple(tree.shape[1:]), tree.dtype, tree.device
    if isinstance(tree, Ragged):
        return type(tree), tree.kind
    parts = children(tree)
    if not parts:
        return type(tree), repr(tree)
    keys = tuple(tree) if isinstance(tree, dict) else ()
    return type(tree), keys, tuple(kind_of(part) for part in parts)


def padded(tensors: Sequence[Tensor], value: float) -> Tensor:
    """Return tensors (B, n, ...) as one batch with the largest n, filled up with `value`."""
    most = max(tensor.shape[1] for tensor in tensors)
    beyond = (0, 0) * (tensors[0].ndim - 2)
    return torch.cat([F.pad(one, (*beyond, 0, most - one.shape[1]), value=value) for one in tensors])


def tensors_of(tree: object) -> list[Tensor]:
    """Return the tensors of a tree, in its order."""
    if isinstance(tree, Tensor):
        return [tree]
    return [tensor for part in children(tree) for tensor in tensors_of(part)]


def children(tree: object) -> list[object]:
    """Return the elements of a tuple, list, dict or dataclass; an empty list for anything else."""
    if isinstance(tree, list | tuple):
        return list(tree)
    if isinstance(tree, dict):
        return list(tree.values())
    if is_dataclass(tree) and not isinstance(tree, type):
        return [getattr(tree, field.name) for field in fields(tree)]
    return []


def unflatten(tree: Any, parts: Sequence[Any]) -> Any:  # noqa: ANN401 - each method has its own type
    """Return a tree like this one with other parts, in the order of `children`; a tree without parts is unchanged."""
    if isinstance(tree, list | tuple):
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    if isinstance(tree, dict):
        return dict(zip(tree, parts, strict=True))
    if is_dataclass(tree) and not isinstance(tree, type):
        names = [field.name for field in fields(tree)]
        return type(tree)(**dict(zip(names, parts, strict=True)))
    return tree


def mapped(tree: Tree, change: Callable[[Tensor], Tensor]) -> Tree:
    """Return a tree whose tensors are changed, each by itself."""
    changed: Tree = _mapped(tree, change)
    return changed


def _mapped(tree: Any, change: Callable[[Tensor], Tensor]) -> Any:  # noqa: ANN401 - each method has its own type
    if isinstance(tree, Tensor):
        return change(tree)
    return unflatten(tree, [_mapped(part, change) for part in children(tree)])


def _collate(trees: Sequence[Any]) -> Any:  # noqa: ANN401 - each method has its own type
    first, *others = trees
    if isinstance(first, Tensor):
        return torch.cat(list(trees))
    if isinstance(first, Ragged):
        return first.collate_with(others)
    columns = zip(*(children(tree) for tree in trees), strict=True)
    return unflatten(first, [_collate(parts) for parts in columns])


def bytes_of(tree: object) -> int:
    """Return how many bytes the tensors of a tree use; a storage that several tensors share is counted once."""
    storages: dict[int, int] = {}
    for tensor in tensors_of(tree):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


def split_batch(tree: Tree, count: int) -> list[Tree]:
    """Return the images of a batch as trees with batch 1, each with its own memory.

    Args:
        tree: Features of a batch.
        count: Number of images.
    """
    if count == 1:
        return [tree]

    def single(place: int) -> Tree:
        # A view would keep the whole batch alive.
        return mapped(tree, lambda tensor: tensor[place : place + 1].clone())

    return [single(place) for place in range(count)]
