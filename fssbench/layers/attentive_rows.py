"""ASNet's attentive squeeze layers where only the answer is wanted: the same sums in one layout, and fewer of them.

A tensor of B = 1 is kept with the query positions outermost and the channels innermost, (T, positions, C), since every
query position is squeezed alone. Then every convolution over the support is a matrix product, of query, key, value and
shortcut together where they have the same kernel. A key outside the mask has weight exactly 0, and is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.layers.masks import resize_mask

Size = tuple[int, int]
_TOGETHER = 1 << 20
"""Numbers of similarities that are computed at once: 4 MiB, which stay in a processor's cache."""


@dataclass(frozen=True, eq=False)
class Correlations:
    """Correlations of all pairs of positions.

    Attributes:
        values: (h' * w', maps, T), T query positions.
        size: (h', w').
    """

    values: Tensor
    size: Size


@dataclass(frozen=True, eq=False)
class Squeezed:
    """Support positions of every query position.

    Attributes:
        values: (T, rows * columns, C).
        size: (rows, columns).
    """

    values: Tensor
    size: Size


@dataclass(frozen=True)
class Kernel:
    """How a convolution moves over the support: its side, stride and padding."""

    side: int
    stride: int
    margin: int


def correlations(query: Sequence[Tensor], support: Sequence[Tensor]) -> Correlations:
    """Return the non-negative cosines of one level's maps, unit rows (h, w, C) and (h', w', C)."""
    height, width = support[0].shape[:2]
    positions = query[0].shape[0] * query[0].shape[1]
    values = query[0].new_empty(height * width, len(query), positions)
    for number, (q, s) in enumerate(zip(query, support, strict=True)):
        torch.mm(s.flatten(0, 1), q.flatten(0, 1).T, out=values[:, number])
    return Correlations(values.clamp_(min=0), (height, width))


def convolve_support(x: Correlations | Squeezed, weight: Tensor, bias: Tensor | None, kernel: Kernel) -> Squeezed:
    """Return a convolution over the support positions.

    Args:
        x: What it moves over.
        weight: (outputs, C, side, side).
        bias: (outputs,).
        kernel: How it moves.
    """
    side, stride, margin = kernel.side, kernel.stride, kernel.margin
    height, width = x.size
    size = (_steps(height, kernel), _steps(width, kernel))
    if isinstance(x, Squeezed) and side == stride == 1:
        return Squeezed(F.linear(x.values, weight.flatten(1), bias), size)
    by_tap = weight.permute(2, 3, 1, 0)
    positions = x.values.shape[2] if isinstance(x, Correlations) else len(x.values)
    # Place by place: a product that is written into rows between others' is made elsewhere first, and copied.
    out = x.values.new_empty(size[0] * size[1], positions, len(weight))
    for place, (row, column) in enumerate(product(range(size[0]), range(size[1]))):
        top, left = row * stride - margin, column * stride - margin
        rows, columns = (range(max(at, 0), min(at + side, end)) for at, end in ((top, height), (left, width)))
        taps = by_tap[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        its = taps.reshape(-1, len(weight))
        if isinstance(x, Correlations):
            grid = x.values.view(height, width, *x.values.shape[1:])
            under = grid[rows.start : rows.stop, columns.start : columns.stop].reshape(-1, positions).T
        else:
            cells = x.values.view(positions, height, width, -1)
            under = cells[:, rows.start : rows.stop, columns.start : columns.stop].reshape(positions, -1)
        if bias is None:
            torch.mm(under, its, out=out[place])
        else:
            torch.addmm(bias, under, its, out=out[place])
    return Squeezed(out.transpose(0, 1), size)


def at_keys(x: Correlations | Squeezed, keys: Tensor | None) -> Tensor:
    """Return the support positions that are keys (all where `keys` is None), (T, keys, C)."""
    if isinstance(x, Correlations):
        values = x.values if keys is None else x.values.index_select(0, keys)
        return values.permute(2, 0, 1)
    return x.values if keys is None else x.values.index_select(1, keys)


def keys_in(mask: Tensor | None, size: Size) -> Tensor | None:
    """Return which support positions a mask (1, H, W) leaves, int64 (n,), n = 0 among them; None without a mask."""
    if mask is None:
        return None
    return resize_mask(mask, mask.new_empty(1, 1, *size)).flatten().nonzero()[:, 0]


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int, added: float | None = None) -> Tensor:
    """Return what each query gathers from all keys, (T, queries, C); no scaling by the square root of the channels.

    On a CPU with the query positions innermost: a head has few channels and there are few keys, so there is little in
    T * heads matrix products but what each costs at least.

    Args:
        query: (T, queries, C).
        key: (T, keys, C).
        value: (T, keys, C).
        heads: Into which the channels are split.
        added: To every similarity. A large number is not without effect: float32 keeps of a similarity beside -1e9 its
            multiple of 64, and the softmax sees that.
    """
    positions, queries, channels = query.shape
    if query.is_cuda:
        split = [its.reshape(positions, its.shape[1], heads, -1).transpose(1, 2) for its in (query, key, value)]
        bias = None if added is None else query.new_full((1, 1, 1, key.shape[1]), added)
        out = F.scaled_dot_product_attention(split[0], split[1], split[2], attn_mask=bias, scale=1.0)
        return out.transpose(1, 2).reshape(query.shape)
    asked, known, kept = (
        # (channels of a head, positions of the support, heads, T)
        its.reshape(positions, its.shape[1], heads, -1).permute(3, 1, 2, 0).contiguous()
        for its in (query, key, value)
    )
    gathered = torch.empty_like(asked)
    together = max(1, _TOGETHER // known[0].numel())
    for start in range(0, queries, together):
        stop = min(start + together, queries)
        similarity = asked[0, start:stop, None] * known[0]
        for channel in range(1, channels // heads):
            similarity.addcmul_(asked[channel, start:stop, None], known[channel])
        if added is not None:
            similarity += added
        weights = similarity.sub_(similarity.amax(dim=1, keepdim=True)).exp_()
        for channel in range(channels // heads):
            torch.sum(weights * kept[channel], dim=1, out=gathered[channel, start:stop])
        gathered[:, start:stop] /= weights.sum(dim=1)
    return gathered.permute(3, 1, 2, 0).reshape(positions, queries, channels).contiguous()


def normalise(norm: nn.GroupNorm, x: Tensor, *, relu: bool = False) -> Tensor:
    """Return (T, positions, C) after group norm, and ReLU where asked; `x` is used up.

    The mean is taken off first: torch's own group norm with channels innermost takes the variance as a difference of
    float32 sums.
    """
    channels = x.shape[-1]
    each = channels // norm.num_groups
    rows = x.view(-1, channels)

    def mean_of(sums: Tensor) -> Tensor:
        return (sums.view(norm.num_groups, each).sum(dim=1) / (len(rows) * each)).repeat_interleave(each)

    rows.sub_(mean_of(rows.sum(dim=0)))
    scale = norm.weight * (mean_of(rows.square().sum(dim=0)) + norm.eps).rsqrt()
    torch.addcmul(norm.bias, rows, scale, out=rows)
    return x.relu_() if relu else x


def add_coarser(x: Squeezed, coarser: Squeezed, query: Size, coarser_query: Size) -> Squeezed:
    """Return a level and what a deeper level found, brought to its query positions; `x` is used up.

    Args:
        x: With (h, w) query positions, `query`.
        coarser: With those of `coarser_query`; at one support position, or at as many as `x`.
        query: (h, w).
        coarser_query: (h, w) of the deeper level.
    """
    images = coarser.values.view(1, *coarser_query, -1).permute(0, 3, 1, 2)
    resized = F.interpolate(images, query, mode="bilinear", align_corners=True).permute(0, 2, 3, 1)
    brought = resized.reshape(len(x.values), -1, x.values.shape[2])
    return Squeezed(x.values.add_(brought), x.size)


def _steps(length: int, kernel: Kernel) -> int:
    return (length + 2 * kernel.margin - kernel.side) // kernel.stride + 1
