"""HDMNet's decoupled matching (Peng et al., CVPR 2023): stages of each image alone, then of query and support together.

Names and details from Pbihao/HDMNet at 39ec8b2, model/Transformer.py. The layers are in `mix_transformer`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.layers.mix_transformer import MatchingLayer, MixBlock, OverlapPatches, PositionNorm, concatenated

HEADS = (2, 4, 8)
"""Of the self-attention of each stage; they divide the channels."""
SIMILARITIES = 2
"""How many maps of the similarity of query and support there are."""

_STAGES = 3
_PATCHES, _STRIDES, _REDUCTIONS = (1, 3, 3), (1, 2, 2), (4, 2, 1)
_MATCHING_HEADS = 2


class Matcher(nn.Module):
    """The hierarchically decoupled matching: self-attention of each image alone, then matching at every stage.

    Args:
        width: Channels of its maps.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.down_sample_layers = nn.ModuleList(
            nn.Sequential(
                OverlapPatches(width, side, stride),
                MixBlock(width, heads, reduced),
                MixBlock(width, heads, reduced),
                PositionNorm(width),
            )
            for side, stride, heads, reduced in zip(_PATCHES, _STRIDES, HEADS, _REDUCTIONS, strict=True)
        )
        self.match_layers = nn.ModuleList(MatchingLayer(width, _MATCHING_HEADS, SIMILARITIES) for _ in range(_STAGES))
        self.parse_layers = nn.ModuleList(
            nn.Sequential(*_convolutions(width, width), nn.BatchNorm2d(width), nn.ReLU()) for _ in range(_STAGES)
        )
        self.cls = nn.Sequential(*_convolutions(width, 2))

    def hierarchy(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the map of each stage, finest first; the same layers serve query and support.

        Args:
            x: (B, width, h, w).
        """
        maps = []
        for stage in self.down_sample_layers:
            x = stage(x)
            maps.append(x)
        return tuple(maps)

    def match(
        self,
        query: Sequence[Tensor],
        supports: Sequence[Sequence[Tensor]],
        insides: Sequence[Sequence[Tensor]],
        similarity: Tensor,
    ) -> tuple[Tensor, list[Tensor]]:
        """Return raw logits (B, 2, h, w), and the correlation map (B, h_i, w_i) of each stage, coarsest first.

        Args:
            query: From `hierarchy`.
            supports: From `hierarchy`, of each of K shots, whose positions are matched all together.
            insides: Of each shot the foreground at the size of each stage, (B, 1, h_i, w_i) in {0, 1}.
            similarity: (B, 2, h, w).
        """
        out: Tensor | None = None
        correlations = []
        for stage in reversed(range(_STAGES)):
            size = query[stage].shape[-2:]
            source = concatenated([shot[stage] for shot in supports])
            inside = torch.cat([shot[stage].flatten(1) for shot in insides], dim=1)
            resized = F.interpolate(similarity, size, mode="bilinear", align_corners=True)
            matched, correlation = self.match_layers[stage](query[stage], source, inside, resized)
            correlations.append(correlation)
            if out is None:
                out = self.parse_layers[stage](matched)
            else:
                # Quirk: here corners are not aligned, unlike everywhere else.
                out = F.interpolate(out, size, mode="bilinear", align_corners=False)
                out = out + self.parse_layers[stage](matched + out)
        logits: Tensor = self.cls(out)
        return logits, correlations


def _convolutions(width: int, outputs: int) -> list[nn.Module]:
    """Return three convolutions, four times as wide inside, with norms and no activation between them."""
    wide = 4 * width
    return [
        nn.Conv2d(width, wide, 1),
        nn.BatchNorm2d(wide),
        nn.Conv2d(wide, wide, 3, padding=1),
        nn.BatchNorm2d(wide),
        nn.Conv2d(wide, outputs, 1),
    ]
