"""Swin-B with the parameter names of its release; returns the map of every block.

Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", ICCV 2021. Facts from DCAMA's
copy of the release (pawn-sxy/DCAMA at 37fa053, model/base/swin_transformer.py), which adds the maps of the blocks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fssbench.backbones import Pyramid, UnusedLinear
from fssbench.backbones.finer import FinerBackbone
from fssbench.backbones.windows import Block, initialise
from fssbench.errors import UsageError

_PATCH = 4


class Swin(FinerBackbone):
    """A Swin transformer of four stages; the pyramid has the maps of the blocks of the last three.

    No norm follows the maps. The tables that the release keeps in its state dict, the index of relative positions and
    the masks of shifted windows, follow from the sizes and are computed here.

    Args:
        width: Channels of the first stage; each stage has twice those of the one before.
        depths: Number of blocks in each stage.
        heads: Number of heads in each stage.
        window: Side of a window, in positions.
    """

    relu_follows = False

    def __init__(
        self, width: int, depths: tuple[int, int, int, int], heads: tuple[int, int, int, int], window: int
    ) -> None:
        super().__init__()
        widths = [width << stage for stage in range(4)]
        self.window = window
        self.levels = depths[1:]
        self.channels = tuple(w for w, depth in zip(widths[1:], depths[1:], strict=True) for _ in range(depth))
        self.finer_channels = width
        self.patch_embed = PatchEmbedding(width)
        self.layers = nn.ModuleList(
            Stage(w, depth, count, window, merges=w != widths[-1])
            for w, depth, count in zip(widths, depths, heads, strict=True)
        )
        # The release has a norm and a classifier after the last stage, which no map passes.
        self.norm = nn.LayerNorm(widths[-1])
        self.head = UnusedLinear(widths[-1], 1000)
        initialise(self)

    def with_finer(self, image: Tensor) -> tuple[Tensor, Pyramid]:
        """Return the map of the last block of the first stage, and those of all blocks of the others.

        Raises:
            UsageError: If the windows do not tile the maps.
        """
        step = 8 * _PATCH * self.window
        height, width = image.shape[-2:]
        if height % step or width % step:
            raise UsageError(
                f"this Swin transformer takes images whose sides are multiples of {step}, not {height} x {width}",
                f"use a protocol with an input of {step} x {step} pixels, or another backbone",
            )
        x = self.patch_embed(image)
        maps: list[Tensor] = []
        for stage in self.layers:
            blocks, x = stage(x)
            maps += [block.permute(0, 3, 1, 2).contiguous() for block in blocks]
        first = len(maps) - sum(self.levels)
        return maps[first - 1], tuple(maps[first:])


class PatchEmbedding(nn.Module):
    """Patches of 4 x 4 pixels, projected and normalised."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, _PATCH, stride=_PATCH)
        self.norm = nn.LayerNorm(width)

    def forward(self, image: Tensor) -> Tensor:
        """Return (B, h, w, width)."""
        x: Tensor = self.norm(self.proj(image).permute(0, 2, 3, 1))
        return x


class Stage(nn.Module):
    """Blocks at one size, in turn with and without a shift; then, but for the last stage, patches are merged."""

    def __init__(self, width: int, depth: int, heads: int, window: int, *, merges: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, heads, window, shifts=place % 2 == 1) for place in range(depth))
        self.downsample = PatchMerging(width) if merges else None

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the map of each block, (B, h, w, C), and the input of the next stage."""
        maps = []
        for block in self.blocks:
            x = block(x)
            maps.append(x)
        return maps, x if self.downsample is None else self.downsample(x)


class PatchMerging(nn.Module):
    """Four neighbours become one position of twice the channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)
        self.norm = nn.LayerNorm(4 * width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, h / 2, w / 2, 2 C) of a map (B, h, w, C)."""
        # The neighbours' order: down each column first.
        corners = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        merged: Tensor = self.reduction(self.norm(torch.cat(corners, dim=-1)))
        return merged


def swin_b() -> Swin:
    """Build Swin-B for windows of 12 x 12 with random weights: a pyramid of 2, 18 and 2 maps."""
    return Swin(128, (2, 2, 18, 2), (4, 8, 16, 32), 12)
