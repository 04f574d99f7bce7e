"""Correlation is a clamped cosine, stacked level by level, deepest first."""

from __future__ import annotations

import torch

from fssbench.layers.hypercorrelation import correlate, hypercorrelation


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
