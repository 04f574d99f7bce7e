"""The prior mask from what a support's mask keeps, against the whole maps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fssbench.fast import prior
from fssbench.fast.prior import KeptColumns, kept_columns, prior_of_kept
from fssbench.fast.pytree import collate
from fssbench.layers import devices
from fssbench.layers.prior import prior_mask


def _random(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _weights(kind: str) -> Tensor:
    """Masks of three supports at the size of their maps."""
    weights = torch.zeros(3, 1, 9, 7)
    if kind == "full":
        weights[:] = 1
    elif kind == "ragged":
        weights[0, 0, 2:5, 1:6] = 0.5
        # The resized mask just outside an object: 1e-7 in the denominator matters.
        weights[0, 0, 5, 1:6] = 1e-6
        weights[1, 0, 8, 6] = 1
    return weights


@pytest.mark.parametrize("kind", ["full", "ragged", "empty"])
@pytest.mark.parametrize("columns", [512, 4])
def test_what_a_mask_leaves_says_the_same_as_the_whole(
    kind: str, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prior, "_COLUMNS", columns)
    # Features may be negative here, so that it shows whether a masked-out position is among those compared.
    query, features, weights = _random((3, 8, 5, 6), 0), _random((3, 8, 9, 7), 1), _weights(kind)
    whole = features * weights
    kept = kept_columns(features, weights)
    assert torch.equal(kept.spread(), whole)
    assert kept.columns.shape[1] == {"full": 63, "ragged": 20, "empty": 0}[kind]
    torch.testing.assert_close(
        prior_of_kept(query, kept, (11, 13)), prior_mask(query, whole, (11, 13)), atol=1e-5, rtol=1e-5
    )


def test_what_is_left_may_come_from_a_box() -> None:
    features, weights = _random((3, 8, 9, 7), 1), _weights("ragged")
    boxed = kept_columns(features[:, :, 2:, 1:], weights, (2, 9, 1, 7))
    assert torch.equal(boxed.spread(), features * weights)


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("columns", [512, 4])
def test_supports_that_keep_different_numbers_may_be_joined(
    alone: bool, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prior, "_COLUMNS", columns)
    monkeypatch.setattr(devices, "SERIAL_ON", frozenset({"cpu"} if alone else ()))
    # Everything, a few positions, nothing. The first query is the opposite of all supports, so its cosines are
    # negative: nothing is masked out in the first support, and no 0 may lift them.
    weights = torch.zeros(3, 1, 4, 5)
    weights[0], weights[1, 0, 1, 1:4] = 1, 1
    features = _random((3, 8, 4, 5), 1).abs()
    query = -_random((3, 8, 5, 6), 0).abs()
    kept = collate([kept_columns(features[n : n + 1], weights[n : n + 1]) for n in range(3)])
    assert isinstance(kept, KeptColumns)
    assert (kept.places >= 0).sum(dim=1).tolist() == [20, 3, 0]
    assert kept.columns.shape == (3, 20, 8)
    assert torch.equal(kept.spread(), features * weights)
    assert [support.columns.shape[1] for support in kept.each()] == [20, 3, 0]
    whole = prior_mask(query, features * weights, (5, 6))
    torch.testing.assert_close(prior_of_kept(query, kept, (5, 6)), whole, atol=1e-5, rtol=1e-5)
    assert whole.amax(dim=(1, 2, 3)).tolist() == [pytest.approx(1, abs=1e-3), 0, 0]
