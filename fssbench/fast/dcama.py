"""DCAMA's fast form: what depends on one image alone is computed once, and no attention weight leaves the cache.

Queries and keys are projected when an image is prepared, not in each episode. The mixer's first convolution is linear:
the part of it that reads the query is computed once for each query, and with one shot that of the support once for
each support. A convolution of an upsampled map is computed before the map is upsampled, tap by tap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.fast.folding import fold_form
from fssbench.fast.joint import FastJoint
from fssbench.layers.devices import serial_on
from fssbench.layers.hypercorrelation import bounds
from fssbench.methods.base.method import Prediction
from fssbench.methods.base.staged import decide_each
from fssbench.methods.dcama import DCAMA, HEADS, CrossAttention, DCAMAMaps, DCAMASupport, strongest

_TOGETHER = 1 << 19
"""How many scores are computed at once on a CPU: 2 MiB, which fit in its cache."""
_TOGETHER_ON_CARD = 1 << 28


@dataclass(frozen=True, eq=False)
class PreparedQuery:
    """What is read of B queries.

    Attributes:
        queries: For each map the projected positions, scaled, (B, heads, positions, C / heads).
        sizes: Of each level a tensor of its shape without channels, (B, 0, h, w).
        skipped: The queries' part of the mixer's first convolution, (B, channels, 2h, 2w).
    """

    queries: tuple[Tensor, ...]
    sizes: tuple[Tensor, ...]
    skipped: Tensor


@dataclass(frozen=True, eq=False)
class PreparedSupport:
    """What is read of B supports.

    Attributes:
        keys: For each map the projected positions, (B, heads, C / heads, positions).
        masks: For each level the mask, (B, positions).
        last: The last map of the shallow level, (B, C, h, w); without channels if `skipped` is given.
        finer: The finer map, (B, C, 2h, 2w); likewise.
        skipped: Their part of the mixer's first convolution; None for a method of several shots.
    """

    keys: tuple[Tensor, ...]
    masks: tuple[Tensor, ...]
    last: Tensor
    finer: Tensor
    skipped: Tensor | None


class FastDCAMA(FastJoint, DCAMA):
    """See `DCAMA`."""

    conditions_by_shot = True

    def prepare(self) -> None:
        """Fold the backbone, for all methods that share it, and part the mixer's first convolution by what it reads."""
        fold_form(self, self.feature_extractor)
        first = cast("nn.Conv2d", self.model.mixer1[0])
        width, finer = self.feature_extractor.channels[0], self.feature_extractor.finer_channels
        parts = [first.in_channels - 2 * width - 2 * finer, width, width, finer, finer]
        mixed, query, support, query_finer, support_finer = torch.split(first.weight.detach(), parts, dim=1)
        self.of_mixed = mixed.contiguous(memory_format=torch.channels_last)
        self.of_query = _by_tap(query), query_finer.contiguous(memory_format=torch.channels_last)
        self.of_support = _by_tap(support), support_finer.contiguous(memory_format=torch.channels_last)
        self.bias = first.bias

    def prepare_query(self, features: DCAMAMaps | PreparedQuery) -> PreparedQuery:
        """Return projected queries, and their part of the mixer; prepared ones are returned unchanged."""
        if isinstance(features, PreparedQuery):
            return features
        with torch.autocast(features.finer.device.type, enabled=False):
            queries = [
                _heads(attention, 0, feature) / math.sqrt(feature.shape[1] // HEADS)
                for attention, feature in self._attended(features)
            ]
            firsts = (features.levels[start] for start, _ in bounds(self.model.levels))
            last = features.levels[self.model.levels[0] - 1]
            skipped = skip(last, features.finer, *self.of_query)
        return PreparedQuery(tuple(queries), tuple(first[:, :0] for first in firsts), skipped)

    def condition(self, features: DCAMAMaps, mask: Tensor) -> PreparedSupport:  # type: ignore[override]
        """Return projected keys and masks, and with one shot their part of the mixer."""
        support: DCAMASupport = super().condition(features, mask)
        with torch.autocast(features.finer.device.type, enabled=False):
            keys = [
                _heads(attention, 1, feature).transpose(-2, -1).contiguous()
                for attention, feature in self._attended(features)
            ]
            masks = tuple(level.flatten(1) for level in support.masks)
            last, finer = features.levels[self.model.levels[0] - 1], features.finer
            if self.shot > 1:
                return PreparedSupport(tuple(keys), masks, last, finer, None)
            skipped = skip(last, finer, *self.of_support)
        return PreparedSupport(tuple(keys), masks, last[:, :0], finer[:, :0], skipped)

    def _attended(self, features: DCAMAMaps) -> list[tuple[CrossAttention, Tensor]]:
        """Return the maps, each with the attention that reads it."""
        return [
            (cast("CrossAttention", self.model.DCAMA_blocks[level]), features.levels[place])
            for level, (start, stop) in enumerate(bounds(self.model.levels))
            for place in range(start, stop)
        ]

    def predict_batch(  # type: ignore[override]
        self, query: PreparedQuery, supports: Sequence[Sequence[PreparedSupport]], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the predictions of B episodes."""
        (shots,) = supports
        with torch.autocast(query.skipped.device.type, enabled=False):
            aggregated = []
            for level, (start, stop) in enumerate(bounds(self.model.levels)):
                shape = query.sizes[level].shape[-2:]
                mask = torch.cat([support.masks[level] for support in shots], dim=1)
                maps = [
                    attended(query.queries[place], torch.cat([support.keys[place] for support in shots], dim=3), mask)
                    for place in range(start, stop)
                ]
                aggregated.append(torch.stack(maps, dim=1).view(-1, len(maps), *shape))
            logits = self._mixed(aggregated, query.skipped + self._skipped(shots))
        return decide_each(logits, (logits.shape[-2], logits.shape[-1]), sizes)

    def _skipped(self, shots: Sequence[PreparedSupport]) -> Tensor:
        alone = shots[0].skipped
        if len(shots) == 1 and alone is not None:
            return alone
        return skip(
            strongest([support.last for support in shots]),
            strongest([support.finer for support in shots]),
            *self.of_support,
        )

    def _mixed(self, aggregated: Sequence[Tensor], skipped: Tensor) -> Tensor:
        """Return raw logits; see `Aggregation.mix`."""
        model, (shallow, middle, deep) = self.model, aggregated
        coarse, medium, fine = model.conv1(deep), model.conv2(middle), model.conv3(shallow)
        mixed = model.conv4(_resized(coarse, medium.shape) + medium)
        mixed = model.conv5(_resized(mixed, fine.shape) + fine)
        mixed = F.conv2d(_resized(mixed, skipped.shape), self.of_mixed, self.bias, padding=1).add_(skipped)
        mixed = model.mixer1[1:](mixed)
        mixed = model.mixer2(_twice(mixed))
        logits: Tensor = model.mixer3(_twice(mixed))
        return logits


def attended(query: Tensor, key: Tensor, mask: Tensor) -> Tensor:
    """Return the masks as the query positions take them, (B, n): the mean over the heads of the weighted means.

    Args:
        query: Scaled, (B, heads, n, d).
        key: (B, heads, d, m).
        mask: (B, m).
    """
    batch, heads, count, _ = query.shape
    positions = key.shape[-1]
    taken = query.new_zeros(batch, count)
    if not serial_on(query.device):
        rows = max(1, _TOGETHER_ON_CARD // (batch * heads * positions))
        for start in range(0, count, rows):
            weights = torch.softmax(query[:, :, start : start + rows] @ key, dim=-1)
            taken[:, start : start + rows] = (weights @ mask[:, None, :, None]).mean(dim=1)[..., 0]
        return taken
    rows = max(1, _TOGETHER // positions)
    for image in range(batch):
        for head in range(heads):
            for start in range(0, count, rows):
                weights = torch.softmax(query[image, head, start : start + rows] @ key[image, head], dim=-1)
                taken[image, start : start + rows] += weights @ mask[image]
    return taken.div_(heads)


def skip(last: Tensor, finer: Tensor, by_tap: Tensor, of_finer: Tensor) -> Tensor:
    """Return the convolution of an upsampled map and of a finer one, (B, channels, 2h, 2w).

    Upsampling and the sums over channels commute, so the channels of each of the nine taps are summed first, at a
    quarter of the positions.

    Args:
        last: (B, C, h, w).
        finer: (B, C', 2h, 2w).
        by_tap: From `_by_tap`.
        of_finer: The kernel that reads the finer map, (channels, C', 3, 3).
    """
    out = F.conv2d(finer.contiguous(memory_format=torch.channels_last), of_finer, padding=1)
    height, width = finer.shape[-2:]
    taps = F.conv2d(last, by_tap)
    for tap, one in enumerate(taps.chunk(9, dim=1)):
        down, across = tap // 3 - 1, tap % 3 - 1
        shifted = _resized(one, finer.shape)[
            :, :, max(down, 0) : height + min(down, 0), max(across, 0) : width + min(across, 0)
        ]
        top, left = max(-down, 0), max(-across, 0)
        out[:, :, top : top + shifted.shape[2], left : left + shifted.shape[3]] += shifted
    return out


def _by_tap(kernel: Tensor) -> Tensor:
    """Return a kernel (out, in, 3, 3) as one of a position for the nine taps, (9 out, in, 1, 1)."""
    return kernel.permute(2, 3, 0, 1).flatten(0, 2)[..., None, None].contiguous()


def _heads(attention: CrossAttention, which: int, feature: Tensor) -> Tensor:
    """Return the positions of maps, encoded and projected, (B, heads, positions, C / heads)."""
    projected: Tensor = attention.linears[which](attention.tokens(feature))
    return projected.view(*projected.shape[:2], HEADS, -1).transpose(1, 2).contiguous()


def _resized(x: Tensor, shape: Sequence[int]) -> Tensor:
    return F.interpolate(x, tuple(shape[-2:]), mode="bilinear", align_corners=True)


def _twice(x: Tensor) -> Tensor:
    return _resized(x, (2 * x.shape[-2], 2 * x.shape[-1]))
