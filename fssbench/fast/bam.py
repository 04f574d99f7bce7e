"""BAM's fast form: the base learner's head convolves the few cells of a grid instead of the enlarged grid."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.fast.prior import Box
from fssbench.fast.staged import FastStaged
from fssbench.layers.pyramid_pooling import PyramidPooling
from fssbench.methods.bam import BAM


class FastBAM(FastStaged, BAM):
    """See `BAM`."""

    fixed_shapes: ClassVar[tuple[str, ...]] = ("meta_learner",)

    def prepare(self) -> None:
        """Fold all parts, and split the base learner's head."""
        super().prepare()
        self.learner_base = SplitPyramidHead(self.learner_base)


class SplitPyramidHead(nn.Sequential):
    """A `fssbench.layers.pyramid_pooling.pyramid_head` whose first convolution is split by the parts of its input.

    Args:
        head: Folded; it is shared.
    """

    def __init__(self, head: nn.Sequential) -> None:
        super().__init__(*head)
        pooling, (convolution, *rest) = _parts(head)
        reductions = [part.out_channels for part in pooling.features.modules() if isinstance(part, nn.Conv2d)]
        own, *grids = torch.split(convolution.weight, [pooling.channels - sum(reductions), *reductions], dim=1)
        self._pooling, self._rest = (pooling,), (nn.Sequential(*rest),)
        self._own, self._grids = own.contiguous(memory_format=torch.channels_last), grids
        self._bias = convolution.bias

    def forward(self, x: Tensor, box: Box | None = None) -> Tensor:
        """Return what the head makes of a map, (B, outputs, h, w).

        Args:
            x: (B, C, h, w).
            box: The part of the result that is wanted; default all of it.
        """
        height, width = x.shape[-2:]
        top, bottom, left, right = box or (0, height, 0, width)
        if box is None:
            out = F.conv2d(x, self._own, self._bias, padding=1)
        else:
            around = F.pad(x, (1, 1, 1, 1))[:, :, top : bottom + 2, left : right + 2]
            out = F.conv2d(around, self._own, self._bias)
        for grid, weight in zip(self._pooling[0].grids(x), self._grids, strict=True):
            out += _convolve_enlarged(grid, weight, (height, width))[:, :, top:bottom, left:right]
        made: Tensor = self._rest[0](out)
        return made


def _parts(head: nn.Sequential) -> tuple[PyramidPooling, tuple[nn.Conv2d, *tuple[nn.Module, ...]]]:
    pooling, classifier = head
    if isinstance(pooling, PyramidPooling) and isinstance(classifier, nn.Sequential):
        convolution, *rest = classifier
        if isinstance(convolution, nn.Conv2d):
            return pooling, (convolution, *rest)
    raise TypeError("this is not a pyramid head")


def _convolve_enlarged(grid: Tensor, weight: Tensor, size: tuple[int, int]) -> Tensor:
    """Return a padded 3x3 convolution of an enlarged grid, (B, outputs, h, w), from the few cells of the grid.

    Enlarging and convolving are linear. So each tap of each cell is spread by its own map, which is the same for all
    channels.

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
