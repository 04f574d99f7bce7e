"""DCAMA: Shi et al., "Dense Cross-Query-and-Support Attention Weighted Mask Aggregation ...", ECCV 2022.

The title ends "for Few-Shot Segmentation". Facts from pawn-sxy/DCAMA at 37fa053, model/DCAMA.py and
model/base/transformer.py. The order is the paper's: feature extraction and mask preparation, attention weighted mask
aggregation at three scales, the mask feature mixer, and the extension to K shots.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones import Pyramid
from fssbench.backbones.finer import FinerBackbone, finer_backbone
from fssbench.layers.hypercorrelation import bounds
from fssbench.layers.losses import segmentation_loss
from fssbench.layers.masks import foreground, resize_mask
from fssbench.methods.base.joint import JointMethod
from fssbench.methods.base.method import Prediction, TrainingBatch
from fssbench.methods.base.staged import decide_each

HEADS = 8
_DROPOUT = 0.5
_BASE = 10000.0
_CONSTRUCTED = (".pe", ".relative_position_index", ".attn_mask")
"""How the names of the tables end that the release keeps in its state dict. They follow from the sizes."""

Widths = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class DCAMAMaps:
    """The maps of B images.

    Attributes:
        finer: The map of a quarter of the image's sides, which only the mixer reads, (B, C, h, w).
        levels: The maps of the pyramid, shallow level first.
    """

    finer: Tensor
    levels: Pyramid


@dataclass(frozen=True, eq=False)
class DCAMASupport:
    """The maps of B support images, which are not masked, and their masks.

    Attributes:
        maps: The maps.
        masks: The mask at the size of each level, (B, 1, h, w) in [0, 1], shallow level first.
    """

    maps: DCAMAMaps
    masks: tuple[Tensor, ...]


class DCAMA(JointMethod[DCAMAMaps, DCAMASupport]):
    """Dense cross-query-and-support attention weighted mask aggregation.

    Args:
        backbone: Name of the frozen backbone.
        way: 1.
        shot: K.
        channels: Widths of the convolutions that process the aggregated masks; the release has (16, 64, 128).
    """

    def __init__(self, backbone: str, way: int, shot: int, channels: Widths = (16, 64, 128)) -> None:
        super().__init__()
        self.task, self.way, self.shot = "fss", way, shot
        self.feature_extractor: FinerBackbone = finer_backbone(backbone).requires_grad_(requires_grad=False)
        self.model = Aggregation(self.feature_extractor, channels)

    @property
    def shared_encoder(self) -> nn.Module:
        """The frozen backbone."""
        return self.feature_extractor

    def train(self, mode: bool = True) -> Self:
        """Set training mode; the backbone stays in eval mode."""
        super().train(mode)
        self.feature_extractor.eval()
        return self

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights of a backbone's file under their names in the method."""
        return {f"feature_extractor.{key}": value for key, value in _learnt(state).items()}

    def from_release(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights of a checkpoint of the release under their names in the method."""
        return _learnt(state)

    def encode(self, image: Tensor) -> DCAMAMaps:
        """Return the backbone's maps of images float32 (B, 3, H, W); no gradient."""
        with torch.no_grad():
            finer, levels = self.feature_extractor.with_finer(image)
        return DCAMAMaps(finer.to(image.dtype), tuple(feature.to(image.dtype) for feature in levels))

    def condition(self, features: DCAMAMaps, mask: Tensor) -> DCAMASupport:
        """Return the maps of supports and the masks for each level; 255 counts as background."""
        inside = foreground(mask)
        firsts = (features.levels[start] for start, _ in bounds(self.feature_extractor.levels))
        return DCAMASupport(features, tuple(resize_mask(inside, first).to(first.dtype) for first in firsts))

    def predict_batch(
        self, query: DCAMAMaps, supports: Sequence[Sequence[DCAMASupport]], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the predictions of B episodes, raw logits, resized once to the size of each."""
        with torch.autocast(query.finer.device.type, enabled=False):
            logits = self.model(query, supports[0])
        return decide_each(logits, (logits.shape[-2], logits.shape[-1]), sizes)

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return "segmentation", the cross entropy of the prediction at the size of the query image."""
        query = self.encode(batch.query)
        masks = batch.support_masks[:, 0].unbind(1)
        maps = [self.encode(images) for images in batch.supports[:, 0].unbind(1)]
        supports = [self.condition(*one) for one in zip(maps, masks, strict=True)]
        logits = self.model(query, supports)
        return {"segmentation": segmentation_loss(logits, batch.query_masks[:, 0], batch.foreground_weight)}


class Aggregation(nn.Module):
    """What is learnt: attention weighted mask aggregation at three scales, and the mask feature mixer.

    Args:
        backbone: Of the maps.
        channels: Widths of the convolutions.
    """

    def __init__(self, backbone: FinerBackbone, channels: Widths) -> None:
        super().__init__()
        first, hidden, out = channels
        self.levels = backbone.levels
        widths = [backbone.channels[start] for start, _ in bounds(self.levels)]
        # The maps of a level share their projections.
        self.DCAMA_blocks = nn.ModuleList(CrossAttention(width) for width in widths)
        shallow, middle, deep = self.levels
        self.conv1 = _block((deep, *channels), kernels=(3, 3, 3))
        self.conv2 = _block((middle, *channels), kernels=(5, 3, 3))
        self.conv3 = _block((shallow, *channels), kernels=(5, 5, 3))
        self.conv4 = _block((out, out, out, out), kernels=(3, 3, 3))
        self.conv5 = _block((out, out, out, out), kernels=(3, 3, 3))
        self.mixer1 = _mixer(out + 2 * widths[0] + 2 * backbone.finer_channels, out, hidden)
        self.mixer2 = _mixer(hidden, hidden, first)
        self.mixer3 = _mixer(first, first, 2)[:-1]

    def forward(self, query: DCAMAMaps, supports: Sequence[DCAMASupport]) -> Tensor:
        """Return raw logits (B, 2, 4h, 4w) for a finer map of h x w positions, of B queries with K supports each."""
        return self.mix(self.aggregate(query, supports), query, supports)

    def aggregate(self, query: DCAMAMaps, supports: Sequence[DCAMASupport]) -> list[Tensor]:
        """Return the aggregated masks of each level, (B, maps, h, w), shallow level first."""
        aggregated = []
        for level, (start, stop) in enumerate(bounds(self.levels)):
            attend = self.DCAMA_blocks[level]
            masks = [support.masks[level] for support in supports]
            maps = [
                attend(query.levels[place], [support.maps.levels[place] for support in supports], masks)
                for place in range(start, stop)
            ]
            aggregated.append(torch.cat(maps, dim=1))
        return aggregated

    def mix(self, aggregated: Sequence[Tensor], query: DCAMAMaps, supports: Sequence[DCAMASupport]) -> Tensor:
        """Mask feature mixer: return raw logits from the aggregated masks, with skip connections to unmasked maps."""
        shallow, middle, deep = aggregated
        coarse, medium, fine = self.conv1(deep), self.conv2(middle), self.conv3(shallow)
        mixed = self.conv4(_resize(coarse, medium.shape) + medium)
        mixed = self.conv5(_resize(mixed, fine.shape) + fine)

        last = self.levels[0] - 1
        skipped = strongest([support.maps.levels[last] for support in supports])
        mixed = torch.cat([mixed, query.levels[last], skipped], dim=1)
        finer = strongest([support.maps.finer for support in supports])
        # Quirk: the release doubles the width and takes it for the height, too. Its images are square.
        mixed = torch.cat([_resize(mixed, finer.shape), query.finer, finer], dim=1)
        mixed = self.mixer2(_doubled(self.mixer1(mixed)))
        logits: Tensor = self.mixer3(_doubled(mixed))
        return logits


class CrossAttention(nn.Module):
    """DCAMA block: each query position takes the mean of the support's mask, weighted by scaled dot products.

    The values are the mask itself: nothing is projected but queries and keys, and the heads are averaged.

    Args:
        width: Channels of the maps.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linears = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.dropout = nn.Dropout(_DROPOUT)

    def forward(self, query: Tensor, supports: Sequence[Tensor], masks: Sequence[Tensor]) -> Tensor:
        """Return the aggregated masks of B episodes, (B, 1, h, w).

        Args:
            query: (B, C, h, w).
            supports: K maps (B, C, h, w).
            masks: K masks (B, 1, h, w).
        """
        of_query, of_key = self.linears
        queries = _by_head(of_query(self.tokens(query)))
        # The positions of all supports are read together; their encodings are those of each support alone.
        keys = _by_head(of_key(torch.cat([self.tokens(support) for support in supports], dim=1)))
        values = torch.cat([mask.flatten(1) for mask in masks], dim=1)[:, None, :, None]
        weights = torch.softmax(queries @ keys.transpose(-2, -1) / math.sqrt(keys.shape[-1]), dim=-1)
        taken: Tensor = (self.dropout(weights) @ values).mean(dim=1)
        return taken.transpose(1, 2).view(len(query), 1, *query.shape[-2:])

    def tokens(self, feature: Tensor) -> Tensor:
        """Return the positions of maps (B, C, h, w) row by row, with their encoding, (B, h * w, C)."""
        positions = feature.flatten(2).transpose(1, 2)
        encoded: Tensor = self.dropout(positions + positional_encoding(positions))
        return encoded


def positional_encoding(tokens: Tensor) -> Tensor:
    """Return the encoding of the positions of tokens (B, n, C), which is (n, C); Vaswani et al., 2017, section 3.5.

    Sine and cosine alternate. The release has a table of 10,000 positions; it is computed in float32, as here.
    """
    _, count, width = tokens.shape
    place = torch.arange(count, device=tokens.device)[:, None]
    angle = place * torch.exp(torch.arange(0, width, 2, device=tokens.device) * -(math.log(_BASE) / width))
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1).to(tokens.dtype)


def strongest(maps: Sequence[Tensor]) -> Tensor:
    """Return the elementwise maximum of the maps of K supports, which the skip connections take."""
    return maps[0] if len(maps) == 1 else torch.stack(list(maps)).amax(dim=0)


def _by_head(tokens: Tensor) -> Tensor:
    batch, count, _ = tokens.shape
    return tokens.view(batch, count, HEADS, -1).transpose(1, 2)


def _block(channels: tuple[int, ...], kernels: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for (inputs, outputs), kernel in zip(pairwise(channels), kernels, strict=True):
        layers += [nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.GroupNorm(4, outputs), nn.ReLU()]
    return nn.Sequential(*layers)


def _mixer(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, hidden, 3, padding=1), nn.ReLU(), nn.Conv2d(hidden, outputs, 3, padding=1), nn.ReLU()
    )


def _resize(x: Tensor, shape: Sequence[int]) -> Tensor:
    return F.interpolate(x, tuple(shape[-2:]), mode="bilinear", align_corners=True)


def _doubled(x: Tensor) -> Tensor:
    return _resize(x, (2 * x.shape[-2], 2 * x.shape[-1]))


def _learnt(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if not key.endswith(_CONSTRUCTED)}
