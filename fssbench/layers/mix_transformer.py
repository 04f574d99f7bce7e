"""The transformer blocks of SegFormer, as HDMNet has them: attention to a reduced map, and a convolving feed-forward.

Xie et al., "SegFormer", NeurIPS 2021, section 3.1. Names and details from Pbihao/HDMNet at 39ec8b2,
model/Transformer.py and model/MaskMultiheadAttention.py; parts of mmcv 1.6 and mmseg 0.27 there are plain torch here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_NORM_EPS = 1e-6
_DROPPED = 0.1
_EPS = 1e-9
TEMPERATURE = 0.1
"""Cosines are divided by it when queries are matched."""


@dataclass(frozen=True, eq=False)
class Matched:
    """The result of matching queries to supports.

    Attributes:
        tokens: (B, T, C).
        correlation: For each query position the mean correlation with the support's foreground, (B, T), raw.
    """

    tokens: Tensor
    correlation: Tensor


class OverlapPatches(nn.Module):
    """A map as the tokens of the next stage: a convolution, then a norm of each token.

    Args:
        width: Channels.
        side: Of the kernel.
        stride: Of the kernel; it is padded by half of it.
    """

    def __init__(self, width: int, side: int, stride: int) -> None:
        super().__init__()
        self.projection = nn.Conv2d(width, width, side, stride, padding=stride // 2)
        self.norm = nn.LayerNorm(width, _NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map (B, C, h', w') for a map (B, C, h, w)."""
        projected = self.projection(x)
        return to_map(self.norm(to_tokens(projected)), projected)


class Heads(nn.Module):
    """Attention of several heads whose four linear layers have no bias.

    Args:
        width: Channels C.
        heads: Into which the channels are divided.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        for name in ("linear_q", "linear_k", "linear_v", "linear_o"):
            self.add_module(name, nn.Linear(width, width, bias=False))

    def project(self, name: str, x: Tensor) -> Tensor:
        """Return tokens (B, T, C) after the linear layer of a name, divided into heads (B, heads, T, C / heads)."""
        return self.divided(self.get_submodule(name)(x))

    def divided(self, tokens: Tensor) -> Tensor:
        """Return tokens (B, T, C), divided into heads (B, heads, T, C / heads)."""
        return tokens.view(*tokens.shape[:2], self.heads, tokens.shape[2] // self.heads).transpose(1, 2)

    def together(self, divided: Tensor) -> Tensor:
        """Return what the heads found, (B, heads, T, C / heads), as tokens (B, T, C), after the last linear layer."""
        merged: Tensor = self.get_submodule("linear_o")(divided.transpose(1, 2).flatten(2))
        return merged

    def gather(self, weights: Tensor, source: Tensor) -> Tensor:
        """Return weighted sums of a source's values, (B, T, C).

        Args:
            weights: (B, heads, T, S).
            source: Tokens (B, S, C).
        """
        return self.together(weights @ self.project("linear_v", source))

    def forward(self, x: Tensor, source: Tensor) -> Tensor:
        """Return the attention of tokens (B, T, C) to tokens (B, S, C), (B, T, C)."""
        query, key = self.project("linear_q", x), self.project("linear_k", source)
        scores = query @ key.transpose(2, 3) / (math.sqrt(query.shape[3]) + _EPS)
        return self.gather(scores.softmax(dim=3), source)

    def match(self, x: Tensor, source: Tensor, inside: Tensor) -> Matched:
        """Return what queries gather from the foreground of supports; see `MixBlock.match`."""
        query, key = (
            F.normalize(self.project(name, tokens), dim=3) for name, tokens in (("linear_q", x), ("linear_k", source))
        )
        correlation = query @ key.transpose(2, 3) / TEMPERATURE
        inside = inside[:, None, None]
        # A support position is divided among the query positions, not the other way round; the background of the
        # support is taken out afterwards, and the rest does not sum to 1.
        weights = correlation.softmax(dim=2).masked_fill(inside == 0, 0.0)
        mean = (correlation * inside).sum(dim=3) / (inside.sum(dim=3) + _EPS)
        return Matched(self.gather(weights, source), mean.mean(dim=1))


class ReducedAttention(nn.Module):
    """Attention of a map to the same map with fewer positions, or of a query to supports.

    Args:
        width: Channels C.
        heads: Into which the channels are divided.
        reduction: Side of the squares of positions that become one.
    """

    def __init__(self, width: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.reduction = reduction
        if reduction > 1:
            self.sr = nn.Conv2d(width, width, reduction, reduction)
            self.norm = nn.LayerNorm(width, _NORM_EPS)
        self.attn = Heads(width, heads)
        self.proj_drop = nn.Dropout(_DROPPED)

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        """Return the attention of tokens (B, T, C) of a map `like` (B, C, h, w) to themselves."""
        source = x
        if self.reduction > 1:
            source = self.norm(to_tokens(self.sr(to_map(x, like))))
        attended: Tensor = self.proj_drop(self.attn(x, source))
        return attended


class MixFFN(nn.Module):
    """The feed-forward part, which learns of positions by a depth-wise 3x3 convolution.

    Args:
        width: Channels.
        ratio: By how much it is wider inside.
    """

    def __init__(self, width: int, ratio: int) -> None:
        super().__init__()
        inner = ratio * width
        drop = nn.Dropout(_DROPPED)
        self.layers = nn.Sequential(
            nn.Conv2d(width, inner, 1),
            nn.Conv2d(inner, inner, 3, padding=1, groups=inner),
            nn.GELU(),
            drop,
            nn.Conv2d(inner, width, 1),
            drop,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return a map (B, C, h, w) for a map (B, C, h, w)."""
        out: Tensor = self.layers(x)
        return out


class MixBlock(nn.Module):
    """Attention and feed-forward part, each after a norm and added to the input.

    Args:
        width: Channels.
        heads: Of the attention.
        reduction: See `ReducedAttention`.
        ratio: See `MixFFN`.
    """

    def __init__(self, width: int, heads: int, reduction: int = 1, ratio: int = 4) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, _NORM_EPS)
        self.attn = ReducedAttention(width, heads, reduction)
        self.norm2 = nn.LayerNorm(width, _NORM_EPS)
        self.ffn = MixFFN(width, ratio)

    def forward(self, x: Tensor) -> Tensor:
        """Self-attention: return a map (B, C, h, w) for a map (B, C, h, w)."""
        tokens = to_tokens(x)
        return self.feed_forward(tokens + self.attn(self.norm1(tokens), x), x)

    def match(self, query: Tensor, source: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
        """Matching: return the map (B, C, h, w) of the query, and how it correlates with the foreground, (B, h, w).

        Query and supports are compared by cosine / 0.1 in each head.

        Args:
            query: (B, C, h, w).
            source: Tokens of all supports, (B, S, C).
            inside: Whether a support position is foreground, float32 (B, S) in {0, 1}.
        """
        tokens = to_tokens(query)
        matched = self.attn.attn.match(self.norm1(tokens), self.norm1(source), inside)
        out = self.feed_forward(tokens + self.attn.proj_drop(matched.tokens), query)
        return out, matched.correlation.view(len(query), *query.shape[2:])

    def feed_forward(self, tokens: Tensor, like: Tensor) -> Tensor:
        """Return the map (B, C, h, w) that the feed-forward part makes of tokens (B, T, C) of a map `like`."""
        fed: Tensor = self.ffn(to_map(self.norm2(tokens), like))
        return to_map(tokens, like) + fed


class PositionNorm(nn.LayerNorm):
    """The norm of each position that ends a stage.

    Args:
        width: Channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, _NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map (B, C, h, w) for a map (B, C, h, w)."""
        return to_map(super().forward(to_tokens(x)), x)


class MergedConvolution(nn.Module):
    """A 3x3 convolution without bias, batch norm and ReLU.

    Args:
        inputs: Channels of its input.
        outputs: Channels of its output.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, h, w) for a map (B, inputs, h, w)."""
        out: Tensor = self.bn(self.conv(x)).relu()
        return out


class MatchingLayer(nn.ModuleList):
    """A query matched with supports, and merged with how similar they are by other maps.

    Args:
        width: Channels.
        heads: Of the matching.
        similarities: Channels of those other maps' similarity.
    """

    def __init__(self, width: int, heads: int, similarities: int) -> None:
        super().__init__([MixBlock(width, heads), MergedConvolution(width + similarities, width)])

    def forward(self, query: Tensor, source: Tensor, inside: Tensor, similarity: Tensor) -> tuple[Tensor, Tensor]:
        """Return the merged map (B, C, h, w), and the correlation (B, h, w) of `MixBlock.match`.

        Args:
            query: (B, C, h, w).
            source: See `MixBlock.match`.
            inside: See `MixBlock.match`.
            similarity: (B, similarities, h, w).
        """
        block, merging = cast("MixBlock", self[0]), self[1]
        matched, correlation = block.match(query, source, inside)
        return merging(torch.cat([matched, similarity], dim=1)), correlation


def to_tokens(x: Tensor) -> Tensor:
    """Return the positions of a map (B, C, h, w) as tokens (B, h * w, C)."""
    return x.flatten(2).transpose(1, 2)


def to_map(tokens: Tensor, like: Tensor) -> Tensor:
    """Return tokens (B, h * w, C) as a map (B, C, h, w) of the size of another."""
    return tokens.transpose(1, 2).reshape(len(tokens), -1, like.shape[2], like.shape[3])


def concatenated(maps: list[Tensor]) -> Tensor:
    """Return the tokens of several maps (B, C, h, w) one after the other, (B, S, C)."""
    return torch.cat([to_tokens(one) for one in maps], dim=1)
