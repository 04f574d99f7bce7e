"""Atrous spatial pyramid pooling: what each branch sees."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fssbench.layers.aspp import ASPP, DILATIONS


def _ones(width: int) -> ASPP:
    aspp = ASPP(width).eval()
    for parameter in aspp.parameters():
        nn.init.constant_(parameter, float(parameter.ndim > 1))
    return aspp


def test_the_first_branch_is_the_average_everywhere() -> None:
    x = torch.rand(2, 3, 5, 7)
    out = _ones(3)(x)
    assert out.shape == (2, 15, 5, 7)
    average = x.mean(dim=(2, 3)).sum(dim=1)
    torch.testing.assert_close(out[:, :3], average[:, None, None, None].expand(2, 3, 5, 7))


def test_the_second_branch_sees_its_position_alone() -> None:
    x = torch.rand(1, 3, 5, 7)
    torch.testing.assert_close(_ones(3)(x)[:, 3:6], x.sum(dim=1, keepdim=True).expand(1, 3, 5, 7))


@pytest.mark.parametrize(("branch", "reach"), [(2, 6), (3, 12), (4, 18)])
def test_the_others_see_nine_positions_at_their_distance(branch: int, reach: int) -> None:
    x = torch.zeros(1, 1, 41, 41)
    x[0, 0, 20, 20] = 1.0
    seen = _ones(1)(x)[0, branch]
    places = {tuple(place) for place in seen.nonzero().tolist()}
    assert places == {(20 + i * reach, 20 + j * reach) for i in (-1, 0, 1) for j in (-1, 0, 1)}
    assert reach in DILATIONS


def test_nothing_is_below_zero() -> None:
    torch.manual_seed(0)
    out = ASPP(4)(torch.randn(1, 4, 9, 9))
    assert out.min() == 0
    assert out.max() > 0
