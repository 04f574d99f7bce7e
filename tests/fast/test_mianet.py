"""MIANet's fast form compares with one direction what the plain one compares with every position."""

from __future__ import annotations

import pytest
import torch

from fssbench.fast.mianet import cosine_with_mean
from fssbench.methods.mianet import mean_cosine


@pytest.mark.parametrize("length", [10.0, 0.03, 1e-4])
def test_the_mean_of_cosines_is_that_with_the_mean_direction(length: float) -> None:
    generator = torch.Generator().manual_seed(2)
    query, support = torch.rand(2, 2, 16, 5, 6, generator=generator, dtype=torch.float64) * length
    mask = torch.rand(2, 1, 5, 6, generator=generator)
    mask[..., :2], mask[..., 3, 3] = 0.0, 1e-6  # what is masked out, and what rounding leaves of it
    query[0] *= torch.linspace(0.05, 3.0, 6)
    query[1, :, 2, 2] = 0.0
    expected = mean_cosine(query, support * mask)
    found = cosine_with_mean(query, support * mask)
    torch.testing.assert_close(found, expected, rtol=2e-6, atol=1e-12)
    assert found[1, 2 * 6 + 2] == 0.0


def test_a_support_without_object_is_like_nothing() -> None:
    query = torch.rand(1, 8, 4, 4)
    assert not cosine_with_mean(query, torch.zeros(1, 8, 4, 4)).any()
    assert not cosine_with_mean(torch.zeros(1, 8, 4, 4), query).any()
