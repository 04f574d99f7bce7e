"""VAT: Hong et al., "Cost Aggregation with 4D Convolutional Swin Transformer for Few-Shot Segmentation", ECCV 2022.

Facts from Seokju-Cho/Volumetric-Aggregation-Transformer at 5534a15, model/vat.py, model/ours.py, model/base/. The order
is the paper's: features and cost computation, the pyramidal transformer encoder with its volume embedding and its
volumetric Swin transformers, and the affinity-aware transformer decoder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones import Pyramid
from fssbench.backbones.finer import FinerBackbone, finer_backbone
from fssbench.backbones.windows import Block, initialise
from fssbench.errors import UsageError
from fssbench.layers.decoding import resize_query_positions
from fssbench.layers.hypercorrelation import bounds, hypercorrelation
from fssbench.layers.masks import foreground, resize_mask
from fssbench.methods.base.pairwise import PairwiseMethod

Appearance = Literal["finer", "shallow", "middle"]
"""The deepest level whose map guides the decoder; those of the levels before it guide it, too."""

HEADS = 4
WINDOW_4D, WINDOW_2D = 4, 8
DEPTHS = (4, 2, 2)
_SMALLEST = 64
_CONSTRUCTED = (".relative_position_index", ".attn_mask")
"""How the names of the tables end that the release keeps in its state dict. They follow from the sizes."""


class VAT(PairwiseMethod[Pyramid]):
    """Volumetric aggregation with transformers.

    Args:
        backbone: Name of the frozen backbone.
        way: 1.
        shot: K.
        appearance: The deepest level whose map guides the decoder: the release has "shallow" for PASCAL, "finer" for
            COCO, "middle" for FSS-1000.
        width: Channels of the cost volumes; the release has 128. A multiple of 16.
        side: Side of the finest maps, in positions; the release has 128. A multiple of 64.

    Raises:
        UsageError: If the backbone has no map of a quarter of the image's sides, or a size is not such a multiple.
    """

    def __init__(
        self,
        backbone: str,
        way: int,
        shot: int,
        appearance: Appearance = "shallow",
        width: int = 128,
        side: int = 128,
    ) -> None:
        network = finer_backbone(backbone)
        if width % 16 or side % _SMALLEST or min(width, side) < 1:
            raise UsageError(
                f"the width of vat is a multiple of 16 and its side one of {_SMALLEST}, not {width} and {side}"
            )
        super().__init__(network, "fss", way, shot)
        self.sides = tuple(side >> level for level in range(4))
        self.hpn_learner = nn.ModuleDict({"ours": Aggregation(network, appearance, width)})

    @property
    def encoded_with(self) -> tuple[int, ...]:
        """The sides of the maps."""
        return self.sides

    def from_release(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights of a checkpoint of the release under their names in the method."""
        return {key: value for key, value in state.items() if not key.endswith(_CONSTRUCTED)}

    def encode(self, image: Tensor) -> Pyramid:
        """Return the backbone's finer map and its pyramid, resized to the sides of the method; no gradient.

        So the network takes images of any size.
        """
        with torch.no_grad():
            # Under autocast only the backbone computes in low precision.
            finer, levels = cast("FinerBackbone", self.backbone).with_finer(image)
            counts = (1, *self.backbone.levels)
            sides = [side for side, count in zip(self.sides, counts, strict=True) for _ in range(count)]
            maps = zip((finer, *levels), sides, strict=True)
            return tuple(_resize(feature.to(image.dtype), side) for feature, side in maps)

    def condition(self, features: Pyramid, mask: Tensor) -> Pyramid:
        """Return the support's pyramid with the background zeroed; 255 counts as background."""
        inside = foreground(mask)
        return tuple(feature * resize_mask(inside, feature) for feature in features[1:])

    def score(self, query: Pyramid, support: Pyramid) -> Tensor:
        """Return raw logits (B, 2, side, side) of B pairs: compute the cost volumes, aggregate, decode."""
        levels = self.backbone.levels
        volumes = hypercorrelation(query[1:], support, levels)
        # The last map of each level shows the appearance of the query.
        shallow, middle, _ = (query[stop] for _, stop in bounds(levels))
        logits: Tensor = self.hpn_learner["ours"](volumes, (middle, shallow, query[0]))
        return logits


class Aggregation(nn.Module):
    """What is learnt: the pyramidal transformer encoder and the affinity-aware transformer decoder.

    Args:
        backbone: Of the maps.
        appearance: The deepest level that guides the decoder.
        width: Channels of the cost volumes.
    """

    def __init__(self, backbone: FinerBackbone, appearance: Appearance, width: int) -> None:
        super().__init__()
        shallow, middle, deep = backbone.levels
        quarter, half = width // 4, width // 2
        # Strides of query and support positions: the support shrinks to an eighth of the shallow level's side.
        self.encoders = nn.ModuleList(
            [
                VolumeEmbedding((deep, half, width), strides=((2, 1), (1, 2)), groups=(4, 8)),
                VolumeEmbedding((middle, half, width), strides=((2, 2), (1, 2)), groups=(4, 8)),
                VolumeEmbedding((shallow, quarter, half, width), strides=((2, 2), (1, 2), (1, 2)), groups=(2, 4, 8)),
            ]
        )
        self.transformer = nn.ModuleList(VolumetricSwin(width, depth) for depth in DEPTHS)

        guides = (half, quarter, width // 8)
        last = [backbone.channels[stop - 1] for _, stop in bounds(backbone.levels)]
        # Projections that do not guide are there, too.
        self.proj_query_feat = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, guide, 1), nn.ReLU())
            for channels, guide in zip((last[1], last[0], backbone.finer_channels), guides, strict=True)
        )
        self.guided = {"middle": (True, True, True), "shallow": (False, True, True), "finer": (False, False, True)}[
            appearance
        ]
        decoded = (width, 3 * width // 4, 3 * width // 8)
        wide = [own + guide * used for own, guide, used in zip(decoded, guides, self.guided, strict=True)]
        self.swin_decoder = nn.ModuleList(
            [
                nn.Sequential(PlanarSwin(wide[0]), nn.Conv2d(wide[0], decoded[1], 1)),
                nn.Sequential(PlanarSwin(wide[1]), nn.Conv2d(wide[1], decoded[2], 1)),
                nn.Sequential(PlanarSwin(wide[2])),
            ]
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(wide[2], quarter, 3, padding=1), nn.ReLU(), nn.Conv2d(quarter, 2, 3, padding=1)
        )
        self.dropout2d = nn.Dropout2d(0.5)

    def forward(self, volumes: Sequence[Tensor], appearance: Sequence[Tensor]) -> Tensor:
        """Return raw logits (B, 2, h, w), of the sides of the finer map.

        Args:
            volumes: The correlations, deepest level first, (B, maps, h, w, h', w').
            appearance: Maps of the query: the last of the middle level, of the shallow one, and the finer map.
        """
        embedded = [embed(volume) for embed, volume in zip(self.encoders, volumes, strict=True)]
        return self.decode(self.aggregate(embedded), self.guide(appearance))

    def aggregate(self, embedded: Sequence[Tensor]) -> Tensor:
        """Pyramidal transformer encoder: return the aggregated volume without its support positions, (B, C, h, w).

        Args:
            embedded: The embedded volumes, deepest level first, (B, C, h, w, h', w').
        """
        aggregated = embedded[0]
        for level, transform in enumerate(self.transformer):
            if level:
                aggregated = embedded[level] + resize_query_positions(aggregated, embedded[level])
            # Quirk: the transformer has shortcuts of its own, so its input counts twice.
            aggregated = aggregated + transform(aggregated)
        squeezed: Tensor = aggregated.mean(dim=(-2, -1))
        return squeezed

    def decode(self, x: Tensor, guides: Sequence[Tensor]) -> Tensor:
        """Affinity-aware transformer decoder: return raw logits (B, 2, 4h, 4w) for (B, C, h, w) and maps of `guide`."""
        for place, (stage, guide) in enumerate(zip(self.swin_decoder, guides, strict=True)):
            if place:
                x = _resize(x, 2 * x.shape[-1])
            x = stage(torch.cat([x, guide], dim=1) if self.guided[place] else x)
        logits: Tensor = self.decoder(x)
        return logits

    def guide(self, appearance: Sequence[Tensor]) -> list[Tensor]:
        """Return the projected maps of the query; in training channels of the first two are dropped."""
        middle, shallow, finer = (
            project(feature) for project, feature in zip(self.proj_query_feat, appearance, strict=True)
        )
        channels = [middle.shape[1], shallow.shape[1]]
        kept = self.dropout2d(middle.new_ones(len(middle), sum(channels), 1, 1)).split(channels, dim=1)
        return [middle * kept[0], shallow * kept[1], finer]


class VolumeEmbedding(nn.Module):
    """4D convolutions, each with a norm and a ReLU, that shrink a cost volume (volume embedding module).

    Args:
        channels: Before the first convolution and after each.
        strides: Of the query and the support positions, for each convolution.
        groups: Of each norm.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[tuple[int, int]], groups: Sequence[int]) -> None:
        super().__init__()
        self.conv4d = nn.Sequential(
            *(
                nn.Sequential(PooledConv4d(inputs, outputs, *stride), nn.GroupNorm(count, outputs), nn.ReLU())
                for (inputs, outputs), stride, count in zip(pairwise(channels), strides, groups, strict=True)
            )
        )

    def forward(self, volume: Tensor) -> Tensor:
        """Return the embedded volume (B, C, h, w, h', w')."""
        embedded: Tensor = self.conv4d(volume)
        return embedded


class PooledConv4d(nn.Module):
    """The sum of a convolution over the query positions and one over the support positions.

    It is HSNet's center-pivot convolution, but positions that a stride leaves out are not dropped: the largest value
    of each group is kept.

    Args:
        inputs: Channels before.
        outputs: Channels after.
        query_stride: Of the query positions.
        support_stride: Of the support positions.
    """

    def __init__(self, inputs: int, outputs: int, query_stride: int, support_stride: int) -> None:
        super().__init__()
        self.query_stride, self.support_stride = query_stride, support_stride
        self.query_conv = nn.Conv2d(inputs, outputs, 3, stride=query_stride, padding=1)
        self.supp_conv = nn.Conv2d(inputs, outputs, 3, stride=support_stride, padding=1)

    def forward(self, volume: Tensor) -> Tensor:
        """Return (B, outputs, h, w, h', w') of a volume (B, inputs, ...)."""
        fewer_supports = over_support(volume, lambda x: _largest(x, self.support_stride))
        fewer_queries = over_query(volume, lambda x: _largest(x, self.query_stride))
        return over_query(fewer_supports, self.query_conv) + over_support(fewer_queries, self.supp_conv)


class VolumetricSwin(nn.Module):
    """Swin blocks on all four axes of a volume (volumetric convolutional Swin transformer).

    Args:
        width: Channels.
        depth: Number of blocks; every second one is shifted.
    """

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        blocks = _blocks(width, depth, WINDOW_4D, axes=4)
        # Quirk: the release has a norm after the blocks and does not apply it.
        self.transformer = nn.ModuleDict({"layer": nn.ModuleDict({"blocks": blocks}), "norm": nn.LayerNorm(width)})
        initialise(self)

    def forward(self, volume: Tensor) -> Tensor:
        """Return a volume (B, C, h, w, h', w') of one of the same shape."""
        x: Tensor = self.transformer.get_submodule("layer.blocks")(volume.movedim(1, -1).contiguous())
        return x.movedim(-1, 1)


class PlanarSwin(nn.Module):
    """Two Swin blocks and a norm on a map, with a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers = nn.ModuleList([nn.ModuleDict({"blocks": _blocks(width, 2, WINDOW_2D, axes=2)})])
        self.transformer = nn.ModuleDict({"layers": layers, "norm": nn.LayerNorm(width)})
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map (B, C, h, w) of one of the same shape."""
        x = x.movedim(1, -1).contiguous()
        x = x + self.transformer["norm"](self.transformer.get_submodule("layers.0.blocks")(x))
        return x.movedim(-1, 1)


def over_query(volume: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Return a volume (B, C, h, w, h', w') whose maps (C, h, w) of each support position went through a function."""
    batch, channels, height, width, rows, columns = volume.shape
    maps = function(volume.permute(0, 4, 5, 1, 2, 3).reshape(-1, channels, height, width))
    return maps.view(batch, rows, columns, *maps.shape[1:]).permute(0, 3, 4, 5, 1, 2)


def over_support(volume: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Return a volume (B, C, h, w, h', w') whose maps (C, h', w') of each query position went through a function."""
    batch, channels, height, width, rows, columns = volume.shape
    maps = function(volume.permute(0, 2, 3, 1, 4, 5).reshape(-1, channels, rows, columns))
    return maps.view(batch, height, width, *maps.shape[1:]).permute(0, 3, 1, 2, 4, 5)


def _largest(x: Tensor, stride: int) -> Tensor:
    return x if stride == 1 else F.max_pool2d(x, stride, ceil_mode=True)


def _blocks(width: int, depth: int, window: int, axes: int) -> nn.Sequential:
    return nn.Sequential(*(Block(width, HEADS, window, shifts=place % 2 == 1, axes=axes) for place in range(depth)))


def _resize(x: Tensor, side: int) -> Tensor:
    return F.interpolate(x, (side, side), mode="bilinear", align_corners=True)
