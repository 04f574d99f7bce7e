"""Correlation is a clamped cosine, stacked level by level, deepest first."""

from __future__ import annotations

import torch

from fssbench.layers.hypercorrelation import correlate, each_support, hypercorrelation, keep_positions, unit_maps
from fssbench.layers.masks import resize_mask
from fssbench.layers.trees import joined


def test_correlation_is_the_clamped_cosine() -> None:
    query = torch.tensor([[3.0, 0.0], [4.0, 2.0]]).view(1, 2, 1, 2)
    support = torch.tensor([[1.0, -1.0, 0.0], [0.0, 0.0, 0.0]]).view(1, 2, 3, 1)
    expected = [[0.6, 0.0, 0.0], [0.0, 0.0, 0.0]]
    torch.testing.assert_close(correlate(query, support)[0, 0, :, :, 0], torch.tensor(expected), atol=2e-5, rtol=0)


def test_a_zeroed_position_gives_zero_and_not_nan() -> None:
    assert correlate(torch.randn(1, 4, 2, 2), torch.zeros(1, 4, 2, 2)).eq(0).all()


def test_levels_come_deepest_first_with_maps_in_forward_order() -> None:
    generator = torch.Generator().manual_seed(0)
    sides = [6, 6, 4, 4, 4, 2]
    query = [torch.randn(2, 5, side, side, generator=generator) for side in sides]
    support = [torch.randn(2, 5, side, side + 1, generator=generator) for side in sides]
    pyramid = hypercorrelation(query, support, (2, 3, 1))
    assert [tuple(level.shape) for level in pyramid] == [(2, 1, 2, 2, 2, 3), (2, 3, 4, 4, 4, 5), (2, 2, 6, 6, 6, 7)]
    torch.testing.assert_close(pyramid[1][:, 2], correlate(query[4], support[4]))
    torch.testing.assert_close(pyramid[2][:, 0], correlate(query[0], support[0]))


def test_supports_that_keep_different_numbers_of_positions_may_be_joined() -> None:
    generator = torch.Generator().manual_seed(0)
    sides = [(6, 5), (6, 5), (3, 4)]
    query, support = ([torch.randn(4, 5, *side, generator=generator) for side in sides] for _ in range(2))
    mask = torch.zeros(4, 12, 10)
    mask[0], mask[1, 3:8, 2:5], mask[2, 11, 9] = 1, 1, 1
    alone = [keep_positions([its[n : n + 1] for its in support], mask[n : n + 1]) for n in range(4)]
    kept = joined([joined(alone[:1]), joined(alone[1:3]), alone[3]])
    assert (kept.places[0] >= 0).sum(dim=1).tolist() == [30, 6, 1, 0]
    masked = [its * resize_mask(mask, its) for its in support]
    levels = (1, 1, 1)
    for level, expected in zip(
        hypercorrelation(unit_maps(query), kept, levels), hypercorrelation(query, masked, levels), strict=True
    ):
        torch.testing.assert_close(level, expected, atol=1e-6, rtol=0)
    for its, single in zip(each_support(kept), alone, strict=True):
        assert all(torch.equal(*pair) for pair in zip(its.units, single.units, strict=True))
        assert all(torch.equal(*pair) for pair in zip(its.places, single.places, strict=True))
