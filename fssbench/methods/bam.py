"""BAM: Lang et al., "Learning What Not to Segment: A New Perspective on Few-Shot Segmentation", CVPR 2022.

A base learner segments the classes seen in training, a meta learner the class of the support; their ensemble gives the
prediction. Facts from chunbolang/BAM at c0f935c, model/BAM.py and model/PSPNet.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fssbench.backbones.staged import staged
from fssbench.layers.aspp import ASPP
from fssbench.layers.enrichment import classifier, conv1x1, conv3x3_pair, reduction
from fssbench.layers.losses import pixel_loss, segmentation_loss
from fssbench.layers.pyramid_pooling import pyramid_head
from fssbench.methods.base.base_learner import (
    BaseLearnerMethod,
    LearnerLogits,
    gram_matrix,
    resize_logits,
    scene_difference,
)
from fssbench.methods.base.method import TrainingBatch
from fssbench.methods.base.staged import StageMaps

_META_WEIGHT = 1.0
_BASE_WEIGHT = 1.0
"""aux_weight1 and aux_weight2 in every released configuration."""


@dataclass(frozen=True, eq=False)
class BAMQuery:
    """What both learners and their ensemble need of B queries.

    Attributes:
        reduced: The reduced middle-level maps, (B, width, h, w).
        layer4: layer4, (B, C, h', w').
        base: Logits of the base learner, (B, base classes + 1, h', w'), raw, Eq. 1.
        gram: Gram matrix of layer2, (B, C, C), Eq. 8.
        size: (height, width) of the images.
    """

    reduced: Tensor
    layer4: Tensor
    base: Tensor
    gram: Tensor
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class BAMSupport:
    """What is kept of B support images.

    Attributes:
        prototype: Masked average of the reduced middle-level maps, (B, width, 1, 1), Eq. 5.
        layer4: layer4 of the masked maps, masked again, (B, C, h, w), for the prior.
        gram: Gram matrix of the unmasked layer2, (B, C, C), Eq. 8.
    """

    prototype: Tensor
    layer4: Tensor
    gram: Tensor


class BAM(BaseLearnerMethod[BAMQuery, BAMSupport]):
    """Base and meta learner, in the order of the paper: base learner, meta learner, ensemble, K-shot setting.

    It is trained in two stages. Stage "base" trains the backbone and the base learner to segment the base classes.
    Stage "meta" trains the rest on episodes, while these are frozen. After `__init__` a method is in stage "meta".

    Args:
        backbone: Name of the backbone.
        way: 1.
        shot: K; with more than one, K-shot reweighting has its own parameters.
        base_classes: Number of the base classes of a fold: 15 on PASCAL-5i, 60 on COCO-20i.
        width: Channels of the meta learner.
        base_width: Channels of the base learner's classifier.

    Raises:
        UsageError: If there is no base class.
    """

    def __init__(
        self, backbone: str, way: int, shot: int, base_classes: int = 15, width: int = 256, base_width: int = 512
    ) -> None:
        super().__init__(staged(backbone), shot, base_classes)
        layer2, layer3, layer4 = self.stages.channels
        self.learner_base = pyramid_head(layer4, base_classes + 1, base_width)
        self.down_query = reduction(layer2 + layer3, width)
        self.down_supp = reduction(layer2 + layer3, width)
        self.init_merge = conv1x1(2 * width + 1, width)
        self.ASPP_meta = ASPP(width)
        self.res1_meta = conv1x1(5 * width, width)
        self.res2_meta = conv3x3_pair(width)
        self.cls_meta = classifier(width)
        self.begin()

    @property
    def base_parts(self) -> tuple[nn.Module, ...]:
        """The base learner."""
        return (self.learner_base,)

    def base_logits(self, layer4: Tensor) -> Tensor:
        """Return the base learner's logits (B, base classes + 1, h', w'), Eq. 1, of layer4."""
        logits: Tensor = self.learner_base(layer4)
        return logits

    def base_learner(self, layer4: Tensor) -> Tensor:
        """Return the base learner's logits (B, base classes + 1, h', w'), Eq. 1, of layer4; no gradient."""
        with torch.no_grad():
            return self.base_logits(layer4)

    def condition(self, features: StageMaps, mask: Tensor) -> BAMSupport:
        """Return prototype, masked layer4 and Gram matrix of supports; 255 counts as background."""
        layer4 = self.masked_layer4(features, mask)
        return BAMSupport(self.prototype_of(self.down_supp, features, mask), layer4, gram_matrix(features.layer2))

    def read_query(self, maps: StageMaps, reduced: Tensor | None = None) -> BAMQuery:
        """Return what both learners need of queries; `reduced` may be computed already."""
        reduced = self.down_query(maps.middle) if reduced is None else reduced
        layer4, gram = self.layer4_of(maps), gram_matrix(maps.layer2)
        return BAMQuery(reduced, layer4, self.base_learner(layer4), gram, maps.size)

    def meta_learner(self, query: Tensor, prototype: Tensor, prior: Tensor) -> Tensor:
        """Return the meta learner's logits (B, 2, h, w), Eq. 6 and 7.

        Args:
            query: Reduced maps of the queries, (B, width, h, w).
            prototype: (B, width, 1, 1).
            prior: (B, 1, h, w).
        """
        guided = self.init_merge(torch.cat([query, prototype.expand_as(query), prior], dim=1))
        context = self.res1_meta(self.ASPP_meta(guided))
        logits: Tensor = self.cls_meta(self.res2_meta(context) + context)
        return logits

    def score(
        self, query: StageMaps | BAMQuery, shots: Sequence[BAMSupport], left_out: Tensor | None = None
    ) -> LearnerLogits:
        """Return the logits of B episodes.

        Args:
            query: Maps of B queries.
            shots: The K supports of each.
            left_out: See `ensemble`.
        """
        query = self.prepare_query(query)
        size = (query.reduced.shape[-2], query.reduced.shape[-1])
        differences = torch.stack([scene_difference(query.gram, shot.gram) for shot in shots], dim=1)
        weights = self.shot_weights(differences)
        priors = torch.cat([self.prior(query.layer4, shot.layer4, size) for shot in shots], dim=1)
        prior = (weights[:, :, None, None] * priors).sum(dim=1, keepdim=True)
        prototypes = torch.stack([shot.prototype for shot in shots], dim=1)
        prototype = (weights[:, :, None, None, None] * prototypes).sum(dim=1)
        meta, base = self.meta_learner(query.reduced, prototype, prior), resize_logits(query.base, size)
        return LearnerLogits(meta, base, self.ensemble(meta, base, (weights * differences).sum(dim=1), left_out))

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return the losses of the stage, each a cross entropy at the size of the query image.

        Stage "base": "base" (Eq. 2), over background and base classes. Stage "meta": "final" of the ensemble (Eq. 12),
        "meta" of the meta learner alone, and "base", which has no effect because its parameters are frozen. The batch's
        foreground weight applies to novel pixels, not to base classes.
        """
        if self._stage == "base":
            return self.base_losses(batch)
        # The order of the steps is that of the release, because the dropout depends on it.
        query = self.encode(batch.query)
        reduced = self.down_query(query.middle)
        shots = [
            self.condition(self.encode(batch.supports[:, 0, k]), batch.support_masks[:, 0, k])
            for k in range(batch.supports.shape[2])
        ]
        logits = self.score(self.read_query(query, reduced), shots, left_out=batch.classes[:, 0])
        mask = batch.query_masks[:, 0]
        return {
            "final": segmentation_loss(logits.final, mask, batch.foreground_weight),
            "meta": _META_WEIGHT * segmentation_loss(logits.meta, mask, batch.foreground_weight),
            "base": _BASE_WEIGHT * pixel_loss(logits.base, batch.query_labels.long()),
        }
