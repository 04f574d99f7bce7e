"""ASNet-HM: ASNet on the hybrid masking of Moon et al., "HM: Hybrid Masking for Few-Shot Segmentation", ECCV 2022.

Facts from dahyun-kang/ifsl at d0b0c0d, fs-cs/model/asnethm.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fssbench.backbones import Pyramid
from fssbench.backbones import backbone as build_backbone
from fssbench.layers.attentive_squeeze import pool_wide_maps
from fssbench.layers.hypercorrelation import hypercorrelation
from fssbench.layers.masks import foreground, resize_mask
from fssbench.methods.asnet import AttentionLearner
from fssbench.methods.base.pairwise import PairwiseMethod


@dataclass(frozen=True, eq=False)
class HybridSupport:
    """What is kept of B support images.

    Attributes:
        features: The maps after hybrid masking, wide ones halved.
        maps: The maps before masking.
        image: The images with zero background, (B, 3, H, W).
        mask: Foreground float32 (B, H, W).
    """

    features: Pyramid
    maps: Pyramid
    image: Tensor
    mask: Tensor


class ASNetHM(PairwiseMethod[HybridSupport]):
    """Attentive squeeze network whose support maps are masked twice.

    Where the masked map (feature masking) is positive, it is used. Elsewhere the map of the masked image is used (input
    masking), which keeps details of the object that feature masking loses. ASNet's attention is masked as well.

    A quirk of the release's data loader is kept: the mask of the n-th class has the value n. So maps and image of the
    second way are multiplied by 2 instead of 1. The cosine is not affected by that, but a brighter image has other
    maps. iFSL's printed N-way numbers include this quirk. The release trains with one way, and has no training with
    image-level labels, because the network needs a support mask.

    Args:
        backbone: Name of the frozen backbone.
        way: N.
        shot: K.
        channels: Widths of the squeezing layers; the release has (32, 128).
        unit_masks: Whether the mask of every class has the value 1.
    """

    def __init__(
        self, backbone: str, way: int, shot: int, channels: tuple[int, int] = (32, 128), unit_masks: bool = False
    ) -> None:
        super().__init__(build_backbone(backbone), "fscs", way, shot)
        self.unit_masks = unit_masks
        self.learner = AttentionLearner(self.backbone.levels, channels)

    def encode(self, image: Tensor) -> Pyramid:
        """Return the backbone's maps, followed by the images, which input masking needs."""
        return *super().encode(image), image

    def condition(self, features: Pyramid, mask: Tensor) -> HybridSupport:
        """Return the hybrid maps and the foreground; 255 counts as background."""
        *maps, image = features
        inside = foreground(mask)
        pooled = tuple(pool_wide_maps(feature) for feature in maps)
        masked = image * inside[:, None]
        return HybridSupport(self._hybrid(pooled, masked, inside), pooled, masked, inside)

    def as_way(self, support: HybridSupport, n: int) -> HybridSupport:
        """Return a support whose mask has the foreground value n; with `unit_masks` the support is unchanged."""
        if n == 1 or self.unit_masks:
            return support
        mask = n * support.mask
        return replace(support, features=self._hybrid(support.maps, n * support.image, mask), mask=mask)

    def score(self, query: Pyramid, support: HybridSupport) -> Tensor:
        """Return raw logits (B, 2, h, w) of B pairs; see `ASNet.score`. The query's image is not used again.

        Raises:
            UsageError: If the images have a size at which the support positions do not shrink to one.
        """
        logits: Tensor = self.learner(hypercorrelation(query, support.features, self.backbone.levels), support.mask)
        return logits

    def _hybrid(self, maps: Pyramid, masked_image: Tensor, mask: Tensor) -> Pyramid:
        with torch.no_grad():
            by_input = [pool_wide_maps(feature) for feature in self.backbone(masked_image)]
            by_feature = [feature * resize_mask(mask, feature) for feature in maps]
            return tuple(
                torch.where(feature > 0, feature, other) for feature, other in zip(by_feature, by_input, strict=True)
            )
