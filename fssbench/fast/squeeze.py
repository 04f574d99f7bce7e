"""HSNet's squeezing and mixing blocks for predictions alone: the same sums, fewer of them.

A tensor of B = 1 is kept as `Rows`: every support position is a row, an image over the query positions with its
channels innermost. Then

- the half of a center-pivot kernel that moves over the query is an ordinary convolution of the rows, and the half that
  moves over the support is a matrix product from row to row, which has no padding to multiply: on a grid of 2 x 2 a 3x3
  kernel has 4 taps of 9;
- support positions near which the mask leaves nothing have rows that are alike. One stands for all: it is computed
  once, and the weights of the taps that fall on it are added up first. Before the first layer it is zero, and left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.layers.centerpivot import CenterPivotConv4d

Grid = tuple[tuple[int, ...], ...]
"""Of each support position (h', w') the number of its row."""
Taps = list[dict[int, list[int]]]
"""Of each output position the rows under the kernel, and for each the numbers of the taps that fall on it."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Support positions as images over the query positions.

    Attributes:
        images: (rows, h, w, C), contiguous.
        grid: Which row each support position has. Several positions may have the last one; the others have one each.
    """

    images: Tensor
    grid: Grid


def grid_of(places: Tensor, size: tuple[int, int]) -> Grid:
    """Return the grid of a support of which n positions are kept; all others have the number n.

    Args:
        places: The positions in row-major order, int64 (n,).
        size: (h', w').
    """
    height, width = size
    # Which products are needed is decided on the host: on a GPU one wait for each level.
    where = {place: number for number, place in enumerate(places.tolist())}
    rest = len(where)
    return tuple(tuple(where.get(row * width + column, rest) for column in range(width)) for row in range(height))


def squeeze(block: nn.Sequential, query: Sequence[Tensor], support: Sequence[Tensor], grid: Grid) -> Rows:
    """Return what a squeezing block makes of the correlations of one level.

    Args:
        block: Center-pivot convolution, group norm and ReLU, several times.
        query: The level's maps of the query, unit rows (h, w, C).
        support: The level's maps of the support where something is left, unit rows (n, C).
        grid: From `grid_of`.
    """
    height, width = query[0].shape[:2]
    correlations = query[0].new_empty(len(support[0]), len(query), height * width)
    for number, (q, s) in enumerate(zip(query, support, strict=True)):
        torch.mm(s, q.flatten(0, 1).T, out=correlations[:, number])
    correlations = correlations.clamp_(min=0).view(len(correlations), len(query), height, width)
    (convolution, norm), *rest = _layers(block)
    x = _normalise(norm, _convolve_correlations(convolution, correlations, grid))
    return _mixed(rest, x)


def mix(block: nn.Sequential, x: Rows) -> Rows:
    """Return what a mixing block, of the same layers, makes of rows."""
    return _mixed(_layers(block), x)


def add_coarser(x: Rows, coarser: Rows) -> Rows:
    """Return rows and what a deeper level found at the same support positions; a side of 1 serves all of the other."""
    images = coarser.images.permute(0, 3, 1, 2)
    resized = F.interpolate(images, x.images.shape[1:3], mode="bilinear", align_corners=True).permute(0, 2, 3, 1)
    finer, brought = _on_grid(x.images, x.grid), _on_grid(resized, coarser.grid)
    both = finer + brought
    rows, columns = both.shape[:2]
    return Rows(both.flatten(0, 1), _lines(list(range(rows * columns)), columns))


def _on_grid(images: Tensor, grid: Grid) -> Tensor:
    return images.reshape(len(grid), len(grid[0]), *images.shape[1:])


def _layers(block: nn.Sequential) -> list[tuple[CenterPivotConv4d, nn.GroupNorm]]:
    convolutions = [layer for layer in block if isinstance(layer, CenterPivotConv4d)]
    norms = [layer for layer in block if isinstance(layer, nn.GroupNorm)]
    return list(zip(convolutions, norms, strict=True))


def _mixed(layers: Sequence[tuple[CenterPivotConv4d, nn.GroupNorm]], x: Rows) -> Rows:
    for convolution, norm in layers:
        x = _normalise(norm, _convolve(convolution, x))
    return x


def _convolve_correlations(convolution: CenterPivotConv4d, correlations: Tensor, grid: Grid) -> Rows:
    """Return a first layer's output for correlations (n, maps, h, w) of the kept positions; elsewhere they are zero."""
    kernel, stride, bias = _facts(convolution)
    rest, _, height, width = correlations.shape
    taps = _taps(grid, kernel, stride, left_out=rest)
    near = [place for place, rows in enumerate(taps) if rows]
    by_tap = convolution.conv2.weight.permute(2, 3, 1, 0).flatten(0, 1)
    images = correlations.new_empty(len(near) + 1, height, width, len(bias))
    # The last row is that of all positions with nothing under their kernel.
    images[-1] = bias
    for number, place in enumerate(near):
        rows, at_taps = zip(*((row, tap[0]) for row, tap in taps[place].items()), strict=True)
        under = correlations[list(rows)].flatten(2).flatten(0, 1)
        torch.addmm(bias, under.T, by_tap[list(at_taps)].flatten(0, 1), out=images[number].flatten(0, 1))
    centres = [row for line in grid[::stride] for row in line[::stride]]
    at, rows_there = [], []
    for number, place in enumerate(near):
        if centres[place] != rest:
            at.append(number)
            rows_there.append(centres[place])
    if at:
        over_query = _over_query(convolution, correlations[rows_there], None)
        images.index_add_(0, torch.tensor(at, device=images.device), over_query)
    numbers = {place: number for number, place in enumerate(near)}
    columns = len(grid[0][::stride])
    flat = [numbers.get(place, len(near)) for place in range(len(centres))]
    return Rows(images, _lines(flat, columns))


def _convolve(convolution: CenterPivotConv4d, x: Rows) -> Rows:
    """Return a layer's output, which has a row for each position, in row-major order."""
    kernel, stride, bias = _facts(convolution)
    centres = [row for line in x.grid[::stride] for row in line[::stride]]
    needed = sorted(set(centres))
    images = x.images if len(needed) == len(x.images) else x.images[needed]
    out = _over_query(convolution, images.permute(0, 3, 1, 2), bias)
    if centres != needed:
        number = {row: place for place, row in enumerate(needed)}
        out = out[[number[row] for row in centres]]
    by_tap = convolution.conv2.weight.permute(2, 3, 1, 0).flatten(0, 1).contiguous()
    for place, rows in enumerate(_taps(x.grid, kernel, stride)):
        target = out[place].flatten(0, 1)
        for row, taps in rows.items():
            weight = by_tap[taps[0]] if len(taps) == 1 else by_tap[taps].sum(dim=0)
            target.addmm_(x.images[row].flatten(0, 1), weight)
    return Rows(out, _lines(list(range(len(centres))), len(x.grid[0][::stride])))


def _over_query(convolution: CenterPivotConv4d, images: Tensor, bias: Tensor | None) -> Tensor:
    """Return the half that moves over the query, (n, h, w, outputs) contiguous, of images (n, C, h, w)."""
    weight = convolution.conv1.weight.contiguous(memory_format=torch.channels_last)
    return F.conv2d(images, weight, bias, padding=convolution.conv1.padding).permute(0, 2, 3, 1).contiguous()


def _normalise(norm: nn.GroupNorm, x: Rows) -> Rows:
    """Return rows after group norm and ReLU; `x` is used up. A row counts as often as it stands in the grid.

    torch's own group norm with channels innermost takes the variance as a difference of float32 sums, which is a
    hundred times less exact where a mask leaves little.
    """
    images = x.images
    rows, height, width, channels = images.shape
    each = channels // norm.num_groups
    positions = sum(len(line) for line in x.grid)
    counts = images.new_ones(rows, 1, dtype=torch.float64)
    counts[-1] = positions - (rows - 1)

    def mean_of(values: Tensor) -> Tensor:
        # Sums of a row are taken in float32, of rows in float64.
        total = (counts * values.sum(dim=(1, 2))).sum(dim=0).view(norm.num_groups, each).sum(dim=1)
        return total / (positions * height * width * each)

    images.sub_(mean_of(images).to(images.dtype).repeat_interleave(each))
    deviation = (mean_of(images.square()) + norm.eps).rsqrt().to(images.dtype).repeat_interleave(each)
    return Rows(torch.addcmul(norm.bias, images, norm.weight * deviation, out=images).relu_(), x.grid)


def _facts(convolution: CenterPivotConv4d) -> tuple[int, int, Tensor]:
    """Return side of the kernel, stride over the support, and both halves' biases together."""
    first, second = convolution.conv1.bias, convolution.conv2.bias
    if first is None or second is None:
        raise TypeError("a center-pivot convolution has a bias in both halves")
    bias = first + second
    return convolution.conv2.kernel_size[0], convolution.stride, bias


def _taps(grid: Grid, kernel: int, stride: int, left_out: int | None = None) -> Taps:
    """Return what lies under the kernel at each output position, row-major; the row `left_out` is not looked at."""
    height, width, pad = len(grid), len(grid[0]), kernel // 2
    found: Taps = []
    for top, left in product(range(-pad, height - pad, stride), range(-pad, width - pad, stride)):
        under: dict[int, list[int]] = {}
        for number, (a, b) in enumerate(product(range(kernel), repeat=2)):
            row, column = top + a, left + b
            if 0 <= row < height and 0 <= column < width and grid[row][column] != left_out:
                under.setdefault(grid[row][column], []).append(number)
        found.append(under)
    return found


def _lines(flat: list[int], columns: int) -> Grid:
    return tuple(tuple(flat[start : start + columns]) for start in range(0, len(flat), columns))
