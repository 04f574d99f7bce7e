"""ASGNet: Li et al., "Adaptive Prototype Learning and Allocation for Few-Shot Segmentation", CVPR 2021.

Facts from Reagan1311/ASGNet at cd898c5, in its pyramid form (`pyramid: True` in every released configuration).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fssbench.backbones.staged import staged
from fssbench.layers.enrichment import Bins, FeatureEnrichment, default_bins
from fssbench.layers.losses import segmentation_loss
from fssbench.layers.masks import foreground, resize_mask
from fssbench.layers.superpixels import Prototypes, allocate, concatenate_shots, prototypes
from fssbench.methods.base.method import Prediction, TrainingBatch
from fssbench.methods.base.staged import StagedMethod, StageMaps, decide_each

_ITERATIONS = 5
_TRAINING_ITERATIONS = 10
_AUXILIARY_WEIGHT = 1.0
# The release's 100 positions per superpixel are for maps at an eighth of 473 pixels; these maps are smaller.
_AREAS = {"vgg16": 25.0, "small": 16.0}


@dataclass(frozen=True, eq=False)
class ASGNetQuery:
    """What the head needs of B queries: `reduced` (B, width, h, w), and the `size` (height, width) of the images."""

    reduced: Tensor
    size: tuple[int, int]


class ASGNet(StagedMethod[ASGNetQuery, Prototypes]):
    """Adaptive superpixel-guided network.

    As released, prototypes carry no gradient: the reduction learns from the query only.

    Args:
        backbone: Name of the frozen backbone.
        way: 1.
        shot: K; the prototypes of all shots are used together.
        width: Channels of the head.
        bins: Sides of the context module's scales in positions, finest first, or "fractions" of the query's map (1,
            1/2, 1/4, 1/8) as in the release's COCO configuration. Default: (60, 30, 15, 8) as in its PASCAL
            configuration; for the small backbone fractions.
        superpixels: Largest number of prototypes of a support.
        superpixel_area: Positions per superpixel. Default 100 as in the release, less for smaller maps.
        moving_statistics: Whether the frozen backbone's batch norm updates its running statistics in training. Default
            as released: yes (train.py calls `model.train()` and freezes only parameters); for the small backbone, which
            was not released: no.

    Raises:
        UsageError: If `bins` are not valid sides.
    """

    def __init__(
        self,
        backbone: str,
        way: int,
        shot: int,
        width: int = 256,
        bins: Bins | None = None,
        superpixels: int = 5,
        superpixel_area: float | None = None,
        moving_statistics: bool | None = None,
    ) -> None:
        super().__init__(staged(backbone), moving_statistics=moving_statistics)
        self.task, self.way, self.shot = "fss", way, shot
        self.superpixels = superpixels
        self.superpixel_area = superpixel_area or _AREAS.get(backbone, 100.0)
        layer2, layer3, _ = self.stages.channels
        # One reduction for query and support, without a ReLU.
        self.down_conv = nn.Sequential(nn.Conv2d(layer2 + layer3, width, 1, bias=False), nn.Dropout2d(0.5))
        if bins is None:
            bins = default_bins(backbone)
        self._context = self.adopt(FeatureEnrichment(2 * width + 1, width, bins, merge="corr_conv"))

    def middle(self, maps: StageMaps) -> Tensor:
        """Return layer3 and layer2 concatenated, (B, C, h, w)."""
        return maps.middle

    def condition(self, features: StageMaps, mask: Tensor) -> Prototypes:
        """Return the prototypes of supports by superpixel-guided clustering; 255 counts as background."""
        return self.prototypes_of(self.down_conv(self.middle(features)), mask)

    def read_query(self, maps: StageMaps) -> ASGNetQuery:
        """Return the reduced map of queries."""
        return ASGNetQuery(self.down_conv(self.middle(maps)), maps.size)

    def prototypes_of(self, reduced: Tensor, mask: Tensor) -> Prototypes:
        """Return the prototypes of reduced support maps (B, width, h, w) under masks (B, H, W) in {0, 1, 255}."""
        inside = foreground(mask)
        return prototypes(
            reduced,
            inside,
            resize_mask(inside, reduced),
            area=self.superpixel_area,
            most=self.superpixels,
            iterations=_TRAINING_ITERATIONS if self.training else _ITERATIONS,
        )

    def predict_batch(
        self, query: ASGNetQuery, supports: Sequence[Sequence[Prototypes]], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the predictions of B episodes, with raw logits; see `decide`."""
        reduced = query.reduced
        logits = self._context[0].classify(self._enriched(reduced, supports[0]), (reduced.shape[-2], reduced.shape[-1]))
        return decide_each(logits, query.size, sizes)

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return "main", the cross entropy of the prediction, and "auxiliary", the mean cross entropy of the scales."""
        query = self.down_conv(self.middle(self.encode(batch.query)))
        supports = [self.down_conv(self.middle(self.encode(images))) for images in batch.supports[:, 0].unbind(1)]
        return self.segmentation_losses(query, supports, batch)

    def segmentation_losses(self, query: Tensor, supports: Sequence[Tensor], batch: TrainingBatch) -> dict[str, Tensor]:
        """Return the two losses of reduced maps.

        Args:
            query: (B, width, h, w).
            supports: For each of K shots, (B, width, h, w).
            batch: The episodes, for their masks.
        """
        masks = batch.support_masks[:, 0].unbind(1)
        shots = [self.prototypes_of(reduced, mask) for reduced, mask in zip(supports, masks, strict=True)]
        maps = self._enriched(query, shots)
        context = self._context[0]
        inner = context.inner_logits(maps)
        final = context.classify(maps, (query.shape[-2], query.shape[-1]))
        main, *by_scale = [
            segmentation_loss(logits, batch.query_masks[:, 0], batch.foreground_weight) for logits in (final, *inner)
        ]
        return {"main": main, "auxiliary": _AUXILIARY_WEIGHT * torch.stack(by_scale).mean()}

    def _enriched(self, query: Tensor, shots: Sequence[Prototypes]) -> list[Tensor]:
        guide, similarity = allocate(query, concatenate_shots(list(shots)))
        return self._context[0].enrich(torch.cat([query, guide], dim=1), resized=[similarity])
