"""HDMNet's fast form: of a support only its foreground is kept, as keys and values of the matching.

A support position is divided among the query positions by a softmax of its own, and its background is taken out
afterwards. So the background needs no correlation at all. Convolutions with no activation between them are one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.fast.bam import SplitPyramidHead
from fssbench.fast.folding import fold_form
from fssbench.fast.joint import FastJoint
from fssbench.fast.prior import KeptColumns, kept_columns, most_similar_kept
from fssbench.fast.staged import averaged, bounding_box
from fssbench.layers.decoupled_matching import Matcher
from fssbench.layers.masks import foreground, resize_mask
from fssbench.layers.mix_transformer import TEMPERATURE, MatchingLayer, MixBlock, to_tokens
from fssbench.methods.base.base_learner import LearnerLogits, gram_matrix, resize_logits, scene_difference
from fssbench.methods.base.staged import StageMaps
from fssbench.methods.hdmnet import SIMILARITY_SCALE, HDMNet, nearest

_COLUMNS = 256
"""How many support positions are matched at once, so that their correlations fit in the processor's cache."""


@dataclass(frozen=True, eq=False)
class FastQuery:
    """What the head needs of B queries.

    Attributes:
        merged: The part of `query_merge` that no support changes, before its ReLU, (B, token width, h, w).
        layer4: layer4, (B, C, h', w').
        pooled: The base learner's map before its last ReLU and classifier, (B, base width, h', w').
        gram: Gram matrix of layer2, (B, C, C).
        size: (height, width) of the images.
    """

    merged: Tensor
    layer4: Tensor
    pooled: Tensor
    gram: Tensor
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class FastSupport:
    """What is kept of B support images.

    Attributes:
        prototype: Masked average of the reduced middle-level maps, (B, width, 1, 1).
        layer4: layer4 in the foreground.
        pooled: The base learner's map in the foreground.
        gram: Gram matrix of layer2, (B, C, C).
        stages: Keys and values of the foreground in the matching of each stage, one after the other, finest first.
    """

    prototype: Tensor
    layer4: KeptColumns
    pooled: KeptColumns
    gram: Tensor
    stages: tuple[KeptColumns, ...]


class Collapsed(nn.Module):
    """Convolutions without activations between them, as one 3x3 convolution.

    The first bias reaches all positions inside the map, but not the padding around it: a channel of ones carries it.

    Args:
        convolutions: 1x1, 3x3 and 1x1, with biases; only the 3x3 is padded.
    """

    def __init__(self, convolutions: Sequence[nn.Conv2d]) -> None:
        super().__init__()
        first, middle, last = ((part.weight.double(), _bias(part).double()) for part in convolutions)
        inner = torch.einsum("ow,wvyx->ovyx", last[0][:, :, 0, 0], middle[0])
        own = torch.einsum("ovyx,vc->ocyx", inner, first[0][:, :, 0, 0])
        ones = torch.einsum("ovyx,v->oyx", inner, first[1])[:, None]
        dtype = convolutions[0].weight.dtype
        self._weight = torch.cat([own, ones], dim=1).to(dtype).contiguous(memory_format=torch.channels_last)
        self._bias = (last[0][:, :, 0, 0] @ middle[1] + last[1]).to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, h, w) for a map (B, C, h, w)."""
        return F.conv2d(F.pad(x, (0, 0, 0, 0, 0, 1), value=1.0), self._weight, self._bias, padding=1)


class FastHDMNet(FastJoint, HDMNet):
    """See `HDMNet`."""

    def prepare(self) -> None:
        """Fold all parts, split the base learner's head, and collapse convolutions."""
        fold_form(self, self.stages)
        self.pooled_head = SplitPyramidHead(nn.Sequential(self.ppm, self.cls))
        matcher = self.matcher
        matcher.cls = nn.Sequential(_collapsed(matcher.cls))
        matcher.parse_layers = nn.ModuleList(
            nn.Sequential(_collapsed(layer), nn.ReLU(inplace=True)) for layer in matcher.parse_layers
        )

    def pooled_of(self, layer4: Tensor) -> Tensor:
        """Return the base learner's map (B, base width, h', w'), without its last ReLU and classifier."""
        pooled: Tensor = self.pooled_head(layer4)
        return pooled

    def condition(self, features: Tensor, mask: Tensor) -> FastSupport:  # type: ignore[override]
        """Return what is kept of support images; 255 counts as background."""
        inside = foreground(mask)
        maps = self.maps_of(features * inside[:, None])
        reduced = self.down_supp(maps.middle)
        prototype = averaged(reduced, resize_mask(inside, reduced))
        merged = _merged(self.supp_merge, reduced, prototype).relu_()
        layer4 = self.layer4_of(maps)
        kept = nearest(inside, layer4)
        box = bounding_box(kept)
        top, bottom, left, right = box
        return FastSupport(
            prototype,
            kept_columns(layer4[:, :, top:bottom, left:right], kept, box),
            kept_columns(self.pooled_head(layer4, box), kept, box),
            gram_matrix(maps.layer2),
            tuple(
                _keys_and_values(_matching_parts(self.matcher, number)[0], kept_columns(stage, nearest(inside, stage)))
                for number, stage in enumerate(self.matcher.hierarchy(merged))
            ),
        )

    def prepare_query(self, features: Tensor | FastQuery) -> FastQuery:  # type: ignore[override]
        """Return what the head needs of query images."""
        return features if isinstance(features, FastQuery) else self.read_query(self.maps_of(features))

    def read_query(self, maps: StageMaps) -> FastQuery:  # type: ignore[override]
        """Return what the head needs of queries."""
        layer4 = self.layer4_of(maps)
        reduced = self.down_query(maps.middle)
        convolution = _convolution(self.query_merge)
        merged = _conv1x1(reduced, convolution.weight[:, : reduced.shape[1]])
        return FastQuery(merged, layer4, self.pooled_of(layer4), gram_matrix(maps.layer2), maps.size)

    def score(  # type: ignore[override]
        self, query: FastQuery, shots: Sequence[FastSupport], left_out: Tensor | None = None
    ) -> LearnerLogits:
        """Return the logits of B episodes; see `BaseLearnerMethod.score`."""
        meta = self._meta(query, shots)
        base = resize_logits(self.base_learnear(query.pooled), (meta.shape[-2], meta.shape[-1]))
        differences = torch.stack([scene_difference(query.gram, shot.gram) for shot in shots], dim=1)
        difference = (self.shot_weights(differences) * differences).sum(dim=1)
        return LearnerLogits(meta, base, self.ensemble(meta, base, difference, left_out))

    def _meta(self, query: FastQuery, shots: Sequence[FastSupport]) -> Tensor:
        similarity = self._similarity(query, shots)
        prototype = torch.stack([shot.prototype for shot in shots]).mean(dim=0)
        weight = _convolution(self.query_merge).weight
        width, count = prototype.shape[1], similarity.shape[1]
        merged = query.merged + _conv1x1(prototype, weight[:, width : 2 * width])
        merged += _conv1x1(similarity * SIMILARITY_SCALE, weight[:, -count:])
        return self._match(self.matcher.hierarchy(merged.relu_()), shots, similarity)

    def _similarity(self, query: FastQuery, shots: Sequence[FastSupport]) -> Tensor:
        pairs = [
            [most_similar_kept(query.pooled, shot.pooled), most_similar_kept(query.layer4, shot.layer4)]
            for shot in shots
        ]
        mean = torch.stack([torch.stack(pair, dim=1) for pair in pairs]).mean(dim=0)
        grid = mean.view(*mean.shape[:2], *query.layer4.shape[-2:])
        return resize_logits(grid, (query.merged.shape[-2], query.merged.shape[-1]))

    def _match(self, stages: Sequence[Tensor], shots: Sequence[FastSupport], similarity: Tensor) -> Tensor:
        out: Tensor | None = None
        for number, stage in reversed(list(enumerate(stages))):
            resized = F.interpolate(similarity, stage.shape[-2:], mode="bilinear", align_corners=True)
            block, merging = _matching_parts(self.matcher, number)
            tokens = to_tokens(stage)
            gathered = _gathered(block, tokens, [shot.stages[number] for shot in shots])
            matched = merging(torch.cat([block.feed_forward(tokens + gathered, stage), resized], dim=1))
            parse = self.matcher.parse_layers[number]
            if out is None:
                out = parse(matched)
            else:
                out = F.interpolate(out, stage.shape[-2:], mode="bilinear", align_corners=False)
                out = out + parse(matched + out)
        logits: Tensor = self.matcher.cls(out)
        return logits


def _gathered(block: MixBlock, tokens: Tensor, supports: Sequence[KeptColumns]) -> Tensor:
    """Return what query tokens (B, T, C) gather from the foreground of all shots, (B, T, C)."""
    heads = block.attn.attn
    query = F.normalize(heads.project("linear_q", block.norm1(tokens)), dim=3).div_(TEMPERATURE)
    query = query.transpose(2, 3).contiguous()
    batch, count, width, positions = query.shape
    gathered = query.new_zeros(batch, count, positions, width)
    # On a processor the result does not depend on what an episode is batched with: each support has its own length.
    for support in supports:
        keys, values = (heads.divided(part) for part in support.columns.chunk(2, dim=2))
        for start in range(0, keys.shape[2], _COLUMNS):
            chunk = slice(start, start + _COLUMNS)
            weights = (keys[:, :, chunk] @ query).softmax(dim=3)
            gathered += weights.transpose(2, 3) @ values[:, :, chunk]
    return heads.together(gathered)


def _keys_and_values(block: MixBlock, kept: KeptColumns) -> KeptColumns:
    """Return the keys, of length 1 in each head, and the values of kept tokens; padding stays zero."""
    heads, tokens = block.attn.attn, block.norm1(kept.columns)
    keys = F.normalize(heads.project("linear_k", tokens), dim=3).transpose(1, 2).flatten(2)
    values = heads.get_submodule("linear_v")(tokens)
    columns = torch.cat([keys, values], dim=2) * (kept.places >= 0)[..., None]
    return replace(kept, columns=columns)


def _matching_parts(matcher: Matcher, number: int) -> tuple[MixBlock, nn.Module]:
    """Return the matching block of a stage, and what merges its result with the similarity."""
    block, merging = cast("MatchingLayer", matcher.match_layers[number])
    return cast("MixBlock", block), merging


def _merged(merge: nn.Sequential, reduced: Tensor, prototype: Tensor) -> Tensor:
    """Return a 1x1 convolution of a map (B, C, h, w) and a vector (B, C, 1, 1) at every position, before its ReLU."""
    weight = _convolution(merge).weight
    width = reduced.shape[1]
    return _conv1x1(reduced, weight[:, :width]) + _conv1x1(prototype, weight[:, width:])


def _conv1x1(x: Tensor, weight: Tensor) -> Tensor:
    """Return a 1x1 convolution; dilation only chooses the code, as in `fssbench.fast.folding`."""
    return F.conv2d(x, weight, dilation=2)


def _convolution(merge: nn.Sequential) -> nn.Conv2d:
    return cast("nn.Conv2d", merge[0])


def _collapsed(layers: nn.Module) -> Collapsed:
    return Collapsed([part for part in layers.children() if isinstance(part, nn.Conv2d)])


def _bias(convolution: nn.Conv2d) -> Tensor:
    if convolution.bias is None:
        raise TypeError("this convolution has no bias")
    return convolution.bias
