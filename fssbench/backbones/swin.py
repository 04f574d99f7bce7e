"""Swin-B with the parameter names of its release; returns the map of every block.

Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", ICCV 2021. Facts from DCAMA's
copy of the release (pawn-sxy/DCAMA at 37fa053, model/base/swin_transformer.py), which adds the maps of the blocks.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones import Pyramid, UnusedLinear
from fssbench.backbones.finer import FinerBackbone
from fssbench.errors import UsageError

_PATCH = 4
_EXPANSION = 4
_OUTSIDE = -100.0
"""Added to the score of two positions that only the shift brought into one window."""


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
        for module in self.modules():
            if isinstance(module, nn.Linear) and not isinstance(module, UnusedLinear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

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


class Block(nn.Module):
    """Attention in windows and a perceptron, each after a norm and with a shortcut."""

    def __init__(self, width: int, heads: int, window: int, *, shifts: bool) -> None:
        super().__init__()
        self.window, self.shifts = window, shifts
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, heads, window)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Perceptron(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map (B, h, w, C) of one of the same shape."""
        batch, height, width, channels = x.shape
        window = self.window
        # A map of a single window is not shifted.
        shift = window // 2 if self.shifts and min(height, width) > window else 0
        inside = torch.roll(self.norm1(x), (-shift, -shift), (1, 2))
        tiles = inside.view(batch, height // window, window, width // window, window, channels).transpose(2, 3)
        mask = window_mask(height, width, window, shift).to(x) if shift else None
        attended = self.attn(tiles.reshape(batch, -1, window * window, channels), mask)
        back = attended.view(batch, height // window, width // window, window, window, channels).transpose(2, 3)
        x = x + torch.roll(back.reshape(x.shape), (shift, shift), (1, 2))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class WindowAttention(nn.Module):
    """Self-attention of the positions of a window, with a learnt bias for each relative position."""

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer("index", relative_positions(window), persistent=False)
        self.index: Tensor
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return (B, windows, positions, C) of a tensor of the same shape.

        Args:
            x: The windows.
            mask: Added to the scores, (windows, positions, positions); None for none.
        """
        batch, windows, positions, channels = x.shape
        parts = self.qkv(x).view(batch, windows, positions, 3, self.heads, channels // self.heads)
        query, key, value = parts.permute(3, 0, 1, 4, 2, 5)
        scores = (query * (channels // self.heads) ** -0.5) @ key.transpose(-2, -1)
        scores = scores + self.relative_position_bias_table[self.index].permute(2, 0, 1)
        if mask is not None:
            scores = scores + mask[:, None]
        attended = (torch.softmax(scores, dim=-1) @ value).transpose(2, 3).reshape(x.shape)
        projected: Tensor = self.proj(attended)
        return projected


class Perceptron(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, _EXPANSION * width)
        self.fc2 = nn.Linear(_EXPANSION * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the same shape."""
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


def relative_positions(window: int) -> Tensor:
    """Return for each pair of positions of a window the row of the bias table, int64 (window ** 2, window ** 2)."""
    rows, columns = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
    down, across = (axis.flatten()[:, None] - axis.flatten()[None] + window - 1 for axis in (rows, columns))
    return down * (2 * window - 1) + across


@cache
def window_mask(height: int, width: int, window: int, shift: int) -> Tensor:
    """Return what is added to scores in shifted windows, float32 (windows, window ** 2, window ** 2).

    The shift moves rows and columns from the beginning to the end of the map; they do not see those that were there.
    """
    rows, columns = (_parts(length, window, shift) for length in (height, width))
    part = 3 * rows[:, None] + columns[None]
    tiles = part.view(height // window, window, width // window, window).transpose(1, 2).reshape(-1, window * window)
    return torch.where(tiles[:, None] == tiles[:, :, None], 0.0, _OUTSIDE)


def _parts(length: int, window: int, shift: int) -> Tensor:
    place = torch.arange(length)
    return (place >= length - window).long() + (place >= length - shift).long()


def swin_b() -> Swin:
    """Build Swin-B for windows of 12 x 12 with random weights: a pyramid of 2, 18 and 2 maps."""
    return Swin(128, (2, 2, 18, 2), (4, 8, 16, 32), 12)
