"""The prior mask, on maps whose cosines are known."""

from __future__ import annotations

import torch
from torch import Tensor

from fssbench.layers.prior import prior_mask


def _map(*vectors: tuple[float, float]) -> Tensor:
    """Positions in a row: (1, 2, 1, n)."""
    return torch.tensor(vectors).T[None, :, None, :]


def _random(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_the_most_alike_support_position_counts_and_is_spread() -> None:
    query = _map((1.0, 0.0), (3.0, 4.0), (0.0, 1.0))
    # Cosines with (2, 0): 1, 0.6, 0; with (4, 3): 0.8, 0.96, 0.6. Largest: 1, 0.96, 0.6; spread over 0.4.
    prior = prior_mask(query, _map((2.0, 0.0), (4.0, 3.0)), (1, 3))
    torch.testing.assert_close(prior.flatten(), torch.tensor([1.0, 0.9, 0.0]), atol=1e-5, rtol=0)


def test_a_masked_out_position_has_cosine_zero() -> None:
    query = _map((1.0, 0.0), (-1.0, 0.0), (-3.0, 4.0))
    # With (1, 0): 1, -1, -0.6. The zeroed position lifts both negative ones to 0.
    masked = prior_mask(query, _map((1.0, 0.0), (0.0, 0.0)), (1, 3)).flatten()
    torch.testing.assert_close(masked, torch.tensor([1.0, 0.0, 0.0]), atol=1e-5, rtol=0)
    alone = prior_mask(query, _map((1.0, 0.0)), (1, 3)).flatten()
    torch.testing.assert_close(alone, torch.tensor([1.0, 0.0, 0.2]), atol=1e-5, rtol=0)


def test_values_are_in_the_half_open_unit_interval() -> None:
    prior = prior_mask(_random((3, 8, 5, 7), 0), _random((3, 8, 4, 6), 1), (9, 11))
    assert prior.shape == (3, 1, 9, 11)
    assert prior.min() >= 0
    assert prior.max() < 1
    spread = prior_mask(_random((3, 8, 5, 7), 0), _random((3, 8, 4, 6), 1), (5, 7)).flatten(1)
    assert spread.amin(dim=1).tolist() == [0, 0, 0]
    assert spread.amax(dim=1).min() > 0.999


def test_an_empty_support_says_nothing_about_any_position() -> None:
    prior = prior_mask(_random((1, 8, 5, 5), 0), torch.zeros(1, 8, 5, 5), (5, 5))
    assert prior.eq(0).all()


def test_each_of_a_batch_is_spread_alone() -> None:
    query, support = _random((3, 8, 5, 7), 0), _random((3, 8, 5, 7), 1)
    together = prior_mask(query, support, (10, 14))
    for n in range(3):
        torch.testing.assert_close(together[n : n + 1], prior_mask(query[n : n + 1], support[n : n + 1], (10, 14)))


def test_lengths_of_features_do_not_matter() -> None:
    query, support = _random((1, 8, 5, 5), 0), _random((1, 8, 5, 5), 1)
    torch.testing.assert_close(
        prior_mask(query, support, (5, 5)), prior_mask(3 * query, 5 * support, (5, 5)), atol=1e-5, rtol=1e-5
    )


def test_it_is_resized_with_aligned_corners() -> None:
    prior = prior_mask(_map((1.0, 0.0), (0.0, 1.0)), _map((1.0, 0.0)), (1, 3))
    torch.testing.assert_close(prior.flatten(), torch.tensor([1.0, 0.5, 0.0]), atol=1e-5, rtol=0)
