"""ASNet's attentive squeeze layers for predictions: the same sums in another memory layout, with fewer operations.

A tensor with B = 1 is stored as (C, positions, T), with the query positions innermost: each query position is squeezed
independently, so vector instructions run along the T positions. Then every convolution over the support is a matrix
product, and those of query, key, value and shortcut with the same kernel are one product. A head of the attention, and
a group of a norm, is a contiguous block of memory. A key outside the mask has weight exactly 0 and is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.layers.attentive_squeeze import HEADS, Attention, AttentiveSqueezeLayer, FeedForward, SupportConv
from fssbench.layers.masks import resize_mask

Size = tuple[int, int]
_TOGETHER = 1 << 19
"""How many similarities are computed at once: 2 MiB, which fit in a processor's cache."""
_COLUMNS = 10_240
"""How many positions a product without a bias takes at once."""


@dataclass(frozen=True, eq=False)
class Squeezed:
    """The support positions of every query position; before the first layer, correlations with a channel per map.

    Attributes:
        values: (C, rows * columns, T), T query positions.
        size: (rows, columns).
    """

    values: Tensor
    size: Size


@dataclass(frozen=True)
class Kernel:
    """How a convolution moves over the support: side of its kernel, stride and padding."""

    side: int
    stride: int
    margin: int


def squeeze(block: nn.ModuleList, x: Squeezed, mask: Tensor | None) -> Squeezed:
    """Return the result of a block of attentive squeeze layers.

    Args:
        block: The layers.
        x: Input of the first layer.
        mask: Support foreground float32 (1, H, W), or None.
    """
    for layer in block:
        if isinstance(layer, AttentiveSqueezeLayer):
            x = squeeze_by(layer, x, mask)
    return x


def squeeze_by(layer: AttentiveSqueezeLayer, x: Squeezed, mask: Tensor | None) -> Squeezed:
    """Return the result of one attentive squeeze layer; see `squeeze` and `AttentiveSqueezeLayer.forward`."""
    attended = _attended(layer.attn, x, mask)
    return Squeezed(_fed_forward(layer.ff, attended.values), attended.size)


def _attended(layer: Attention, x: Squeezed, mask: Tensor | None) -> Squeezed:
    squeezing: list[SupportConv] = [layer.qhead]
    if isinstance(layer.short_cut, nn.Sequential):
        squeezing += [part for part in layer.short_cut if isinstance(part, SupportConv)]
    pooled = layer.khead.kernel_size == layer.qhead.kernel_size and layer.khead.stride == layer.qhead.stride
    reading: list[SupportConv] = [layer.khead, layer.vhead]
    if pooled:
        squeezing += reading
    squeezed = convolve_support(x, *_side_by_side(squeezing), _kernel(layer.qhead))
    parts = list(torch.split(squeezed.values, [convolution.out_channels for convolution in squeezing]))
    query = parts.pop(0)
    short_cut = parts.pop(0) if isinstance(layer.short_cut, nn.Sequential) else None
    keys = keys_in(mask, squeezed.size if pooled else x.size)
    no_key = keys is not None and len(keys) == 0
    kept_keys = None if no_key else keys
    if pooled:
        key, value = (at_keys(part, kept_keys) for part in parts)
    else:
        key, value = convolve_positions(at_keys(x.values, kept_keys), *_side_by_side(reading)).chunk(2)
    # If no sampled key is inside the mask, the release's attention is uniform.
    gathered = mean_of(value.clone(), query.shape[1]) if no_key else attend(query, key, value, HEADS)
    back = next(part for part in layer.agg if isinstance(part, SupportConv))
    inner, outer = _norms(layer.agg)
    out = convolve_positions(normalise(inner, gathered, relu=True), back.weight)
    out = normalise(outer, out, relu=True)
    out += x.values if short_cut is None else normalise(_norms(layer.short_cut)[0], short_cut, relu=True)
    return Squeezed(normalise(layer.out_norm, out), squeezed.size)


def _fed_forward(layer: FeedForward, x: Tensor) -> Tensor:
    narrow, wide = (part.weight for part in layer.ff if isinstance(part, SupportConv))
    hidden = normalise(_norms(layer.ff)[0], convolve_positions(x, narrow), relu=True)
    return normalise(layer.out_norm, convolve_positions(hidden, wide).add_(x))


def _norms(layers: nn.Module) -> list[nn.GroupNorm]:
    return [layer for layer in layers.children() if isinstance(layer, nn.GroupNorm)]


def _kernel(convolution: SupportConv) -> Kernel:
    return Kernel(convolution.kernel_size[1], convolution.stride[1], convolution.margin)


def _side_by_side(convolutions: Sequence[SupportConv]) -> tuple[Tensor, Tensor]:
    """Return weight (outputs, C, side, side) and bias of convolutions of one kernel as those of a single one."""
    weights = [convolution.weight[:, :, 0] for convolution in convolutions]
    biases = [
        convolution.weight.new_zeros(convolution.out_channels) if convolution.bias is None else convolution.bias
        for convolution in convolutions
    ]
    return torch.cat(weights), torch.cat(biases)


def correlations(query: Sequence[Tensor], support: Sequence[Tensor]) -> Squeezed:
    """Return the non-negative cosines of one level's maps, unit rows (h, w, C) and (h', w', C)."""
    height, width = support[0].shape[:2]
    values = query[0].new_empty(len(query), height * width, query[0].shape[0] * query[0].shape[1])
    for number, (q, s) in enumerate(zip(query, support, strict=True)):
        torch.mm(s.flatten(0, 1), q.flatten(0, 1).T, out=values[number])
    return Squeezed(values.clamp_(min=0), (height, width))


def convolve_support(x: Squeezed, weight: Tensor, bias: Tensor, kernel: Kernel) -> Squeezed:
    """Return a convolution over the support positions.

    Args:
        x: Its input.
        weight: (outputs, C, side, side).
        bias: (outputs,).
        kernel: How it moves.
    """
    side, stride, margin = kernel.side, kernel.stride, kernel.margin
    height, width = x.size
    size = (_steps(height, kernel), _steps(width, kernel))
    if side == stride == 1:
        return Squeezed(convolve_positions(x.values, weight, bias), size)
    grid = x.values.view(-1, height, width, x.values.shape[2])
    out = x.values.new_empty(len(weight), size[0] * size[1], x.values.shape[2])
    for place, (row, column) in enumerate(product(range(size[0]), range(size[1]))):
        top, left = row * stride - margin, column * stride - margin
        rows, columns = (range(max(at, 0), min(at + side, end)) for at, end in ((top, height), (left, width)))
        taps = weight[:, :, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        under = grid[:, rows.start : rows.stop, columns.start : columns.stop].flatten(0, 2)
        torch.addmm(bias[:, None], taps.flatten(1), under, out=out[:, place])
    return Squeezed(out, size)


def convolve_positions(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return a 1 x 1 convolution (outputs, positions, T) of (C, positions, T); `weight` is (outputs, C, 1, 1)."""
    by_channel, flat = weight.flatten(1), x.flatten(1)
    if bias is not None:
        return torch.addmm(bias[:, None], by_channel, flat).view(-1, *x.shape[1:])
    out = flat.new_empty(len(by_channel), flat.shape[1])
    # A product of few channels and very many positions is faster in parts.
    for result, part in zip(torch.split(out, _COLUMNS, 1), torch.split(flat, _COLUMNS, 1), strict=True):
        torch.mm(by_channel, part, out=result)
    return out.view(-1, *x.shape[1:])


def at_keys(x: Tensor, keys: Tensor | None) -> Tensor:
    """Return the support positions that are keys, (C, keys, T); all positions if `keys` is None."""
    return x if keys is None else x.index_select(1, keys)


def keys_in(mask: Tensor | None, size: Size) -> Tensor | None:
    """Return the support positions inside a mask (1, H, W), int64 (n,), possibly n = 0; None without a mask."""
    if mask is None:
        return None
    return resize_mask(mask, mask.new_empty(1, 1, *size)).flatten().nonzero()[:, 0]


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Return the attention output of each query over all keys, (C, queries, T).

    Similarities are not scaled by the square root of the channels.

    A head has few channels and there are few keys, so T * heads separate matrix products would mostly be overhead.
    Products therefore run over all T at once, and each is added where the result stands.

    Args:
        query: (C, queries, T).
        key: (C, keys, T).
        value: (C, keys, T).
        heads: Into which the channels are divided.
    """
    each = query.shape[0] // heads
    gathered = torch.empty_like(query, memory_format=torch.contiguous_format)
    per_block = max(1, _TOGETHER // key[0].numel())
    for head in range(heads):
        own = slice(head * each, (head + 1) * each)
        keys, values = key[own].unbind(), [channel.unbind() for channel in value[own].unbind()]
        for start in range(0, query.shape[1], per_block):
            block = slice(start, start + per_block)
            queries = query[own, block, None].unbind()
            similarity = queries[0] * keys[0]
            for one, other in zip(queries[1:], keys[1:], strict=True):
                similarity.addcmul_(one, other)
            weights = similarity.sub_(similarity.amax(dim=1, keepdim=True)).exp_()
            by_key = weights.unbind(1)
            results = gathered[own, block]
            for result, (first, *others) in zip(results.unbind(), values, strict=True):
                torch.mul(by_key[0], first, out=result)
                for weight, one in zip(by_key[1:], others, strict=True):
                    result.addcmul_(weight, one)
            results /= _total(weights)
    return gathered


def mean_of(value: Tensor, queries: int) -> Tensor:
    """Return the attention output where all keys have the same weight, (C, queries, T); `value` is overwritten.

    The division comes last: then the mean of equal values is that value, to the last digit.

    Args:
        value: (C, keys, T).
        queries: How many there are.
    """
    keys = value.shape[1]
    return (_total(value) / keys)[:, None].expand(-1, queries, -1)


def normalise(norm: nn.GroupNorm, x: Tensor, *, relu: bool = False) -> Tensor:
    """Return (C, positions, T) after group norm and, if requested, ReLU."""
    normed = F.group_norm(x[None], norm.num_groups, norm.weight, norm.bias, norm.eps)[0]
    return normed.relu_() if relu else normed


def add_coarser(x: Squeezed, coarser: Squeezed, query: Size, coarser_query: Size) -> Squeezed:
    """Return a level plus a deeper level, which is resized to its query positions; `x` is overwritten.

    Args:
        x: With (h, w) query positions, `query`.
        coarser: With `coarser_query` query positions, and one support position or as many as `x`.
        query: (h, w).
        coarser_query: (h, w) of the deeper level.
    """
    images = coarser.values.view(*coarser.values.shape[:2], *coarser_query)
    resized = F.interpolate(images, query, mode="bilinear", align_corners=True).flatten(2)
    return Squeezed(x.values.add_(resized), x.size)


def _total(x: Tensor) -> Tensor:
    """Return the sums over the keys of (queries, keys, T), in the same order for all T; `x` is overwritten.

    torch's own sum adds the last elements of a row in another order. If a mask keeps nothing, all query positions are
    equal, and the norms would amplify the difference.
    """
    left = x.shape[1]
    while left > 1:
        half = left // 2
        x[:, :half] += x[:, left - half : left]
        left -= half
    return x[:, 0]


def _steps(length: int, kernel: Kernel) -> int:
    return (length + 2 * kernel.margin - kernel.side) // kernel.stride + 1
