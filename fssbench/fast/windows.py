"""Swin blocks for predictions on a CPU: in place and tile by tile, so that what a block computes stays in the cache.

In a shifted window at the end of an axis, a mask parts the positions of the end from those of the beginning, which the
shift brought there. Here they are two smaller windows: nothing is shifted or masked, and scores that the mask would
remove are not computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones.windows import Block
from fssbench.layers.devices import serial_on

Run = tuple[int, int]
"""The positions of a window on one axis: the first one, and the one after the last."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of equal sides in a tile.

    Attributes:
        places: Their positions among those of the tile, int64 (windows * positions,).
        bias: Added to the scores, (1, heads, positions, positions).
    """

    places: Tensor
    bias: Tensor


@dataclass(frozen=True, eq=False)
class Tile:
    """A part of a map that is made of whole windows: one on each of the first half of the axes, all on the others."""

    part: tuple[slice, ...]
    windows: tuple[Windows, ...]


class TiledBlocks(nn.Module):
    """Blocks whose weights are shared with those that are given.

    Args:
        blocks: Made of `Block`.
        sides: Of the maps.
    """

    def __init__(self, blocks: nn.Sequential, sides: Sequence[int]) -> None:
        super().__init__()
        self.blocks = blocks
        self.tiles = [tiles_of(cast("Block", block), sides) for block in blocks]

    def forward(self, x: Tensor) -> Tensor:
        """Return the result of the blocks for maps (B, *sides, C); a graphics card computes them without tiles."""
        if not serial_on(x.device):
            plain: Tensor = self.blocks(x)
            return plain
        out = x.clone()
        for image in out:
            self.change(image)
        return out

    def change(self, image: Tensor) -> None:
        """Overwrite a map (*sides, C) on a CPU with the result of the blocks."""
        for block, tiles in zip(self.blocks, self.tiles, strict=True):
            for tile in tiles:
                change(cast("Block", block), image[tile.part], tile.windows)

    def mean(self, image: Tensor) -> Tensor:
        """Return the mean of the result of the blocks over the second half of the axes, (*sides of the first, C).

        The last linear layer follows the mean, because they commute.

        Args:
            image: (*sides, C) on a CPU; it is overwritten.
        """
        *blocks, last = zip(self.blocks, self.tiles, strict=True)
        for block, tiles in blocks:
            for tile in tiles:
                change(cast("Block", block), image[tile.part], tile.windows)
        block, tiles = last
        axes = (image.ndim - 1) // 2
        means = image.new_empty(*image.shape[:axes], image.shape[-1])
        for tile in tiles:
            means[tile.part] = mean_of(cast("Block", block), image[tile.part], tile.windows)
        return means


def tiles_of(block: Block, sides: Sequence[int]) -> list[Tile]:
    """Return the tiles of a block on maps of these sides; those of equal sides share their windows."""
    shift = block.window // 2 if block.shifts and min(sides) > block.window else 0
    runs = [_runs(side, block.window, shift) for side in sides]
    outer = len(sides) // 2
    found: dict[tuple[int, ...], tuple[Windows, ...]] = {}
    tiles = []
    for place in product(*runs[:outer]):
        lengths = tuple(stop - start for start, stop in place)
        if lengths not in found:
            found[lengths] = tuple(_windows(block, lengths, sides[outer:], runs[outer:]))
        tiles.append(Tile(tuple(slice(*run) for run in place), found[lengths]))
    return tiles


def change(block: Block, part: Tensor, windows: Sequence[Windows]) -> None:
    """Overwrite a part (*sides, C) of a map with the result of a block."""
    x = _attended(block, part, windows)
    x += block.mlp(block.norm2(x))
    part.copy_(x.view(part.shape))


def mean_of(block: Block, part: Tensor, windows: Sequence[Windows]) -> Tensor:
    """Return the mean of the result of `change` over the second half of the axes; the part stays as it is."""
    axes = (part.ndim - 1) // 2
    x = _attended(block, part, windows)
    hidden = F.gelu(block.mlp.fc1(block.norm2(x)))
    shape = (*part.shape[:axes], -1)
    count = part.shape[:axes].numel()
    mean: Tensor = block.mlp.fc2(hidden.view(count, -1, hidden.shape[1]).mean(dim=1))
    return (mean + x.view(count, -1, x.shape[1]).mean(dim=1)).view(shape)


def _attended(block: Block, part: Tensor, windows: Sequence[Windows]) -> Tensor:
    """Return the positions of a part, (n, C), plus what they attend to in their windows."""
    x = part.reshape(-1, part.shape[-1])
    projected = block.attn.qkv(block.norm1(x))
    attended = torch.empty_like(x)
    for group in windows:
        _, heads, positions, _ = group.bias.shape
        parts = projected.index_select(0, group.places).view(-1, positions, 3, heads, x.shape[1] // heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=group.bias)
        attended.index_copy_(0, group.places, found.transpose(1, 2).reshape(-1, x.shape[1]))
    out: Tensor = block.attn.proj(attended)
    return out.add_(x)


def _runs(side: int, window: int, shift: int) -> list[Run]:
    """Return the windows along an axis; a shift leaves shorter ones at both ends."""
    starts = [*([0] if shift else []), *range(shift, side, window)]
    return list(zip(starts, [*starts[1:], side], strict=True))


def _windows(block: Block, outer: Sequence[int], sides: Sequence[int], runs: Sequence[Sequence[Run]]) -> list[Windows]:
    """Return the windows of a tile by their sides.

    Args:
        block: Has the biases.
        outer: Sides of the tile, and of each window, on the first axes.
        sides: Sides of the tile on the others.
        runs: The windows along these.
    """
    index = block.attn.index
    numbers = torch.arange(torch.Size((*outer, *sides)).numel(), device=index.device).view(*outer, *sides)
    groups: dict[tuple[int, ...], list[Tensor]] = {}
    for place in product(*runs):
        inside = numbers[(slice(None),) * len(outer) + tuple(slice(*run) for run in place)]
        groups.setdefault(tuple(inside.shape), []).append(inside.flatten())
    axes = len(outer) + len(sides)
    table = block.attn.relative_position_bias_table.detach()
    found = []
    for shape, places in groups.items():
        first = tuple(slice(side) for side in shape)
        rows = index.view((block.window,) * (2 * axes))[first + first].reshape(len(places[0]), -1)
        found.append(Windows(torch.cat(places), table[rows].permute(2, 0, 1).contiguous()[None]))
    return found
