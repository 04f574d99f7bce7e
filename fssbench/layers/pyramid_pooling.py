"""The pyramid pooling head (Zhao et al., "Pyramid Scene Parsing Network", CVPR 2017, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones.folding import answering, folded, run

BINS = (1, 2, 3, 6)


class PyramidPooling(nn.Module):
    """A map beside what its averages over ever finer grids say: global context at every position.

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
        """Return (B, `channels`, h, w), the map itself first, for a map (B, C, h, w)."""
        size = x.shape[-2:]
        pooled = [F.interpolate(grid, size, mode="bilinear", align_corners=True) for grid in self.grids(x)]
        return torch.cat([x, *pooled], dim=1)

    def grids(self, x: Tensor) -> list[Tensor]:
        """Return the averages over each grid, reduced, (B, C / len(bins), cells, cells)."""
        return [run(grid, x) for grid in self.features]


class PyramidHead(nn.Sequential):
    """Pyramid pooling, then the classifier; see `pyramid_head`."""

    def forward(self, x: Tensor) -> Tensor:
        """Return raw logits (B, classes, h, w) for a map (B, C, h, w)."""
        pooling, classifier = self
        if not answering() or not isinstance(pooling, PyramidPooling) or not isinstance(classifier, nn.Sequential):
            logits: Tensor = classifier(pooling(x))
            return logits
        convolution, norm, *rest = classifier
        if not isinstance(convolution, nn.Conv2d) or not isinstance(norm, nn.BatchNorm2d) or norm.training:
            return run(classifier, pooling(x))
        weight, bias = folded(convolution, norm)
        grids = pooling.grids(x)
        own, *others = torch.split(weight, [its.shape[1] for its in (x, *grids)], dim=1)
        out = F.conv2d(x, own.contiguous(memory_format=torch.channels_last), bias, padding=convolution.padding)
        for grid, its in zip(grids, others, strict=True):
            out += _convolve_stretched(grid, its, (x.shape[-2], x.shape[-1]))
        return run(nn.Sequential(*rest), out.relu_())


def _convolve_stretched(grid: Tensor, weight: Tensor, size: tuple[int, int]) -> Tensor:
    """Return a padded 3x3 convolution of a grid stretched to a size, (B, outputs, h, w), from the grid's few cells.

    Stretching and convolving are linear, so each tap of each cell is spread by a map of its own, which is the same for
    all channels.

    Args:
        grid: (B, C, cells, cells).
        weight: (outputs, C, 3, 3).
        size: (h, w).
    """
    cells = grid.shape[-2] * grid.shape[-1]
    one_cell = torch.eye(cells, dtype=grid.dtype, device=grid.device).view(cells, 1, *grid.shape[-2:])
    spread = F.interpolate(one_cell, size, mode="bilinear", align_corners=True)
    maps = F.unfold(spread, 3, padding=1)  # (cells, 9, h * w)
    by_tap = torch.einsum("oct,bcn->bont", weight.flatten(2), grid.flatten(2))
    out = by_tap.flatten(2) @ maps.flatten(0, 1)
    return out.view(len(grid), -1, *size)


def pyramid_head(inputs: int, classes: int, width: int = 512) -> PyramidHead:
    """Return PSPNet's head: pyramid pooling, then the classifier.

    Args:
        inputs: Channels of the map it reads.
        classes: Channels of the logits, background included.
        width: Channels between.
    """
    pooling = PyramidPooling(inputs)
    classifier = nn.Sequential(
        nn.Conv2d(pooling.channels, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Dropout2d(0.1),
        nn.Conv2d(width, classes, 1),
    )
    return PyramidHead(pooling, classifier)
