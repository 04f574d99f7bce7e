"""Blocks of a Swin transformer on maps of any number of axes: images have two, correlations four.

Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", ICCV 2021. Parameters have the
names of its release. The tables that the release keeps in its state dict, the index of relative positions and the masks
of shifted windows, follow from the sizes and are computed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones import UnusedLinear

_EXPANSION = 4
_OUTSIDE = -100.0
"""Added to the score of two positions that only the shift brought into one window."""


class Block(nn.Module):
    """Attention in windows and a perceptron, each after a norm and with a shortcut.

    Args:
        width: Channels.
        heads: Number of heads.
        window: Side of a window, in positions.
        shifts: Whether windows are shifted by half their side.
        axes: Number of axes of the maps.
    """

    def __init__(self, width: int, heads: int, window: int, *, shifts: bool, axes: int = 2) -> None:
        super().__init__()
        self.window, self.shifts = window, shifts
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, heads, window, axes)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Perceptron(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map (B, *sides, C) of one of the same shape; windows have to tile it."""
        sides, axes = x.shape[1:-1], tuple(range(1, x.ndim - 1))
        # A map that is no longer than a window is not shifted.
        shift = self.window // 2 if self.shifts and min(sides) > self.window else 0
        inside = torch.roll(self.norm1(x), (-shift,) * len(axes), axes)
        mask = window_mask(tuple(sides), self.window, shift).to(x) if shift else None
        attended = from_windows(self.attn(into_windows(inside, self.window), mask), sides, self.window)
        x = x + torch.roll(attended, (shift,) * len(axes), axes)
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class WindowAttention(nn.Module):
    """Self-attention of the positions of a window, with a learnt bias for each relative position."""

    def __init__(self, width: int, heads: int, window: int, axes: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** axes, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer("index", relative_positions(window, axes), persistent=False)
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


def into_windows(x: Tensor, window: int) -> Tensor:
    """Return the windows of a map (B, *sides, C), (B, windows, positions, C), both row by row."""
    sides = x.shape[1:-1]
    tiled = x.view(len(x), *(part for side in sides for part in (side // window, window)), x.shape[-1])
    outer, inner = range(1, 2 * len(sides), 2), range(2, 2 * len(sides) + 1, 2)
    return tiled.permute(0, *outer, *inner, tiled.ndim - 1).reshape(len(x), -1, window ** len(sides), x.shape[-1])


def from_windows(windows: Tensor, sides: Sequence[int], window: int) -> Tensor:
    """Return the map (B, *sides, C) of its windows."""
    count, channels = len(sides), windows.shape[-1]
    tiled = windows.view(len(windows), *(side // window for side in sides), *(window,) * count, channels)
    order = (axis for place in range(1, count + 1) for axis in (place, place + count))
    return tiled.permute(0, *order, tiled.ndim - 1).reshape(len(windows), *sides, channels)


def relative_positions(window: int, axes: int = 2) -> Tensor:
    """Return for each pair of positions of a window the row of the bias table, int64 (positions, positions)."""
    place = torch.stack(torch.meshgrid(*[torch.arange(window)] * axes, indexing="ij")).flatten(1)
    offset = place[:, :, None] - place[:, None, :] + window - 1
    row = torch.zeros_like(offset[0])
    for along in offset:
        row = row * (2 * window - 1) + along
    return row


@cache
def window_mask(sides: tuple[int, ...], window: int, shift: int) -> Tensor:
    """Return what is added to scores in shifted windows, float32 (windows, positions, positions).

    The shift moves positions from the beginning of an axis to its end; they do not see those that were there.
    """
    part = torch.zeros(sides, dtype=torch.int64)
    for axis, side in enumerate(sides):
        shape = [1] * len(sides)
        shape[axis] = side
        part = 3 * part + _parts(side, window, shift).view(shape)
    (tiles,) = into_windows(part[None, ..., None], window)[..., 0]
    return torch.where(tiles[:, None] == tiles[:, :, None], 0.0, _OUTSIDE)


def _parts(length: int, window: int, shift: int) -> Tensor:
    place = torch.arange(length)
    return (place >= length - window).long() + (place >= length - shift).long()


def initialise(module: nn.Module) -> None:
    """Give the linear layers of a module the random weights with which the release begins."""
    for part in module.modules():
        if isinstance(part, nn.Linear) and not isinstance(part, UnusedLinear):
            nn.init.trunc_normal_(part.weight, std=0.02)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
