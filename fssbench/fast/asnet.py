"""The fast forms of ASNet and ASNet-HM: attentive squeeze layers in another layout, over the keys in the mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from fssbench.backbones import Pyramid
from fssbench.fast.attention import Squeezed, add_coarser, correlations, squeeze
from fssbench.fast.correlation import UnitMaps, dense_hypercorrelation, each_image, in_precision_of, unit_maps
from fssbench.fast.pairwise import FastPairwise, with_fast_decoder
from fssbench.layers.decoding import decode
from fssbench.layers.devices import serial_on
from fssbench.layers.hypercorrelation import bounds
from fssbench.methods.asnet import ASNet, AttentionLearner, check_sizes
from fssbench.methods.asnet_hm import ASNetHM, HybridSupport


@dataclass(frozen=True)
class UnitSupport:
    """Unit maps of support images, and their foreground float32 (B, H, W) if it is used."""

    features: UnitMaps
    mask: Tensor | None


class FastASNet(FastPairwise, ASNet):
    """ASNet whose queries are `UnitMaps` and whose supports are `UnitSupport`."""

    fixed_shapes: ClassVar[tuple[str, ...]] = ("learner.forward",)

    def prepare(self) -> None:
        """Fold backbone and decoder."""
        super().prepare()
        self.learner = with_fast_decoder(self.learner)

    def condition(self, features: Pyramid, mask: Tensor) -> UnitSupport:  # type: ignore[override] # read here alone
        """Return the unit maps of the support, and the foreground."""
        support = super().condition(features, mask)
        return UnitSupport(unit_maps(support.features), support.mask)

    def score(self, query: UnitMaps, support: UnitSupport) -> Tensor:  # type: ignore[override] # from `condition`
        """Return the result of `ASNet.score`."""
        return score_pairs(self.learner, query, support, self.backbone.levels)


class FastASNetHM(FastPairwise, ASNetHM):
    """ASNet-HM whose queries are `UnitMaps`, and whose supports become `UnitSupport` once their way is known."""

    def prepare(self) -> None:
        """Fold backbone and decoder."""
        super().prepare()
        self.learner = with_fast_decoder(self.learner)

    def encode(self, image: Tensor) -> Pyramid:
        """Return the backbone's maps and the images."""
        return *super().encode(image), image

    def prepare_query(self, features: Pyramid | UnitMaps) -> UnitMaps:  # type: ignore[override] # read by `score` alone
        """Return the unit maps, without the image."""
        return (
            features if isinstance(features, UnitMaps) else super().prepare_query(features[: sum(self.backbone.levels)])
        )

    def as_way(self, support: HybridSupport, n: int) -> UnitSupport:  # type: ignore[override] # read by `score` alone
        """Return a support of the n-th class as unit maps."""
        valued = super().as_way(support, n)
        return UnitSupport(unit_maps(valued.features), valued.mask)

    def score(self, query: UnitMaps, support: UnitSupport) -> Tensor:  # type: ignore[override] # from `as_way`
        """Return the result of `ASNetHM.score`."""
        return score_pairs(self.learner, query, support, self.backbone.levels)


def score_pairs(learner: nn.Module, query: UnitMaps, support: UnitSupport, levels: tuple[int, int, int]) -> Tensor:
    """Return raw logits (B, 2, h, w) of B pairs of a query and a support.

    Raises:
        UsageError: If the images have a size at which the support positions do not shrink to one.
    """
    features, mask = support.features, support.mask
    query, features = in_precision_of(query, learner), in_precision_of(features, learner)
    device = query.units[0].device
    # Products are written in place, which autocast does not support.
    with torch.autocast(device.type, enabled=False):
        if isinstance(learner, AttentionLearner) and not learner.local and serial_on(device):
            masks = [None] * len(query.units[0]) if mask is None else torch.split(mask, 1)
            pairs = zip(each_image(query), each_image(features), masks, strict=True)
            return torch.cat([score_pair(learner, *pair) for pair in pairs])
        # `score_pair` has a product for each support position of each layer of each pair, and waits for the host to
        # count the keys in the mask; `forward` has a few convolutions for all pairs.
        logits: Tensor = learner(dense_hypercorrelation(query, features, levels), mask)
        return logits.contiguous()


def score_pair(learner: AttentionLearner, query: UnitMaps, support: UnitMaps, mask: Tensor | None) -> Tensor:
    """Return the learner's logits (1, 2, 2w, 2w) for one pair; see `AttentionLearner.forward`."""
    squeezed, sizes, grids = [], [], []
    blocks = (learner.encoder_layer2, learner.encoder_layer3, learner.encoder_layer4)
    for block, (start, stop) in zip(blocks, bounds(learner.levels), strict=True):
        queries, supports = ([units[0] for units in maps.units[start:stop]] for maps in (query, support))
        sizes.append((queries[0].shape[0], queries[0].shape[1]))
        grids.append((supports[0].shape[0], supports[0].shape[1]))
        squeezed.append(squeeze(block, correlations(queries, supports), mask))
    shallow, middle, deep = squeezed
    check_sizes(grids[1::-1], [middle.size, shallow.size])

    deep = Squeezed(deep.values.mean(dim=1, keepdim=True), (1, 1))
    mixed = squeeze(learner.encoder_layer4to3, add_coarser(middle, deep, sizes[1], sizes[2]), mask)
    mixed = squeeze(learner.encoder_layer3to2, add_coarser(shallow, mixed, sizes[0], sizes[1]), mask)
    return decode(learner.decoder1, learner.decoder2, mixed.values[:, 0].view(1, -1, *sizes[0])).contiguous()
