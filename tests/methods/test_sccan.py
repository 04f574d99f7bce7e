"""SCCAN: patches, their alignment, and the two kinds of scores of its attention."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import fssbench
from fssbench.errors import UsageError
from fssbench.layers.self_calibrated import (
    WINDOW,
    ScaledCosineAttention,
    SelfCalibratedBlock,
    best_patches,
    chosen_patches,
)
from fssbench.methods.sccan import SCCAN, SCCANSupport

SIDE = 96


def _built(shot: int = 1) -> SCCAN:
    torch.manual_seed(0)
    method = fssbench.build("sccan", "small", shot=shot, width=16, side=16, blocks=2)
    assert isinstance(method, SCCAN)
    return method


def _episode() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(2, 3, SIDE, SIDE, generator=generator)
    mask = torch.zeros(1, 1, SIDE, SIDE, dtype=torch.uint8)
    mask[..., 20:60, 30:70] = 1
    return images[0], images[1:][None], mask


def _patches(*means: list[float]) -> Tensor:
    """Return a batch of patches whose positions all have the values of their mean."""
    return torch.tensor(means)[None, :, None].expand(1, -1, WINDOW * WINDOW, -1)


def test_a_support_several_times_is_as_it_is_once() -> None:
    query, images, mask = _episode()
    once = _built().segment(query, images, mask)
    thrice = _built(3).segment(query, images.expand(1, 3, -1, -1, -1), mask.expand(1, 3, -1, -1))
    torch.testing.assert_close(thrice.logits, once.logits, rtol=1e-4, atol=1e-5)


def test_a_query_patch_is_aligned_with_the_object_that_is_like_it() -> None:
    query = _patches([1.0, 0.0], [0.0, 2.0], [-1.0, 0.1])
    support = _patches([0.0, 1.0], [3.0, 0.3], [-5.0, 0.0])
    whole = torch.ones(1, 3, WINDOW * WINDOW, 1)
    assert best_patches(query, support, whole).tolist() == [[1, 0, 2]]
    whole[:, 2] = 0  # without a position of the object; the others resemble the last query patch less
    assert best_patches(query, support, whole).tolist() == [[1, 0, 0]]
    assert torch.equal(chosen_patches(support, torch.tensor([[1, 0, 0]])), support[:, [1, 0, 0]])


def test_of_a_support_patch_only_the_object_counts() -> None:
    query, support = _patches([1.0, 0.0]), torch.zeros(1, 2, WINDOW * WINDOW, 2)
    mask = torch.zeros(1, 2, WINDOW * WINDOW, 1)
    support[:, 0, :, 0], support[:, 1, :, 1] = 1.0, 1.0
    support[:, 1, 5] = torch.tensor([1.0, 0.0])
    mask[:, 0, 0], support[:, 0, 0], mask[:, 1, 5] = 1.0, torch.tensor([0.0, 1.0]), 1.0
    assert best_patches(query, support, mask).tolist() == [[1]]


def test_an_area_that_is_lost_in_rounding_counts_as_none() -> None:
    query, support = _patches([1.0, 0.0]), _patches([1.0, 0.0], [0.0, 1.0])
    mask = torch.zeros(1, 2, WINDOW * WINDOW, 1)
    mask[:, 0, 0], mask[:, 1] = 1e-12, 1.0
    assert best_patches(query, support, mask).tolist() == [[1]]
    mask[:, 0, 0] = 1e-3
    assert best_patches(query, support, mask).tolist() == [[0]]


@pytest.mark.parametrize("shifted", [False, True])
def test_patches_go_back_to_where_they_are_from(shifted: bool) -> None:
    block = SelfCalibratedBlock(8, shifted=shifted).eval()
    with torch.no_grad():
        block.mlp_q.get_parameter("fc2.weight").zero_()
        block.mlp_q.get_parameter("fc2.bias").zero_()
        maps = torch.randn(2, 16, 24, 8)
        patches = block.patches(maps)
        assert patches.shape == (2, (3 * 4 if shifted else 2 * 3), WINDOW * WINDOW, 8)
        torch.testing.assert_close(block.added(torch.zeros_like(maps), patches, block.mlp_q), maps)
    if shifted:  # the first patch begins half a patch outside of the map
        assert not patches[:, 0].unflatten(1, (WINDOW, WINDOW))[:, : WINDOW // 2].any()


def test_scores_with_the_support_are_cosines_and_those_with_the_query_are_not() -> None:
    torch.manual_seed(0)
    attention = ScaledCosineAttention(8).eval()
    with torch.no_grad():
        for layer in (attention.q, attention.kv, attention.proj):
            layer.bias.zero_()
        query, own, aligned = torch.randn(3, 1, 2, WINDOW * WINDOW, 8).unbind(0)
        attention.kv.weight[8:] = 0.0  # then only the keys' lengths could change what is read
        attention.kv.weight[8:] += torch.eye(8)
        read = attention(query, own, aligned)
        # One softmax over both parts: with heads of one channel a cosine is a sign, whatever the length.
        q, k = attention.q(query), attention.kv(own)[..., :8]
        signs = attention.q(query)[:, :, :, None].sign() * attention.kv(aligned)[:, :, None, :, :8].sign()
        scores = torch.cat([q[:, :, :, None] * k[:, :, None], signs], dim=3)
        values = torch.cat([own, aligned], dim=2)[:, :, None]
        expected = attention.proj((scores.softmax(dim=3) * values).sum(dim=3))
    torch.testing.assert_close(read, expected, rtol=1e-3, atol=1e-4)


def test_the_pseudo_mask_is_the_mask_where_the_query_is_the_support() -> None:
    method = _built()
    layer4 = torch.zeros(1, 4, 16, 16)
    layer4[:, 0, :, :7], layer4[:, 1, :, 7:] = 2.0, 3.0
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., :7] = 1.0
    support = SCCANSupport(layer4, mask, layer4[:, :, :1, :1], layer4)
    torch.testing.assert_close(method.similarity(layer4, support), mask, rtol=0, atol=1e-5)
    # Positions of the background take part: the query's background has their mask, 0, and not the object's.
    assert method.similarity(-layer4, support)[..., :7].amax() < 1e-5


def test_widths_and_sides_that_do_not_divide_are_refused() -> None:
    with pytest.raises(UsageError, match="width 20 can't be divided into 8 heads"):
        fssbench.build("sccan", "small", width=20)
    with pytest.raises(UsageError, match="side 60 can't be divided into patches"):
        fssbench.build("sccan", "small", side=60)
