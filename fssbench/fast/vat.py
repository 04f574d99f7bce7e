"""VAT's fast form: volumes are embedded at the positions that a mask keeps, and Swin blocks stay in the cache.

What shows the appearance of a query is projected once, for all of its supports.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones import Pyramid
from fssbench.fast.correlation import (
    KeptPositions,
    UnitMaps,
    dense_hypercorrelation,
    each_support,
    in_precision_of,
    keep_positions,
    unit_maps,
)
from fssbench.fast.pairwise import FastPairwise
from fssbench.fast.pooled import embed
from fssbench.fast.squeeze import Rows, grid_of
from fssbench.fast.windows import TiledBlocks
from fssbench.layers.devices import serial_on
from fssbench.layers.hypercorrelation import bounds
from fssbench.layers.masks import foreground
from fssbench.methods.vat import VAT, Aggregation, VolumeEmbedding


@dataclass(frozen=True, eq=False)
class GuidedMaps(UnitMaps):
    """What is read of B queries.

    Attributes:
        guides: The maps of `Aggregation.guide`.
    """

    guides: tuple[Tensor, ...]


class FastVAT(FastPairwise, VAT):
    """VAT whose queries are `GuidedMaps` and whose supports are `KeptPositions`."""

    def prepare(self) -> None:
        """Fold the backbone, and divide the maps of the Swin blocks into tiles."""
        super().prepare()
        learnt = self.hpn_learner["ours"]
        tensors = {id(tensor): tensor for tensor in chain(learnt.parameters(), learnt.buffers())}
        own = cast("Aggregation", copy.deepcopy(learnt, dict(tensors)))
        finer, shallow, middle, deep = self.sides
        self.volume_blocks = [
            _tiled(volumes.get_submodule("transformer.layer"), (side // 2, side // 2, shallow // 8, shallow // 8))
            for volumes, side in zip(own.transformer, (deep, middle, shallow), strict=True)
        ]
        for stage, side in zip(own.swin_decoder, (middle, shallow, finer), strict=True):
            _tiled(stage.get_submodule("0.transformer.layers.0"), (side, side))
        self.learnt = own

    def encode(self, image: Tensor) -> Pyramid:
        """Return the result of `VAT.encode`."""
        return VAT.encode(self, image)

    def condition(self, features: Pyramid, mask: Tensor) -> KeptPositions:  # type: ignore[override] # read here alone
        """Return the support maps at the positions that the mask keeps."""
        return keep_positions(features[1:], foreground(mask))

    def prepare_query(self, features: Pyramid | GuidedMaps) -> GuidedMaps:  # type: ignore[override] # read by `score`
        """Return unit maps and projected ones; prepared maps are returned unchanged."""
        if isinstance(features, GuidedMaps):
            return features
        shallow, middle, _ = (features[stop] for _, stop in bounds(self.backbone.levels))
        with torch.autocast(features[0].device.type, enabled=False):
            guides = tuple(self.learnt.guide((middle, shallow, features[0])))
        return GuidedMaps(unit_maps(features[1:]).units, guides)

    def score(self, query: GuidedMaps, support: KeptPositions) -> Tensor:  # type: ignore[override] # from `condition`
        """Return the result of `VAT.score`."""
        learnt, guides, device = self.learnt, query.guides, query.units[0].device
        units, support = in_precision_of(UnitMaps(query.units), learnt), in_precision_of(support, learnt)
        # Products are written in place, which autocast does not support.
        with torch.autocast(device.type, enabled=False):
            if serial_on(device):
                pairs = enumerate(each_support(support))
                squeezed = torch.cat([self._squeezed([maps[n] for maps in units.units], one) for n, one in pairs])
            else:
                volumes = dense_hypercorrelation(units, support, self.backbone.levels)
                squeezed = learnt.aggregate([one(volume) for one, volume in zip(learnt.encoders, volumes, strict=True)])
            return learnt.decode(squeezed, guides).contiguous()

    def _squeezed(self, query: Sequence[Tensor], support: KeptPositions) -> Tensor:
        """Return the aggregated volume (1, C, h, w) of one pair; see `Aggregation.aggregate`.

        Its support positions are the first two axes, so that each is an image.
        """
        levels = zip(self.learnt.encoders, bounds(self.backbone.levels)[::-1], strict=True)
        embedded = []
        for encoder, (start, stop) in levels:
            kept = [units[0] for units in support.units[start:stop]]
            grid = grid_of(support.places[start][0], support.sizes[start])
            embedded.append(_on_grid(embed(cast("VolumeEmbedding", encoder), query[start:stop], kept, grid)))
        x = embedded[0]
        for blocks, finer in zip(self.volume_blocks[:-1], embedded[1:], strict=True):
            before = x.clone()
            blocks.change(x.permute(2, 3, 0, 1, 4))
            x = finer.add_(_resized(x.add_(before), finer.shape[2:4]))
        mean = x.mean(dim=(0, 1)) + self.volume_blocks[-1].mean(x.permute(2, 3, 0, 1, 4))
        return mean.permute(2, 0, 1)[None]


def _on_grid(rows: Rows) -> Tensor:
    """Return rows at each support position, (h', w', h, w, C)."""
    each = rows.images[[row for line in rows.grid for row in line]]
    return each.view(len(rows.grid), len(rows.grid[0]), *each.shape[1:])


def _resized(x: Tensor, size: Sequence[int]) -> Tensor:
    """Return positions (h', w', h, w, C) with other query positions; see `resize_query_positions`."""
    images = F.interpolate(x.flatten(0, 1).permute(0, 3, 1, 2), tuple(size), mode="bilinear", align_corners=True)
    return images.permute(0, 2, 3, 1).view(*x.shape[:2], *size, -1)


def _tiled(layer: nn.Module, sides: tuple[int, ...]) -> TiledBlocks:
    """Return the blocks of a layer in tiles, which take the place of those that are there."""
    modules = cast("nn.ModuleDict", layer)
    tiled = TiledBlocks(cast("nn.Sequential", modules["blocks"]), sides)
    modules["blocks"] = tiled
    return tiled
