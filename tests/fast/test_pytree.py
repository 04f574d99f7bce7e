"""Features of any make put side by side: the inverse of taking them apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from fssbench.fast.pytree import collate, group_by_shape, kind_of, padded, split_batch


class Pair(NamedTuple):
    left: Tensor
    right: Tensor


@dataclass(frozen=True, eq=False)
class Kept:
    maps: tuple[Tensor, ...]
    size: tuple[int, int]
    also: dict[str, list[Tensor]]
    pair: Pair
    nothing: None = None


def _kept(batch: int, side: int = 4, size: tuple[int, int] = (9, 7)) -> Kept:
    generator = torch.Generator().manual_seed(side)
    draw = [torch.randn(batch, 2, side, side, generator=generator) for _ in range(5)]
    return Kept((draw[0], draw[1]), size, {"deep": [draw[2]]}, Pair(draw[3], draw[4]))


def test_images_taken_apart_and_joined_are_the_batch() -> None:
    batch = _kept(3)
    again = collate(split_batch(batch, 3))
    assert isinstance(again, Kept)
    assert isinstance(again.pair, Pair)
    assert again.size == (9, 7)
    assert again.nothing is None
    for its, of in ((again.maps, batch.maps), (again.also["deep"], batch.also["deep"]), (again.pair, batch.pair)):
        for tensor, expected in zip(its, of, strict=True):
            assert torch.equal(tensor, expected)


def test_batches_of_any_number_are_joined_and_one_alone_stays_itself() -> None:
    two, three = torch.randn(2, 5), torch.randn(3, 5)
    assert torch.equal(collate([two, three]), torch.cat([two, three]))
    assert collate([two]) is two


def test_groups_are_of_equal_shape_precision_and_kind() -> None:
    trees = [_kept(1), _kept(1, side=5), _kept(2), _kept(1, size=(9, 8)), _kept(1, side=5)]
    assert group_by_shape(trees) == [[0, 2], [1, 4], [3]]
    assert group_by_shape([]) == []
    one = torch.zeros(1, 3)
    assert kind_of(one) == kind_of(one + 1)
    others: list[object] = [one[:, :2], one.double(), [one], (one,), {"a": one}, {"b": one}, None, [one, one]]
    assert len(group_by_shape([one, *others])) == len(others) + 1


@pytest.mark.parametrize("value", [0.0, -1])
def test_what_an_image_has_less_of_is_padded(value: float) -> None:
    ragged = [torch.ones(1, 2, 3), torch.ones(2, 4, 3), torch.ones(1, 0, 3)]
    batch = padded(ragged, value)
    assert batch.shape == (4, 4, 3)
    assert torch.equal(batch[:, :, 0], torch.tensor([[1, 1, value, value], [1] * 4, [1] * 4, [value] * 4]))
