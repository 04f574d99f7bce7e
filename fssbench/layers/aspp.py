"""Atrous spatial pyramid pooling (Chen et al., "Rethinking Atrous Convolution", 2017), as in few-shot methods."""

from __future__ import annotations

import torch
from torch import Tensor, nn

DILATIONS = (6, 12, 18)


class ASPP(nn.Module):
    """The global average, a 1x1 convolution and dilated 3x3 convolutions in parallel, each with a ReLU, no batch norm.

    Names as in chunbolang/BAM at c0f935c, model/ASPP.py.

    Args:
        width: Channels C of the input and of each branch.
    """

    def __init__(self, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.layer6_0 = _branch(nn.Conv2d(width, width, 1), dropout)
        self.layer6_1 = _branch(nn.Conv2d(width, width, 1), dropout)
        self.layer6_2, self.layer6_3, self.layer6_4 = (
            _branch(nn.Conv2d(width, width, 3, padding=reach, dilation=reach), dropout) for reach in DILATIONS
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, 5 C, h, w) for a map (B, C, h, w), the branch of the global average first."""
        average = self.layer6_0(x.mean(dim=(2, 3), keepdim=True)).expand_as(x)
        branches = (self.layer6_1, self.layer6_2, self.layer6_3, self.layer6_4)
        return torch.cat([average, *(branch(x) for branch in branches)], dim=1)


def _branch(convolution: nn.Conv2d, dropout: float) -> nn.Sequential:
    nn.init.kaiming_normal_(convolution.weight)
    dropped = (nn.Dropout2d(dropout),) if dropout else ()
    return nn.Sequential(convolution, nn.ReLU(), *dropped)
