"""The pyramid pooling head (Zhao et al., "Pyramid Scene Parsing Network", CVPR 2017, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BINS = (1, 2, 3, 6)


class PyramidPooling(nn.Module):
    """A map concatenated with its averages over ever finer grids: global context at every position.

    Names as in chunbolang/BAM at c0f935c, model/PPM.py.

    Args:
        inputs: Channels C of the map.
        bins: Cells per side of each grid; each grid's averages are reduced to C / len(bins) channels.
    """

    def __init__(self, inputs: int, bins: Sequence[int] = BINS) -> None:
        super().__init__()
        reduced = inputs // len(bins)
        self.channels = inputs + reduced * len(bins)
        self.features = nn.ModuleList(
            nn.Sequential(
                nn.AdaptiveAvgPool2d(cells),
                nn.Conv2d(inputs, reduced, 1, bias=False),
                nn.BatchNorm2d(reduced),
                nn.ReLU(),
            )
            for cells in bins
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, `channels`, h, w), the map first, for a map (B, C, h, w)."""
        size = x.shape[-2:]
        pooled = [F.interpolate(grid, size, mode="bilinear", align_corners=True) for grid in self.grids(x)]
        return torch.cat([x, *pooled], dim=1)

    def grids(self, x: Tensor) -> list[Tensor]:
        """Return the averages over each grid, reduced, (B, C / len(bins), cells, cells)."""
        return [grid(x) for grid in self.features]


def pyramid_head(inputs: int, classes: int, width: int = 512) -> nn.Sequential:
    """Return PSPNet's head: pyramid pooling, then the classifier.

    Args:
        inputs: Channels of the input map.
        classes: Channels of the logits, background included.
        width: Hidden channels.
    """
    pooling = PyramidPooling(inputs)
    classifier = nn.Sequential(
        nn.Conv2d(pooling.channels, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Dropout2d(0.1),
        nn.Conv2d(width, classes, 1),
    )
    return nn.Sequential(pooling, classifier)
