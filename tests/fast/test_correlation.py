"""Maps that were made ready correlate as they did."""

from __future__ import annotations

import torch

from fssbench.fast.correlation import dense_hypercorrelation, each_support, keep_positions, unit_maps
from fssbench.fast.pytree import collate
from fssbench.layers.hypercorrelation import hypercorrelation
from fssbench.layers.masks import resize_mask


def test_supports_that_keep_different_numbers_of_positions_may_be_joined() -> None:
    generator = torch.Generator().manual_seed(0)
    sides = [(6, 5), (6, 5), (3, 4)]
    query, support = ([torch.randn(4, 5, *side, generator=generator) for side in sides] for _ in range(2))
    mask = torch.zeros(4, 12, 10)
    mask[0], mask[1, 3:8, 2:5], mask[2, 11, 9] = 1, 1, 1
    alone = [keep_positions([feature[n : n + 1] for feature in support], mask[n : n + 1]) for n in range(4)]
    kept = collate([collate(alone[:1]), collate(alone[1:3]), alone[3]])
    assert (kept.places[0] >= 0).sum(dim=1).tolist() == [30, 6, 1, 0]
    masked = [feature * resize_mask(mask, feature) for feature in support]
    levels = (1, 1, 1)
    for level, expected in zip(
        dense_hypercorrelation(unit_maps(query), kept, levels), hypercorrelation(query, masked, levels), strict=True
    ):
        torch.testing.assert_close(level, expected, atol=1e-6, rtol=0)
    for feature, single in zip(each_support(kept), alone, strict=True):
        assert all(torch.equal(*pair) for pair in zip(feature.units, single.units, strict=True))
        assert all(torch.equal(*pair) for pair in zip(feature.places, single.places, strict=True))
