"""SCCAN's transformer, a few patches at a time, gives what the plain one gives."""

from __future__ import annotations

import pytest
import torch

from fssbench.fast.self_calibrated import TiledTransformer
from fssbench.layers.self_calibrated import HEADS, WINDOW, SelfCalibratedTransformer


@pytest.mark.parametrize("blocks", [1, 2, 3])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 3), (2, 5)])
def test_patches_are_calibrated_as_in_the_plain_transformer(rows: int, columns: int, blocks: int) -> None:
    """With 3 x 3 patches a part is not full, with 2 x 5 and a shift of half a patch there are 18."""
    torch.manual_seed(blocks)
    plain = SelfCalibratedTransformer(4 * HEADS, blocks).double().eval()
    shape = (2, 4 * HEADS, rows * WINDOW, columns * WINDOW)
    query, support = torch.randn(2, *shape, dtype=torch.float64)
    mask = (torch.rand(2, 1, *shape[2:], dtype=torch.float64) > 0.6).double()
    mask[0, :, :WINDOW] = 0  # patches without the object
    before = query.clone(), support.clone(), mask.clone()
    with torch.inference_mode():
        expected = plain(query, support, mask)
        found = TiledTransformer(plain)(query, support, mask)
    assert torch.allclose(found, expected, rtol=1e-9, atol=1e-11)
    assert not torch.allclose(found[0], found[1], rtol=1e-2), "the two differ, so neither is constant"
    assert all(map(torch.equal, before, (query, support, mask))), "the inputs stay as they are"


def test_without_the_object_and_with_tokens_of_zeros_it_is_finite() -> None:
    plain = SelfCalibratedTransformer(4 * HEADS, 2).eval()
    for part in plain.modules():
        if isinstance(part, torch.nn.Linear):
            torch.nn.init.zeros_(part.weight)
            torch.nn.init.zeros_(part.bias)
    maps = torch.zeros(1, 4 * HEADS, 2 * WINDOW, WINDOW)
    with torch.inference_mode():
        expected = plain(maps, maps, maps[:, :1])
        assert torch.equal(TiledTransformer(plain)(maps, maps, maps[:, :1]), expected)
