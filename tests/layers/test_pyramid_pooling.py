"""Pyramid pooling and PSPNet's head, on maps whose averages are known."""

from __future__ import annotations

import pytest
import torch

from fssbench.layers.pyramid_pooling import PyramidPooling, pyramid_head


def _summing(inputs: int, bins: tuple[int, ...]) -> PyramidPooling:
    """Pooling whose reductions sum the channels and whose batch norm does nothing."""
    pooling = PyramidPooling(inputs, bins).eval()
    for parameter in pooling.parameters():
        if parameter.ndim == 4:
            torch.nn.init.ones_(parameter)
    return pooling


def test_each_grid_says_its_averages_beside_the_map() -> None:
    x = torch.rand(2, 2, 6, 6)
    out = _summing(2, (1, 2))(x)
    assert out.shape == (2, 4, 6, 6)
    torch.testing.assert_close(out[:, :2], x)
    whole = x.sum(dim=1).mean(dim=(1, 2))
    torch.testing.assert_close(out[:, 2], whole[:, None, None].expand(2, 6, 6), rtol=1e-4, atol=1e-4)
    # Corners of a resize with aligned corners are the averages of the quarters themselves.
    quarter = x[:, :, :3, 3:].sum(dim=1).mean(dim=(1, 2))
    torch.testing.assert_close(out[:, 3, 0, 5], quarter, rtol=1e-4, atol=1e-4)


def test_averages_below_zero_are_cut() -> None:
    assert (_summing(1, (1,))(torch.full((1, 1, 4, 5), -2.0))[:, 1] == 0).all()


@pytest.mark.parametrize("size", [(1, 1), (4, 9), (12, 12)])
def test_any_size_of_map(size: tuple[int, int]) -> None:
    head = pyramid_head(8, classes=5, width=4).eval()
    assert head(torch.rand(2, 8, *size)).shape == (2, 5, *size)


def test_channels_are_what_comes_out() -> None:
    pooling = PyramidPooling(10).eval()
    assert pooling(torch.rand(1, 10, 6, 6)).shape[1] == pooling.channels == 10 + 4 * 2
