"""MM-Net: what of its release is not in the golden cases, and sizes that the release does not know."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import fssbench
from fssbench.methods.mmnet import MMNet, MMNetSupport, propagated


def _support(seed: int, inside: Tensor) -> MMNetSupport:
    similarity = torch.randn(1, 7, 5, 4, generator=torch.Generator().manual_seed(seed))
    return MMNetSupport(similarity, inside, torch.zeros(1, 1, 5, 4))


def _half(left: bool) -> Tensor:
    inside = torch.zeros(1, 1, 5, 4)
    inside[..., slice(0, 2) if left else slice(2, 4)] = 1
    return inside


def test_every_support_is_read_under_the_mask_of_the_last() -> None:
    query = torch.randn(1, 7, 3, 6, generator=torch.Generator().manual_seed(9))
    released = propagated(query, [_support(0, _half(left=True)), _support(1, _half(left=False))])
    assert released.shape == query.shape
    assert torch.equal(released, propagated(query, [_support(0, _half(left=False)), _support(1, _half(left=False))]))
    assert not torch.equal(released, propagated(query, [_support(0, _half(left=True)), _support(1, _half(left=True))]))


def test_a_position_takes_over_what_the_masked_support_holds() -> None:
    support = _support(0, torch.zeros(1, 1, 5, 4))
    support.inside[..., 3, 1] = 1
    taken = propagated(torch.randn(1, 7, 3, 6), [support])
    only = torch.sigmoid(support.similarity[..., 3, 1])
    torch.testing.assert_close(taken, only[..., None, None].expand_as(taken))


def test_an_empty_mask_leaves_the_mean_of_the_support() -> None:
    support = _support(0, torch.zeros(1, 1, 5, 4))
    taken = propagated(torch.randn(1, 7, 3, 6), [support])
    mean = torch.sigmoid(support.similarity).mean(dim=(2, 3), keepdim=True)
    torch.testing.assert_close(taken, mean.expand_as(taken))


@pytest.mark.parametrize("size", [(97, 97), (90, 130)])
def test_other_sizes_than_the_release_s(size: tuple[int, int]) -> None:
    method = fssbench.build("mmnet", "small", shot=2, width=8)
    masks = torch.ones(1, 2, *size, dtype=torch.uint8)
    found = method.segment(torch.randn(3, *size), torch.randn(1, 2, 3, *size), masks)
    assert found.logits.shape == (2, *size)


def test_memories_that_tell_positions_apart_lose_less() -> None:
    method = fssbench.build("mmnet", "small", width=6, memories=6)
    assert isinstance(method, MMNet)
    positions = 8 * torch.eye(6)[None, :, :, None]
    with torch.no_grad():
        method.part_emb_2_level.copy_(8 * torch.eye(6)[None])
        told = method.reconstruction_loss(positions)
        method.part_emb_2_level.copy_(torch.ones(1, 6, 6))
        alike = method.reconstruction_loss(positions)
    assert told < 1e-3
    assert alike.item() == pytest.approx(torch.log(torch.tensor(6.0)).item())
