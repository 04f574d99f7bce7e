"""Attentive squeeze layer (iFSL, section 4.2 and appendix): attention over support positions, once per query position.

Facts from dahyun-kang/ifsl at d0b0c0d, fs-s and fs-cs model/base/aslayer.py. A correlation tensor
(B, C, h, w, h', w') is handled as (B, C, T, h', w') with T = h * w query positions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.layers.masks import resize_mask

_GROUPS = 4
HEADS = 8
_MASKED = -1e9


class AttentiveSqueezeLayer(nn.Module):
    """Attention that reduces the support positions, followed by a feed-forward layer.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output, a multiple of 16.
        kernel: Side of the query head's kernel; below 3 it is not padded.
        stride: Its stride over the support positions.
        pool_keys: Whether keys and values use the same kernel and stride; otherwise they are taken at every position.
        local: Whether a query attends only to the positions under its own kernel; keys are not pooled then.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, *, pool_keys: bool, local: bool = False
    ) -> None:
        super().__init__()
        if local:
            self.attn: Attention = LocalAttention(inputs, outputs, kernel, stride, pool_keys=False)
        else:
            self.attn = Attention(inputs, outputs, kernel, stride, pool_keys=pool_keys)
        self.ff = FeedForward(outputs)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return (B, outputs, h, w, rows, columns).

        Args:
            x: (B, inputs, h, w, h', w').
            mask: Support foreground float32 (B, H, W); None = attend everywhere (weak labels).
        """
        out: Tensor = self.ff(self.attn(x.flatten(2, 3), mask))
        return out.view(*out.shape[:2], *x.shape[2:4], *out.shape[3:])


class SupportConv(nn.Conv3d):
    """A convolution over (h', w') only, with parameters in the shape of the release's 3D convolutions.

    The query positions become part of the batch, so that a 2D convolution computes the same sums, several times faster
    on a CPU.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, *, bias: bool = True) -> None:
        self.margin = kernel // 2 if kernel > 2 else 0
        padding = (0, self.margin, self.margin)
        super().__init__(inputs, outputs, (1, kernel, kernel), stride=(1, stride, stride), padding=padding, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, T, rows, columns) for x (B, inputs, T, h', w')."""
        images = x.transpose(1, 2).flatten(0, 1)
        out = F.conv2d(images, self.weight[:, :, 0], self.bias, self.stride[1:], self.padding[1:])
        return out.view(-1, x.shape[2], *out.shape[1:]).transpose(1, 2)


class Attention(nn.Module):
    """Attention of each query to all keys, with a shortcut; arguments as in `AttentiveSqueezeLayer`."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, *, pool_keys: bool) -> None:
        super().__init__()
        hidden = outputs // 2
        at_keys = (kernel, stride) if pool_keys else (1, 1)
        keeps_shape = inputs == outputs and kernel == 1 and stride == 1
        self.short_cut: nn.Module = nn.Identity()
        if not keeps_shape:
            self.short_cut = nn.Sequential(
                SupportConv(inputs, outputs, kernel, stride, bias=False), nn.GroupNorm(_GROUPS, outputs), nn.ReLU()
            )
        self.qhead = SupportConv(inputs, hidden, kernel, stride)
        self.khead = SupportConv(inputs, hidden, *at_keys)
        self.vhead = SupportConv(inputs, hidden, *at_keys)
        self.agg = nn.Sequential(
            nn.GroupNorm(_GROUPS, hidden),
            nn.ReLU(),
            SupportConv(hidden, outputs, 1, 1, bias=False),
            nn.GroupNorm(_GROUPS, outputs),
            nn.ReLU(),
        )
        self.out_norm = nn.GroupNorm(_GROUPS, outputs)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return (B, outputs, T, rows, columns) for x (B, inputs, T, h', w')."""
        out = self.agg(self.attend(self.qhead(x), self.khead(x), self.vhead(x), mask))
        normed: Tensor = self.out_norm(out + self.short_cut(x))
        return normed

    def attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """Return the attention output of each query over all keys, in the shape of `query` (B, C, T, rows, columns)."""
        bias = None
        if mask is not None:
            keys = resize_mask(mask, key).flatten(1) != 0
            some = keys.any(dim=1, keepdim=True)
            # The release fills the similarities of masked keys with one number (masked_fill_). So a query whose keys
            # are all masked takes the mean of all values, and query and keys get no gradient. A query of zeros without
            # a bias has the same effect. If -1e9 were added to every similarity instead, log n would be lost in
            # float32, and the gradient of the softmax would be n times too large.
            query = query * some[:, :, None, None, None].to(query.dtype)
            bias = torch.where(keys | ~some, 0.0, _MASKED).to(query.dtype)[:, None, None, None]
            bias = bias.expand(-1, query.shape[2], 1, 1, -1).flatten(0, 1)
        # No scaling by the square root of the channels.
        out = F.scaled_dot_product_attention(_heads(query), _heads(key), _heads(value), attn_mask=bias, scale=1.0)
        out = out.view(-1, query.shape[2], *out.shape[1:]).permute(0, 2, 4, 1, 3)
        return out.reshape(query.shape)


class LocalAttention(Attention):
    """Attention of each query to the keys under its own kernel; padded positions are not keys."""

    def attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """Return the attention output of each query over the keys under its kernel, in the shape of `query`."""
        batch, channels, queries = query.shape[:3]
        padding = self._under_kernel(torch.ones_like(key[:1, :1, 0])) == 0
        queries_by_head = query.transpose(1, 2).reshape(batch * queries, HEADS, -1, 1, query[0, 0, 0].numel())
        near_keys, near_values = (
            self._under_kernel(x.transpose(1, 2).flatten(0, 1)).reshape(
                *queries_by_head.shape[:3], -1, queries_by_head.shape[-1]
            )
            for x in (key, value)
        )
        similarities = (queries_by_head * near_keys).sum(dim=2)
        if mask is not None:
            touched = self._under_kernel((resize_mask(mask, key) != 0).to(query.dtype))
            similarities = similarities.masked_fill((touched == 0).repeat_interleave(queries, dim=0), _MASKED)
        weights = similarities.masked_fill(padding, -torch.inf).softmax(dim=2)
        out = (weights[:, :, None] * near_values).sum(dim=3)
        return out.reshape(batch, queries, channels, *query.shape[3:]).transpose(1, 2)

    def _under_kernel(self, images: Tensor) -> Tensor:
        """Return the positions under the kernel of each query: (B, C, kernel area, queries) for (B, C, h', w')."""
        kernel, stride = self.qhead.kernel_size[1:], self.qhead.stride[1:]
        columns = F.unfold(images, kernel, stride=stride, padding=self.qhead.margin)
        return columns.view(*images.shape[:2], kernel[0] * kernel[1], -1)


def _heads(x: Tensor) -> Tensor:
    # (B, C, T, h', w') to (B * T, heads, positions, C / heads)
    batch, channels, queries = x.shape[:3]
    split = x.reshape(batch, HEADS, channels // HEADS, queries, -1)
    # With one channel per head `contiguous` would keep a stride with which torch's attention is slow.
    return split.permute(0, 3, 1, 4, 2).clone(memory_format=torch.contiguous_format).flatten(0, 1)


class FeedForward(nn.Module):
    """Two convolutions of single positions, with a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.ff = nn.Sequential(
            SupportConv(channels, channels // 2, 1, 1, bias=False),
            nn.GroupNorm(_GROUPS, channels // 2),
            nn.ReLU(),
            SupportConv(channels // 2, channels, 1, 1, bias=False),
        )
        self.out_norm = nn.GroupNorm(_GROUPS, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, T, rows, columns) for x of the same shape."""
        normed: Tensor = self.out_norm(self.ff(x) + x)
        return normed


def pool_wide_maps(features: Tensor, threshold: int = 50) -> Tensor:
    """Return a support map (B, C, h, w), halved by average pooling if its width is at least `threshold`.

    Quirk of the release: only the width is checked, and padding zeros count in the average.
    """
    if features.shape[-1] < threshold:
        return features
    return F.avg_pool2d(features, kernel_size=3, stride=2, padding=1)
