"""The base learner's head in BAM's fast form, against the head itself."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fssbench.fast.bam import SplitPyramidHead
from fssbench.fast.folding import folded
from fssbench.layers.pyramid_pooling import pyramid_head


@pytest.mark.parametrize("size", [(60, 60), (13, 9), (5, 7)])
def test_a_head_predicts_from_the_cells_of_its_grids(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    head = pyramid_head(8, 3, width=16).eval()
    for part in head.modules():
        if isinstance(part, torch.nn.BatchNorm2d) and part.running_mean is not None and part.running_var is not None:
            torch.nn.init.normal_(part.running_mean)
            torch.nn.init.uniform_(part.running_var, 0.5, 2.0)
    x = torch.randn(2, 8, *size)
    pooling, classifier = head
    with torch.inference_mode():
        expected = classifier(pooling(x))
        torch.testing.assert_close(SplitPyramidHead(folded(head))(x), expected, atol=1e-5, rtol=1e-5)
        assert torch.equal(head(x), expected)


def test_another_head_is_refused() -> None:
    with pytest.raises(TypeError, match="not a pyramid head"):
        SplitPyramidHead(nn.Sequential(nn.Identity(), nn.Sequential(nn.Conv2d(1, 1, 1))))
