"""SCCAN's transformer for predictions on a CPU.

A few patches are computed at a time, so that what is made of them stays in the cache. Of the last block only the query
is read, so the support is not computed. Keys of both kinds stand in one matrix.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.layers.devices import serial_on
from fssbench.layers.self_calibrated import (
    COSINE_EPS,
    HEADS,
    WINDOW,
    ScaledCosineAttention,
    SelfCalibratedBlock,
    SelfCalibratedTransformer,
    best_patches,
)

_TOGETHER = 8
"""How many patches are computed at once: their scores take 2 MiB."""


class TiledTransformer(nn.Module):
    """A transformer whose weights are shared with the one that is given."""

    def __init__(self, plain: SelfCalibratedTransformer) -> None:
        super().__init__()
        self.plain = plain

    def forward(self, query: Tensor, support: Tensor, mask: Tensor) -> Tensor:
        """Return the calibrated maps of B queries, see `SelfCalibratedTransformer.forward`."""
        if not serial_on(query.device):
            plain: Tensor = self.plain(query, support, mask)
            return plain
        q, s, m = (part.permute(0, 2, 3, 1).contiguous() for part in (query, support, mask))
        *blocks, last = cast("Iterator[SelfCalibratedBlock]", self.plain.layers[0].get_submodule("blocks").children())
        for block in blocks:
            q, s = changed(block, q, s, m, with_support=True)
        q, _ = changed(last, q, s, m, with_support=False)
        normed: Tensor = self.plain.norm0(q)
        return normed.permute(0, 3, 1, 2)


def changed(
    block: SelfCalibratedBlock, q: Tensor, s: Tensor, mask: Tensor, *, with_support: bool
) -> tuple[Tensor, Tensor]:
    """Return query and support after a block, both (B, h, w, C); without support the one before it.

    Args:
        block: The block.
        q: The query, (B, h, w, C).
        s: The support, (B, h, w, C).
        mask: Of the support, (B, h, w, 1) in [0, 1].
        with_support: Whether the support is read after the block.
    """
    q_patches, s_patches = block.patches(block.norm1(q)), block.patches(block.norm1(s))
    chosen = best_patches(q_patches, s_patches, block.patches(mask))
    chosen = (chosen + len(s_patches[0]) * torch.arange(len(chosen), device=chosen.device)[:, None]).flatten()
    q_parts, s_parts = q_patches.flatten(0, 1), s_patches.flatten(0, 1)
    read = torch.empty_like(q_parts)
    for part in _parts(len(q_parts)):
        _attend_to_both(block.attn_q, q_parts[part], s_parts.index_select(0, chosen[part]), read[part])
    q = _added(block, q, read.view_as(q_patches), block.mlp_q)
    if not with_support:
        return q, s
    for part in _parts(len(s_parts)):
        _attend_to_own(block.attn_s, s_parts[part], read[part])
    return q, _added(block, s, read.view_as(s_patches), block.mlp_s)


def _attend_to_both(layer: ScaledCosineAttention, own: Tensor, aligned: Tensor, out: Tensor) -> None:
    """Write what patches (n, P, C) read of themselves and of aligned patches (n, P, C) to `out`."""
    count, places, channels = own.shape
    # Both parts follow each other, as their products share a matrix.
    keys, values = layer.kv(torch.stack([own, aligned], dim=1)).view(count, 2, places, 2, HEADS, -1).unbind(dim=3)
    query = layer.q(own).view(count, places, HEADS, -1).transpose(1, 2).flatten(0, 1)
    keys[:, 0] *= query.shape[-1] ** -0.5
    keys, values = (part.flatten(1, 2).transpose(1, 2).flatten(0, 1) for part in (keys, values))
    scores = torch.bmm(query, keys.transpose(1, 2))
    lengths = query.norm(dim=2, keepdim=True) * keys[:, places:].norm(dim=2)[:, None]
    scores[..., places:] /= lengths.add_(COSINE_EPS)
    read = torch.bmm(scores.softmax(dim=-1), values).view(count, HEADS, places, -1)
    out.copy_(layer.proj(read.transpose(1, 2).reshape(count, places, channels)))


def _attend_to_own(layer: ScaledCosineAttention, own: Tensor, out: Tensor) -> None:
    """Write what patches (n, P, C) read of themselves to `out`."""
    count, places, channels = own.shape
    keys, values = layer.kv(own).view(count, places, 2, HEADS, -1).permute(2, 0, 3, 1, 4)
    query = layer.q(own).view(count, places, HEADS, -1).transpose(1, 2)
    read = F.scaled_dot_product_attention(query, keys, values)
    out.copy_(layer.proj(read.transpose(1, 2).reshape(count, places, channels)))


def _added(block: SelfCalibratedBlock, x: Tensor, read: Tensor, mlp: nn.Module) -> Tensor:
    """Return the result of `SelfCalibratedBlock.added`, computed a few positions at a time."""
    total = x + block.whole(read, x)
    rows = total.view(-1, total.shape[-1])
    for part in _parts(len(rows), WINDOW**2 * _TOGETHER):
        rows[part] += mlp(block.norm2(rows[part]))
    return total


def _parts(count: int, together: int = _TOGETHER) -> Iterator[slice]:
    return (slice(start, start + together) for start in range(0, count, together))
