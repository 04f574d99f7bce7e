"""ASNet-HM: ASNet on the hybrid masking of Moon et al., "HM: Hybrid Masking for Few-Shot Segmentation", ECCV 2022.

Facts from dahyun-kang/ifsl at d0b0c0d, fs-cs/model/asnethm.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fssbench.backbones import Pyramid
from fssbench.backbones import backbone as build_backbone
from fssbench.backbones.folding import answering
from fssbench.layers.attentive_squeeze import pool_wide_maps
from fssbench.layers.hypercorrelation import Maps, UnitMaps, unit_maps
from fssbench.layers.masks import foreground, resize_mask
from fssbench.methods.asnet import AttentionLearner, MaskedSupport, squeeze_pairs
from fssbench.methods.base.method import Prediction
from fssbench.methods.base.pairwise import PairwiseMethod


@dataclass(frozen=True, eq=False)
class HybridSupport:
    """What is kept of B support images.

    Attributes:
        features: The maps after hybrid masking, wide ones halved.
        maps: The maps before it.
        image: The images with the background zeroed, (B, 3, H, W).
        mask: Foreground float32 (B, H, W).
    """

    features: Pyramid
    maps: Pyramid
    image: Tensor
    mask: Tensor


class ASNetHM(PairwiseMethod[HybridSupport | MaskedSupport]):
    """Attentive squeeze network whose support maps are masked twice.

    Where a map under the mask (feature masking) is positive it stays; elsewhere it is the map of the masked image
    (input masking), which keeps details of the object that the other one has lost. ASNet's attention is masked as well.

    The release keeps a quirk of its data loader, in which the mask of the n-th class has the value n: maps and image of
    the second way are multiplied by 2 instead of 1. The cosine would not mind, but an image of other brightness
    has other maps. iFSL's printed N-way numbers contain it. It trains with one way, and the release has no
    form for image-level labels: it can't run without a support mask.

    Args:
        backbone: Name of the frozen backbone.
        way: N.
        shot: K.
        channels: Widths of the squeezing layers; the release has (32, 128).
        unit_masks: True gives the mask of every class the value 1.
    """

    def __init__(
        self, backbone: str, way: int, shot: int, channels: tuple[int, int] = (32, 128), unit_masks: bool = False
    ) -> None:
        super().__init__(build_backbone(backbone), "fscs", way, shot)
        self.unit_masks = unit_masks
        self.learner = AttentionLearner(self.backbone.levels, channels)

    def encode(self, image: Tensor) -> Pyramid:
        """Return the backbone's maps and, behind them, the images themselves, which input masking needs."""
        return *super().encode(image), image

    def condition(self, features: Pyramid, mask: Tensor) -> HybridSupport:
        """Return the hybrid maps and the foreground; 255 counts as background."""
        *maps, image = features
        inside = foreground(mask)
        pooled = tuple(pool_wide_maps(its) for its in maps)
        masked = image * inside[:, None]
        return HybridSupport(self._hybrid(pooled, masked, inside), pooled, masked, inside)

    def as_query(self, features: Maps) -> Maps:
        """Return the maps made ready to be correlated; a query's image itself is not looked at again."""
        if isinstance(features, UnitMaps):
            return features
        return super().as_query(features[: sum(self.backbone.levels)])

    def score(self, query: Maps, support: HybridSupport | MaskedSupport) -> Tensor:
        """Return raw logits (B, 2, h, w) of B pairs; see `ASNet.score`.

        Raises:
            UsageError: If the images have a size at which the support positions do not shrink to one.
        """
        return squeeze_pairs(self.learner, query, support.features, support.mask, self.backbone.levels)

    def answers(
        self,
        queries: Sequence[Maps],
        supports: Sequence[Sequence[Sequence[HybridSupport | MaskedSupport]]],
        sizes: Sequence[tuple[int, int]],
    ) -> list[Prediction]:
        """Return the answers to several episodes; see `PairwiseMethod.answers`."""
        valued = [
            [[self._valued(its, 1 if self.unit_masks else way) for its in shots] for way, shots in enumerate(ways, 1)]
            for ways in supports
        ]
        return super().answers(queries, valued, sizes)

    def _valued(self, support: HybridSupport | MaskedSupport, value: int) -> MaskedSupport:
        """Return what is scored of a support as it is where the mask's foreground has a value."""
        if isinstance(support, MaskedSupport):
            return support
        features, mask = support.features, value * support.mask
        if value != 1:
            features = self._hybrid(support.maps, value * support.image, mask)
        return MaskedSupport(unit_maps(features) if answering() else features, mask)

    def _hybrid(self, maps: Pyramid, masked_image: Tensor, mask: Tensor) -> Pyramid:
        with torch.no_grad():
            by_input = [pool_wide_maps(its) for its in self.backbone(masked_image)]
            by_feature = [its * resize_mask(mask, its) for its in maps]
            return tuple(
                torch.where(feature > 0, feature, other) for feature, other in zip(by_feature, by_input, strict=True)
            )
