"""Attentive squeeze layer (iFSL, section 4.2 and appendix): attention over support positions, once per query position.

Facts from dahyun-kang/ifsl at d0b0c0d, fs-s and fs-cs model/base/aslayer.py. A correlation tensor
(B, C, h, w, h', w') is handled as (B, C, T, h', w') with T = h * w query positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.layers.masks import resize_mask

_GROUPS = 4
_HEADS = 8
_MASKED = -1e9


class AttentiveSqueezeLayer(nn.Module):
    """Attention that shrinks the support positions, followed by a feed-forward layer.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output, a multiple of 16.
        kernel: Side of the query head's kernel; below 3 it is not padded.
        stride: Its stride over the support positions.
        pool_keys: Whether keys and values are taken with the same kernel and stride, or at every position.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, *, pool_keys: bool) -> None:
        super().__init__()
        self.attn = _Attention(inputs, outputs, kernel, stride, pool_keys=pool_keys)
        self.ff = _FeedForward(outputs)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return (B, outputs, h, w, rows, columns).

        Args:
            x: (B, inputs, h, w, h', w').
            mask: Support foreground float32 (B, H, W); None = attend everywhere (weak labels).
        """
        out: Tensor = self.ff(self.attn(x.flatten(2, 3), mask))
        return out.view(*out.shape[:2], *x.shape[2:4], *out.shape[3:])


@dataclass(frozen=True)
class _Kernel:
    side: int
    stride: int
    padding: int

    def convolution(self, inputs: int, outputs: int, *, bias: bool = True) -> nn.Conv3d:
        """Return a convolution over (h', w') alone; the query positions are its first axis."""
        return nn.Conv3d(
            inputs,
            outputs,
            kernel_size=(1, self.side, self.side),
            stride=(1, self.stride, self.stride),
            padding=(0, self.padding, self.padding),
            bias=bias,
        )


class _Attention(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, *, pool_keys: bool) -> None:
        super().__init__()
        hidden = outputs // 2
        padding = kernel // 2 if kernel > 2 else 0
        over_support = _Kernel(kernel, stride, padding)
        at_keys = over_support if pool_keys else _Kernel(1, 1, 0)
        keeps_shape = inputs == outputs and kernel == 1 and stride == 1
        self.short_cut: nn.Module = nn.Identity()
        if not keeps_shape:
            self.short_cut = nn.Sequential(
                over_support.convolution(inputs, outputs, bias=False), nn.GroupNorm(_GROUPS, outputs), nn.ReLU()
            )
        self.qhead = over_support.convolution(inputs, hidden)
        self.khead = at_keys.convolution(inputs, hidden)
        self.vhead = at_keys.convolution(inputs, hidden)
        self.agg = nn.Sequential(
            nn.GroupNorm(_GROUPS, hidden),
            nn.ReLU(),
            nn.Conv3d(hidden, outputs, 1, bias=False),
            nn.GroupNorm(_GROUPS, outputs),
            nn.ReLU(),
        )
        self.out_norm = nn.GroupNorm(_GROUPS, outputs)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        query, key, value = self.qhead(x), self.khead(x), self.vhead(x)
        # No scaling by the square root of the channels.
        q, k, v = _split_heads(query), _split_heads(key), _split_heads(value)
        attention = q.transpose(-1, -2) @ k
        if mask is not None:
            keys = resize_mask(mask, key).flatten(1)[:, None, None, None]
            # Where the object touches no sampled key all are masked alike, and the softmax is uniform.
            attention = attention.masked_fill(keys == 0, _MASKED)
        out = v @ torch.softmax(attention, dim=-1).transpose(-1, -2)
        out = self.agg(out.transpose(2, 3).reshape(query.shape))
        normed: Tensor = self.out_norm(out + self.short_cut(x))
        return normed


def _split_heads(x: Tensor) -> Tensor:
    # (B, C, T, h', w') to (B, heads, T, C / heads, positions)
    batch, channels, positions = x.shape[:3]
    return x.reshape(batch, _HEADS, channels // _HEADS, positions, -1).transpose(2, 3)


class _FeedForward(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.ff = nn.Sequential(
            nn.Conv3d(channels, channels // 2, 1, bias=False),
            nn.GroupNorm(_GROUPS, channels // 2),
            nn.ReLU(),
            nn.Conv3d(channels // 2, channels, 1, bias=False),
        )
        self.out_norm = nn.GroupNorm(_GROUPS, channels)

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = self.out_norm(self.ff(x) + x)
        return normed


def pool_wide_maps(features: Tensor, threshold: int = 50) -> Tensor:
    """Return a support map (B, C, h, w), halved by average pooling if its width is at least `threshold`.

    Quirk of the release: only the width is looked at, and padding zeros count in the average.
    """
    if features.shape[-1] < threshold:
        return features
    return F.avg_pool2d(features, kernel_size=3, stride=2, padding=1)
