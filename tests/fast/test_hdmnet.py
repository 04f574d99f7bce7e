"""Parts of HDMNet's fast form against what they replace."""

from __future__ import annotations

import torch
from torch import nn

from fssbench.fast.bam import SplitPyramidHead
from fssbench.fast.folding import fold
from fssbench.fast.hdmnet import Collapsed
from fssbench.layers.pyramid_pooling import pyramid_head


@torch.inference_mode()
def test_collapsed_convolutions_are_equal_at_the_borders_too() -> None:
    torch.manual_seed(3)
    convolutions = [nn.Conv2d(6, 24, 1), nn.Conv2d(24, 24, 3, padding=1), nn.Conv2d(24, 5, 1)]
    nn.init.constant_(convolutions[0].bias, 4.0)  # type: ignore[arg-type]
    x = torch.randn(2, 6, 7, 4)
    expected = nn.Sequential(*convolutions)(x)
    torch.testing.assert_close(Collapsed(convolutions)(x), expected, atol=1e-5, rtol=0)
    # Without its border the bias would be the same everywhere.
    whole = nn.Sequential(*convolutions)(torch.zeros(1, 6, 7, 4))
    assert (whole[..., 0, 0] - whole[..., 3, 2]).abs().min() > 0.1


@torch.inference_mode()
def test_a_box_of_the_pyramid_head_is_that_part_of_the_whole() -> None:
    torch.manual_seed(4)
    head = pyramid_head(8, 3, 6).eval()
    fold(head)
    split = SplitPyramidHead(head)
    x = torch.randn(1, 8, 9, 11)
    whole = head(x)
    for top, bottom, left, right in ((0, 9, 0, 11), (0, 3, 8, 11), (4, 5, 5, 6), (2, 9, 0, 7)):
        found = split(x, (top, bottom, left, right))
        torch.testing.assert_close(found, whole[:, :, top:bottom, left:right], atol=1e-5, rtol=0)
    torch.testing.assert_close(split(x), whole, atol=1e-5, rtol=0)
