"""HSNet's squeezing and mixing blocks for predictions: the same sums with fewer operations.

A tensor with B = 1 is stored as `Rows`: every support position is a row, which is an image over the query positions
with its channels innermost. Then

- the half of a center-pivot kernel that moves over the query is an ordinary convolution of the rows. The half that
  moves over the support is a matrix product from row to row without padding: on a grid of 2 x 2 a 3x3 kernel uses 4 of
  its 9 taps.
- support positions far from the masked object have equal rows. They share one row, which is computed once; the weights
  of the taps that fall on it are added first. Before the first layer this row is zero and left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.layers.centerpivot import CenterPivotConv4d

Grid = tuple[tuple[int, ...], ...]
"""For each support position (h', w') the number of its row."""
Taps = list[dict[int, list[int]]]
"""For each output position the rows under the kernel, and for each row the numbers of the taps that fall on it."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Support positions as images over the query positions.

    Attributes:
        images: (rows, h, w, C), contiguous.
        grid: The row of each support position. Several positions may share one.
    """

    images: Tensor
    grid: Grid


def grid_of(places: Tensor, size: tuple[int, int]) -> Grid:
    """Return the grid of a support with n kept positions; all other positions have the number n.

    Args:
        places: The kept positions in row-major order, int64 (n,).
        size: (h', w').
    """
    height, width = size
    # The host decides which products are needed: on a GPU this waits once for each level.
    where = {place: number for number, place in enumerate(places.tolist())}
    rest = len(where)
    return tuple(tuple(where.get(row * width + column, rest) for column in range(width)) for row in range(height))


def squeeze(block: nn.Sequential, query: Sequence[Tensor], support: Sequence[Tensor], grid: Grid) -> Rows:
    """Return the result of a squeezing block for the correlations of one level.

    Args:
        block: Center-pivot convolution, group norm and ReLU, several times.
        query: The level's maps of the query, unit rows (h, w, C).
        support: The level's maps of the support at the kept positions, unit rows (n, C).
        grid: From `grid_of`.
    """
    height, width = query[0].shape[:2]
    correlations = query[0].new_empty(len(support[0]), len(query), height * width)
    for number, (q, s) in enumerate(zip(query, support, strict=True)):
        torch.mm(s, q.flatten(0, 1).T, out=correlations[:, number])
    correlations = correlations.clamp_(min=0).view(len(correlations), len(query), height, width)
    (convolution, norm), *rest = _layers(block)
    x = normalise(norm, _convolve_correlations(convolution, correlations, grid))
    return _apply_layers(rest, x)


def mix(block: nn.Sequential, x: Rows) -> Rows:
    """Return the result of a mixing block, which has the same layers, for rows."""
    return _apply_layers(_layers(block), x)


def add_coarser(x: Rows, coarser: Rows) -> Rows:
    """Return rows plus the rows of a deeper level at the same support positions; an axis of length 1 is broadcast."""
    images = coarser.images.permute(0, 3, 1, 2)
    resized = F.interpolate(images, x.images.shape[1:3], mode="bilinear", align_corners=True).permute(0, 2, 3, 1)
    finer, coarse = _on_grid(x.images, x.grid), _on_grid(resized, coarser.grid)
    both = finer + coarse
    rows, columns = both.shape[:2]
    return Rows(both.flatten(0, 1), grid_from_rows(list(range(rows * columns)), columns))


def _on_grid(images: Tensor, grid: Grid) -> Tensor:
    return images.reshape(len(grid), len(grid[0]), *images.shape[1:])


def _layers(block: nn.Sequential) -> list[tuple[CenterPivotConv4d, nn.GroupNorm]]:
    convolutions = [layer for layer in block if isinstance(layer, CenterPivotConv4d)]
    norms = [layer for layer in block if isinstance(layer, nn.GroupNorm)]
    return list(zip(convolutions, norms, strict=True))


def _apply_layers(layers: Sequence[tuple[CenterPivotConv4d, nn.GroupNorm]], x: Rows) -> Rows:
    for convolution, norm in layers:
        x = normalise(norm, _convolve(convolution, x))
    return x


def _convolve_correlations(convolution: CenterPivotConv4d, correlations: Tensor, grid: Grid) -> Rows:
    """Return the output of a first layer for correlations (n, maps, h, w) of the kept positions; others are zero."""
    kernel, stride, bias = _parameters(convolution)
    rest, _, height, width = correlations.shape
    taps = taps_of(grid, kernel, stride, left_out=rest)
    near = [place for place, rows in enumerate(taps) if rows]
    by_tap = convolution.conv2.weight.permute(2, 3, 1, 0).flatten(0, 1)
    images = correlations.new_empty(len(near) + 1, height, width, len(bias))
    # The last row is for all positions whose kernel covers no kept position.
    images[-1] = bias
    for number, place in enumerate(near):
        rows, at_taps = zip(*((row, tap[0]) for row, tap in taps[place].items()), strict=True)
        under = correlations[list(rows)].flatten(2).flatten(0, 1)
        torch.addmm(bias, under.T, by_tap[list(at_taps)].flatten(0, 1), out=images[number].flatten(0, 1))
    centres = [row for line in grid[::stride] for row in line[::stride]]
    targets, sources = [], []
    for number, place in enumerate(near):
        if centres[place] != rest:
            targets.append(number)
            sources.append(centres[place])
    if targets:
        over_query = _over_query(convolution, correlations[sources], None)
        images.index_add_(0, torch.tensor(targets, device=images.device), over_query)
    numbers = {place: number for number, place in enumerate(near)}
    columns = len(grid[0][::stride])
    flat = [numbers.get(place, len(near)) for place in range(len(centres))]
    return Rows(images, grid_from_rows(flat, columns))


def _convolve(convolution: CenterPivotConv4d, x: Rows) -> Rows:
    """Return the output of a layer, which has one row for each position, in row-major order."""
    kernel, stride, bias = _parameters(convolution)
    centres = [row for line in x.grid[::stride] for row in line[::stride]]
    needed = sorted(set(centres))
    images = x.images if len(needed) == len(x.images) else x.images[needed]
    out = _over_query(convolution, images.permute(0, 3, 1, 2), bias)
    if centres != needed:
        number = {row: place for place, row in enumerate(needed)}
        out = out[[number[row] for row in centres]]
    by_tap = convolution.conv2.weight.permute(2, 3, 1, 0).flatten(0, 1).contiguous()
    for place, rows in enumerate(taps_of(x.grid, kernel, stride)):
        target = out[place].flatten(0, 1)
        for row, taps in rows.items():
            weight = by_tap[taps[0]] if len(taps) == 1 else by_tap[taps].sum(dim=0)
            target.addmm_(x.images[row].flatten(0, 1), weight)
    return Rows(out, grid_from_rows(list(range(len(centres))), len(x.grid[0][::stride])))


def _over_query(convolution: CenterPivotConv4d, images: Tensor, bias: Tensor | None) -> Tensor:
    """Return the half that moves over the query, (n, h, w, outputs) contiguous, for images (n, C, h, w)."""
    weight = convolution.conv1.weight.contiguous(memory_format=torch.channels_last)
    return F.conv2d(images, weight, bias, padding=convolution.conv1.padding).permute(0, 2, 3, 1).contiguous()


def normalise(norm: nn.GroupNorm, x: Rows) -> Rows:
    """Return rows after group norm and ReLU; `x` is overwritten. Rows are weighted by their number of positions.

    torch's own group norm with channels innermost computes the variance as a difference of float32 sums, which is a
    hundred times less exact if a mask keeps few positions.
    """
    images = x.images
    rows, height, width, channels = images.shape
    each = channels // norm.num_groups
    positions = sum(len(line) for line in x.grid)
    found = Counter(row for line in x.grid for row in line)
    counts = torch.tensor([[found[row]] for row in range(rows)], dtype=torch.float64, device=images.device)

    def mean_of(values: Tensor) -> Tensor:
        # Sums within a row are float32, sums over rows float64.
        total = (counts * values.sum(dim=(1, 2))).sum(dim=0).view(norm.num_groups, each).sum(dim=1)
        return total / (positions * height * width * each)

    images.sub_(mean_of(images).to(images.dtype).repeat_interleave(each))
    deviation = (mean_of(images.square()) + norm.eps).rsqrt().to(images.dtype).repeat_interleave(each)
    return Rows(torch.addcmul(norm.bias, images, norm.weight * deviation, out=images).relu_(), x.grid)


def _parameters(convolution: CenterPivotConv4d) -> tuple[int, int, Tensor]:
    """Return the side of the kernel, the stride over the support, and the sum of both halves' biases."""
    first, second = convolution.conv1.bias, convolution.conv2.bias
    if first is None or second is None:
        raise TypeError("a center-pivot convolution has a bias in both halves")
    bias = first + second
    return convolution.conv2.kernel_size[0], convolution.stride, bias


def taps_of(grid: Grid, kernel: int, stride: int, left_out: int | None = None) -> Taps:
    """Return the rows under the kernel at each output position, in row-major order; the row `left_out` is skipped."""
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


def grid_from_rows(flat: list[int], columns: int) -> Grid:
    """Return the grid of rows in row-major order of their positions."""
    return tuple(tuple(flat[start : start + columns]) for start in range(0, len(flat), columns))
