"""VAT's volume embedding for predictions: the same sums with fewer operations, as in `fssbench.fast.squeeze`.

A tensor is stored as `Rows`: each support position is a row, an image over the query positions. Positions outside the
mask correlate with nothing, so that those far from it have equal rows, which are computed once. Correlations are made
for a few lines of support positions at a time, and only the largest of each group are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.fast.squeeze import Grid, Rows, grid_from_rows, normalise, taps_of
from fssbench.methods.vat import PooledConv4d, VolumeEmbedding

_KERNEL = 3
_TOGETHER = 256
"""At least so many support positions, but for the last ones, are correlated at once."""


def embed(embedding: VolumeEmbedding, query: Sequence[Tensor], support: Sequence[Tensor], grid: Grid) -> Rows:
    """Return the result of a volume embedding for the correlations of one level.

    Args:
        embedding: Its first convolution alone has strides over the query positions.
        query: The level's maps of the query, unit rows (h, w, C).
        support: The level's maps of the support at the kept positions, unit rows (n, C).
        grid: From `fssbench.fast.squeeze.grid_of`.
    """
    convolutions = [part for part in embedding.modules() if isinstance(part, PooledConv4d)]
    norms = [part for part in embedding.modules() if isinstance(part, nn.GroupNorm)]
    x = normalise(norms[0], _convolve_correlations(convolutions[0], query, support, grid))
    for convolution, norm in zip(convolutions[1:], norms[1:], strict=True):
        x = normalise(norm, _convolve(convolution, x))
    return x


def _convolve_correlations(
    convolution: PooledConv4d, query: Sequence[Tensor], support: Sequence[Tensor], grid: Grid
) -> Rows:
    """Return the output of a first layer; its last row is for all positions whose kernel covers no kept position."""
    each, stride = convolution.query_stride, convolution.support_stride
    height, width = query[0].shape[0] // each, query[0].shape[1] // each
    grouped = [_by_place_in_group(units, each) for units in query]
    rest = len(support[0])
    taps = taps_of(grid, _KERNEL, stride, left_out=rest)
    near = {place: number for number, place in enumerate(place for place, rows in enumerate(taps) if rows)}
    columns = -(-len(grid[0]) // stride)

    bias = _bias(convolution)
    best = grouped[0].new_empty(rest, len(query), height * width)
    images = bias.expand(len(near) + 1, height, width, -1).contiguous()
    where = [(line, column) for line, rows in enumerate(grid) for column, row in enumerate(rows) if row != rest]
    for start, stop in _parts([line // stride for line, _ in where]):
        correlations = _correlate(grouped, [units[start:stop] for units in support])
        torch.amax(correlations, dim=2, out=best[start:stop])
        cells: dict[int, list[int]] = {}
        for row, (line, column) in enumerate(where[start:stop]):
            cells.setdefault(near[line // stride * columns + column // stride], []).append(row)
        pooled = torch.stack([correlations[cell].amax(dim=0) for cell in cells.values()])
        image = pooled.view(len(cells), len(query), each, each, height, width).permute(0, 1, 4, 2, 5, 3)
        image = image.reshape(len(cells), len(query), height * each, width * each)
        over_query = F.conv2d(image, convolution.query_conv.weight, bias, stride=each, padding=1)
        images.index_copy_(0, torch.tensor(list(cells), device=images.device), over_query.permute(0, 2, 3, 1))

    by_tap = convolution.supp_conv.weight.permute(2, 3, 1, 0).flatten(0, 1)
    for place, number in near.items():
        at = {row: numbers[0] for row, numbers in taps[place].items()}
        under = best[list(at)].flatten(0, 1)
        images[number].flatten(0, 1).addmm_(under.T, by_tap[list(at.values())].flatten(0, 1))
    return Rows(images, grid_from_rows([near.get(place, len(near)) for place in range(len(taps))], columns))


def _parts(lines: Sequence[int]) -> list[tuple[int, int]]:
    """Return ranges of rows, given the line of each: a line is in one range, and a range has `_TOGETHER` or more."""
    parts = []
    start = stop = 0
    for _, rows in groupby(lines):
        stop += len(list(rows))
        if stop - start >= _TOGETHER:
            parts.append((start, stop))
            start = stop
    return [*parts, (start, stop)] if stop > start else parts


def _correlate(query: Sequence[Tensor], support: Sequence[Tensor]) -> Tensor:
    """Return the non-negative correlations (n, maps, places in a group, groups) of queries and support positions."""
    places, groups, _ = query[0].shape
    found = query[0].new_empty(len(support[0]), len(query), places * groups)
    for number, (q, s) in enumerate(zip(query, support, strict=True)):
        torch.mm(s, q.flatten(0, 1).T, out=found[:, number])
    return found.clamp_(min=0).view(-1, len(query), places, groups)


def _by_place_in_group(units: Tensor, side: int) -> Tensor:
    """Return positions (h, w, C) by their place in the square group of this side, (side * side, groups, C)."""
    height, width, channels = units.shape
    tiled = units.view(height // side, side, width // side, side, channels)
    return tiled.permute(1, 3, 0, 2, 4).reshape(side * side, -1, channels)


def _convolve(convolution: PooledConv4d, x: Rows) -> Rows:
    """Return the output of a layer without a stride over the query; positions with equal rows share one."""
    stride = convolution.support_stride
    taps = taps_of(x.grid, _KERNEL, stride)
    cells = [
        tuple(sorted({row for line in x.grid[top : top + stride] for row in line[left : left + stride]}))
        for top in range(0, len(x.grid), stride)
        for left in range(0, len(x.grid[0]), stride)
    ]
    pooled = {cell: number for number, cell in enumerate(dict.fromkeys(cells))}
    images = torch.stack([x.images[list(cell)].amax(dim=0) for cell in pooled])
    weight = convolution.query_conv.weight.contiguous(memory_format=torch.channels_last)
    over_query = F.conv2d(images.permute(0, 3, 1, 2), weight, _bias(convolution), padding=1).permute(0, 2, 3, 1)

    # What a position's row is made of.
    made_of = [(cell, *((row, *at) for row, at in under.items())) for cell, under in zip(cells, taps, strict=True)]
    numbers = {parts: number for number, parts in enumerate(dict.fromkeys(made_of))}
    out = over_query[[pooled[cell] for cell, *_ in numbers]].contiguous()
    by_tap = convolution.supp_conv.weight.permute(2, 3, 1, 0).flatten(0, 1).contiguous()
    for (_, *under), number in numbers.items():
        target = out[number].flatten(0, 1)
        for row, *at in under:
            one = by_tap[at[0]] if len(at) == 1 else by_tap[at].sum(dim=0)
            target.addmm_(x.images[row].flatten(0, 1), one)
    columns = -(-len(x.grid[0]) // stride)
    return Rows(out, grid_from_rows([numbers[parts] for parts in made_of], columns))


def _bias(convolution: PooledConv4d) -> Tensor:
    """Return the sum of both halves' biases."""
    first, second = convolution.query_conv.bias, convolution.supp_conv.bias
    if first is None or second is None:
        raise TypeError("both halves of a convolution of a volume have a bias")
    return first + second
