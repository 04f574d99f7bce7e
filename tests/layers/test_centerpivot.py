"""The center-pivot convolution against a 4D convolution written out."""

from __future__ import annotations

import itertools

import pytest
import torch

from fssbench.layers.centerpivot import CenterPivotConv4d


def _by_definition(layer: CenterPivotConv4d, x: torch.Tensor, kernel: int, stride: int) -> torch.Tensor:
    """Sum over the offsets of one half while the other half sits at its centre (HSNet, Eq. 6)."""
    pad = kernel // 2
    batch, _, height, width, rows, columns = x.shape
    out_rows, out_columns = -(-rows // stride), -(-columns // stride)
    out = torch.zeros(batch, layer.conv1.out_channels, height, width, out_rows, out_columns)
    padded = torch.nn.functional.pad(x.flatten(0, 1), (pad,) * 8).unflatten(0, x.shape[:2])
    offsets = list(itertools.product(range(kernel), repeat=2))
    for i, j, r, c in itertools.product(range(height), range(width), range(out_rows), range(out_columns)):
        y, z = r * stride + pad, c * stride + pad
        total = layer.conv1.bias + layer.conv2.bias
        for a, b in offsets:
            total = total + padded[:, :, i + a, j + b, y, z] @ layer.conv1.weight[:, :, a, b].T
            total = total + padded[:, :, i + pad, j + pad, y - pad + a, z - pad + b] @ layer.conv2.weight[:, :, a, b].T
        out[:, :, i, j, r, c] = total
    return out


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 4)])
def test_equals_the_definition(kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    layer = CenterPivotConv4d(2, 3, kernel, stride)
    x = torch.randn(2, 2, 3, 4, 5, 6)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), _by_definition(layer, x, kernel, stride), atol=1e-5, rtol=1e-5)
