"""ASNet: Kang and Cho, "Integrative Few-Shot Learning for Classification and Segmentation", CVPR 2022.

Facts from dahyun-kang/ifsl at d0b0c0d: fs-s (segmentation alone) and fs-cs (classification and segmentation).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from fssbench.backbones import Pyramid
from fssbench.backbones import backbone as build_backbone
from fssbench.backbones.folding import answering
from fssbench.errors import UsageError
from fssbench.layers.attentive_answer import Squeezed, add_coarser, correlations
from fssbench.layers.attentive_squeeze import AttentiveSqueezeLayer, pool_wide_maps
from fssbench.layers.decoding import decode, decoder, resize_query_positions
from fssbench.layers.devices import serial_on
from fssbench.layers.hypercorrelation import (
    Maps,
    UnitMaps,
    bounds,
    each_query,
    hypercorrelation,
    in_precision_of,
    unit_maps,
)
from fssbench.layers.masks import foreground
from fssbench.methods.base.pairwise import PairwiseMethod

Variant = Literal["fss", "fscs", "fscs-local", "fscs-unmasked", "fscs-single-level"]


@dataclass(frozen=True)
class MaskedSupport:
    """The pooled maps of support images, and their foreground float32 (B, H, W); None where it is not looked at."""

    features: Maps
    mask: Tensor | None


class ASNet(PairwiseMethod[MaskedSupport]):
    """Attentive squeeze network.

    The paper's ablation takes the FS-CS form apart. Its code was not released and its table names the rows alone, so
    these readings are ours:

    - "fscs-local", global to local attention: a query attends to the support positions under its own kernel, out of
      those that the mask leaves. For that keys and values are taken at every position, so in the two finer levels
      their kernels are 1 x 1. The last two positions a side are under one kernel: there local and global are the same.
    - "fscs-unmasked", without masked attention: every support position is a key, and nothing else stands in for the
      mask. So support masks are not looked at; the loss is that of strong labels.
    - "fscs-single-level", without multi-layer fusion: levels of the pyramid are not merged. The middle one alone is
      squeezed and decoded; the layers that would mix the deeper one into it bring it to one support position. The
      middle one because the deepest has few query positions and the shallow one little of the object's class.

    Args:
        backbone: Name of the frozen backbone.
        variant: "fss" (the folder fs-s), "fscs" (the folder fs-cs), or a form of the ablation.
        way: N; more than 1 in FS-CS only.
        shot: K.
        weak: Whether this is ASNet_w, trained with image-level labels: support masks are not looked at.
        channels: Widths of the squeezing layers; the release has (32, 128).
    """

    def __init__(
        self,
        backbone: str,
        variant: Variant,
        way: int,
        shot: int,
        weak: bool = False,
        channels: tuple[int, int] = (32, 128),
    ) -> None:
        super().__init__(build_backbone(backbone), "fss" if variant == "fss" else "fscs", way, shot)
        self.weak = weak
        self.masked = not weak and variant != "fscs-unmasked"
        self.learner: nn.Module
        if variant == "fscs-single-level":
            self.learner = SingleLevelLearner(self.backbone.levels, channels)
        else:
            self.learner = AttentionLearner(self.backbone.levels, channels, local=variant == "fscs-local")

    def condition(self, features: Pyramid, mask: Tensor) -> MaskedSupport:
        """Return the support maps, wide ones halved, and the foreground; 255 counts as background.

        The maps are not masked: the mask acts inside the attention alone.
        """
        pooled = tuple(pool_wide_maps(f) for f in features)
        inside = foreground(mask) if self.masked else None
        return MaskedSupport(unit_maps(pooled) if answering() else pooled, inside)

    def score(self, query: Maps, support: MaskedSupport) -> Tensor:
        """Return raw logits (B, 2, h, w) of B pairs: correlate, squeeze by attention, mix, decode.

        Raises:
            UsageError: If the images have a size at which the support positions do not shrink to one.
        """
        return squeeze_pairs(self.learner, query, support.features, support.mask, self.backbone.levels)


def squeeze_pairs(
    learner: nn.Module, query: Maps, support: Maps, mask: Tensor | None, levels: tuple[int, int, int]
) -> Tensor:
    """Return raw logits (B, 2, h, w) of B pairs of a query and a support, whose maps and mask are given.

    Raises:
        UsageError: If the images have a size at which the support positions do not shrink to one.
    """
    if (
        isinstance(query, UnitMaps)
        and isinstance(support, UnitMaps)
        and isinstance(learner, AttentionLearner)
        and not learner.local
    ):
        query, support = in_precision_of(query, learner), in_precision_of(support, learner)
        device = query.units[0].device
        # Products are written in place, which autocast knows nothing of.
        with torch.autocast(device.type, enabled=False):
            if serial_on(device):
                masks = [None] * len(query.units[0]) if mask is None else torch.split(mask, 1)
                pairs = zip(each_query(query), each_query(support), masks, strict=True)
                return torch.cat([learner.answer(*pair) for pair in pairs])
            # `answer` has a product for each support position of each layer of each pair, and waits for the host to
            # count the keys that a mask leaves; `forward` has a few convolutions for all pairs.
            together: Tensor = learner(hypercorrelation(query, support, levels), mask)
            return together
    logits: Tensor = learner(hypercorrelation(query, support, levels), mask)
    return logits


class AttentionLearner(nn.Module):
    """Pyramid of attentive squeeze layers and 2D decoder (section 4.2, Figure 3).

    Args:
        levels: Number of correlation maps in the shallow, middle and deep level.
        channels: Widths of the two layers of a squeezing block.
        local: Whether attention is local; see `AttentiveSqueezeLayer`.
    """

    def __init__(self, levels: tuple[int, int, int], channels: tuple[int, int], *, local: bool = False) -> None:
        super().__init__()
        self.levels, self.local = levels, local
        shallow, middle, deep = levels
        first, out = channels
        self.encoder_layer4 = _block((deep, first, out), (5, 3), (4, 2), pool_keys=False, local=local)
        self.encoder_layer3 = _block((middle, first, out), (5, 5), (4, 4), pool_keys=True, local=local)
        self.encoder_layer2 = _block((shallow, first, out), (5, 5), (4, 4), pool_keys=True, local=local)
        self.encoder_layer4to3 = _block((out, out, out), (1, 2), (1, 1), pool_keys=False, local=local)
        self.encoder_layer3to2 = _block((out, out, out), (1, 2), (1, 1), pool_keys=False, local=local)
        self.decoder1, self.decoder2 = decoder(out, out // 2)

    def forward(self, pyramid: list[Tensor], mask: Tensor | None) -> Tensor:
        """Return logits (B, 2, 2w, 2w) for the correlation pyramid, deepest level first, and the foreground."""
        squeezed4 = _run(self.encoder_layer4, pyramid[0], mask).mean(dim=(-1, -2), keepdim=True)
        squeezed3 = _run(self.encoder_layer3, pyramid[1], mask)
        squeezed2 = _run(self.encoder_layer2, pyramid[2], mask)
        _check_grids(pyramid[1:], [squeezed3, squeezed2])

        # The deepest level has one support position left, which is added to every one of the middle level.
        mixed = resize_query_positions(squeezed4, squeezed3) + squeezed3
        mixed = _run(self.encoder_layer4to3, mixed, mask)
        mixed = resize_query_positions(mixed, squeezed2) + squeezed2
        mixed = _run(self.encoder_layer3to2, mixed, mask)
        return decode(self.decoder1, self.decoder2, mixed[..., 0, 0])

    def answer(self, query: UnitMaps, support: UnitMaps, mask: Tensor | None) -> Tensor:
        """Return the same as `forward` for one pair, (1, 2, 2w, 2w), computed as fast as it can be; no gradient."""
        squeezed, sizes, grids = [], [], []
        blocks = (self.encoder_layer2, self.encoder_layer3, self.encoder_layer4)
        for block, (start, stop) in zip(blocks, bounds(self.levels), strict=True):
            of = [[its[0] for its in maps.units[start:stop]] for maps in (query, support)]
            sizes.append((of[0][0].shape[0], of[0][0].shape[1]))
            grids.append((of[1][0].shape[0], of[1][0].shape[1]))
            squeezed.append(_answer(block, correlations(*of), mask))
        shallow, middle, deep = squeezed
        _check_sizes(grids[1::-1], [middle.size, shallow.size])

        deep = Squeezed(deep.values.mean(dim=1, keepdim=True), (1, 1))
        mixed = _answer(self.encoder_layer4to3, add_coarser(middle, deep, sizes[1], sizes[2]), mask)
        mixed = _answer(self.encoder_layer3to2, add_coarser(shallow, mixed, sizes[0], sizes[1]), mask)
        return decode(self.decoder1, self.decoder2, mixed.values[:, 0].view(1, -1, *sizes[0]))


class SingleLevelLearner(nn.Module):
    """What is left of `AttentionLearner`, under the same names, where the middle level is not merged with others.

    Args:
        levels: Number of correlation maps in the shallow, middle and deep level.
        channels: Widths of the two layers of a squeezing block.
    """

    def __init__(self, levels: tuple[int, int, int], channels: tuple[int, int]) -> None:
        super().__init__()
        first, out = channels
        self.encoder_layer3 = _block((levels[1], first, out), (5, 5), (4, 4), pool_keys=True)
        self.encoder_layer4to3 = _block((out, out, out), (1, 2), (1, 1), pool_keys=False)
        self.decoder1, self.decoder2 = decoder(out, out // 2)

    def forward(self, pyramid: list[Tensor], mask: Tensor | None) -> Tensor:
        """Return logits (B, 2, 2w, 2w) for the correlation pyramid, of which the middle level is read."""
        squeezed = _run(self.encoder_layer3, pyramid[1], mask)
        _check_grids(pyramid[1:2], [squeezed])
        squeezed = _run(self.encoder_layer4to3, squeezed, mask)
        return decode(self.decoder1, self.decoder2, squeezed[..., 0, 0])


def _block(
    channels: tuple[int, int, int],
    kernels: tuple[int, int],
    strides: tuple[int, int],
    *,
    pool_keys: bool,
    local: bool = False,
) -> nn.ModuleList:
    return nn.ModuleList(
        AttentiveSqueezeLayer(channels[i], channels[i + 1], kernels[i], strides[i], pool_keys=pool_keys, local=local)
        for i in range(2)
    )


def _run(block: nn.ModuleList, x: Tensor, mask: Tensor | None) -> Tensor:
    for layer in block:
        x = layer(x, mask)
    return x


def _answer(block: nn.ModuleList, x: Squeezed, mask: Tensor | None) -> Squeezed:
    for layer in block:
        if isinstance(layer, AttentiveSqueezeLayer):
            x = layer.answer(x, mask)
    return x


def _check_grids(pyramid: list[Tensor], squeezed: list[Tensor]) -> None:
    _check_sizes(*([(its.shape[-2], its.shape[-1]) for its in levels] for levels in (pyramid, squeezed)))


def _check_sizes(given: list[tuple[int, int]], squeezed: list[tuple[int, int]]) -> None:
    # The mixing layers take one position off each axis, so all must have arrived at 2 x 2.
    if any(size != (2, 2) for size in squeezed):
        sides, found = (" and ".join(map(str, sizes)) for sizes in (given, squeezed))
        raise UsageError(
            f"asnet can't take images of this size: its support maps of {sides} positions squeeze to {found} instead "
            "of (2, 2); with a ResNet, sides of 400 to 512 pixels work"
        )
