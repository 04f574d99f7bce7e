"""BAM: Lang et al., "Learning What Not to Segment: A New Perspective on Few-Shot Segmentation", CVPR 2022.

A base learner segments the classes seen in training, a meta learner the class of the support; their ensemble gives the
prediction. Facts from chunbolang/BAM at c0f935c, model/BAM.py and model/PSPNet.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones.staged import staged
from fssbench.errors import UsageError
from fssbench.layers.aspp import ASPP
from fssbench.layers.enrichment import classifier, conv1x1, conv3x3_pair, reduction
from fssbench.layers.losses import pixel_loss, segmentation_loss
from fssbench.layers.pyramid_pooling import pyramid_head
from fssbench.methods.base.method import Prediction, TrainingBatch
from fssbench.methods.base.staged import StagedMethod, StageMaps, decide_each

_REWEIGHTING_WIDTH = 2
"""kshot_trans_dim in every released configuration."""
_META_WEIGHT = 1.0
_BASE_WEIGHT = 1.0
"""aux_weight1 and aux_weight2 in every released configuration."""
_EPS = 1e-7


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


@dataclass(frozen=True, eq=False)
class BAMLogits:
    """The maps of the learners for B queries, at the size of the query's map.

    Attributes:
        meta: Of the meta learner, (B, 2, h, w), raw, Eq. 7.
        base: Of the base learner, (B, base classes + 1, h, w), raw, Eq. 1.
        final: Of the ensemble, (B, 2, h, w), Eq. 11: weighted sums of probabilities; the larger gives the label.
    """

    meta: Tensor
    base: Tensor
    final: Tensor


class BAM(StagedMethod[BAMQuery, BAMSupport]):
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

    training_stages: ClassVar[tuple[str, ...]] = ("base", "meta")

    def __init__(
        self, backbone: str, way: int, shot: int, base_classes: int = 15, width: int = 256, base_width: int = 512
    ) -> None:
        if base_classes < 1:
            raise UsageError(f"bam needs at least one base class, not {base_classes}")
        super().__init__(staged(backbone))
        self.task, self.way, self.shot = "fss", way, shot
        self.base_classes = base_classes
        layer2, layer3, layer4 = self.stages.channels
        self.learner_base = pyramid_head(layer4, base_classes + 1, base_width)
        self.down_query = reduction(layer2 + layer3, width)
        self.down_supp = reduction(layer2 + layer3, width)
        self.init_merge = conv1x1(2 * width + 1, width)
        self.ASPP_meta = ASPP(width)
        self.res1_meta = conv1x1(5 * width, width)
        self.res2_meta = conv3x3_pair(width)
        self.cls_meta = classifier(width)
        self.gram_merge = _weighted_sum()
        self.cls_merge = _weighted_sum()
        if shot > 1:
            self.kshot_rw = nn.Sequential(
                nn.Conv2d(shot, _REWEIGHTING_WIDTH, 1), nn.ReLU(), nn.Conv2d(_REWEIGHTING_WIDTH, shot, 1)
            )
        self._stage = "meta"
        self.enter_training_stage("meta")

    def base_learner(self, layer4: Tensor) -> Tensor:
        """Return the base learner's logits (B, base classes + 1, h', w'), Eq. 1, of layer4; no gradient."""
        with torch.no_grad():
            logits: Tensor = self.learner_base(layer4)
            return logits

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

    def ensemble(self, meta: Tensor, base: Tensor, difference: Tensor, left_out: Tensor | None = None) -> Tensor:
        """Return the final map (B, 2, h, w), Eq. 9 to 11.

        Args:
            meta: From `meta_learner`.
            base: From `base_learner`, at the size of `meta`.
            difference: How different the scenes of query and support are, (B,); see `scene_difference`.
            left_out: int64 (B,), for each query a base class that is not counted as one.
        """
        probabilities = base.softmax(dim=1)
        if left_out is not None:
            kept = torch.ones_like(probabilities[:, :, :1, :1])
            kept.scatter_(1, (left_out + 1).view(-1, 1, 1, 1), 0.0)
            probabilities = probabilities * kept
        base_classes = probabilities[:, 1:].sum(dim=1, keepdim=True)
        ground, novel = torch.split(meta.softmax(dim=1), 1, dim=1)
        factor = difference.view(-1, 1, 1, 1).expand_as(ground)
        # Both are adjusted by the same two weights.
        ground = self.gram_merge(torch.cat([ground, factor], dim=1))
        novel = self.gram_merge(torch.cat([novel, factor], dim=1))
        return torch.cat([self.cls_merge(torch.cat([ground, base_classes], dim=1)), novel], dim=1)

    def shot_weights(self, differences: Tensor) -> Tensor:
        """Return weights of K shots, (B, K), summing to 1, from the differences (B, K) between the query and each shot.

        More similar scenes may get larger weights. The differences are sorted first, so the order of the shots does not
        matter.
        """
        if self.shot == 1:
            return torch.ones_like(differences)
        rising, order = differences.sort(dim=1)
        scores: Tensor = self.kshot_rw(rising[:, :, None, None])[:, :, 0, 0]
        return scores.gather(1, order.argsort(dim=1)).softmax(dim=1)

    def score(
        self, query: StageMaps | BAMQuery, shots: Sequence[BAMSupport], left_out: Tensor | None = None
    ) -> BAMLogits:
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
        meta, base = self.meta_learner(query.reduced, prototype, prior), _resize(query.base, size)
        return BAMLogits(meta, base, self.ensemble(meta, base, (weights * differences).sum(dim=1), left_out))

    def predict_batch(
        self, query: BAMQuery, supports: Sequence[Sequence[BAMSupport]], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the predictions of B episodes: logits are `BAMLogits.final`, `base` is from the base learner."""
        logits = self.score(query, supports[0])
        decided = decide_each(logits.final, query.size, sizes)
        base = torch.split(_resize(logits.base, query.size), 1)
        return [
            replace(prediction, base=_resize(found, size)[0].argmax(dim=0).to(torch.uint8))
            for prediction, found, size in zip(decided, base, sizes, strict=True)
        ]

    def enter_training_stage(self, stage: str) -> None:
        """Set which parameters a stage trains: "base" backbone and base learner, "meta" all others."""
        self._stage = stage
        for parameter in self.parameters():
            parameter.requires_grad = stage == "meta"
        for part in (self.stages, self.learner_base):
            part.requires_grad_(stage == "base")
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set training mode; in stage "meta" no batch norm updates its statistics (the release's fix_bn)."""
        super().train(mode)
        if self._stage == "base":
            self.stages.train(mode)
        else:
            # Quirk: the release freezes batch norm only; the dropout of the frozen base learner is active.
            for module in self.learner_base.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return the losses of the stage, each a cross entropy at the size of the query image.

        Stage "base": "base" (Eq. 2), over background and base classes. Stage "meta": "final" of the ensemble (Eq. 12),
        "meta" of the meta learner alone, and "base", which has no effect because its parameters are frozen. The batch's
        foreground weight applies to novel pixels, not to base classes.
        """
        if self._stage == "base":
            _, layer3 = self.stages.shallow(batch.query)
            logits = self.learner_base(self.stages.deep(layer3))
            return {"base": pixel_loss(logits, batch.query_labels.long())}
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


def gram_matrix(features: Tensor) -> Tensor:
    """Return the cosine of every two channels over the positions, (B, C, C), of maps (B, C, h, w); Eq. 8."""
    flat = features.flatten(2)
    norms = flat.norm(dim=2, keepdim=True)
    return torch.bmm(flat, flat.transpose(1, 2)) / (torch.bmm(norms, norms.transpose(1, 2)) + _EPS)


def scene_difference(query: Tensor, support: Tensor) -> Tensor:
    """Return how different two scenes are, (B,), at least 0: Frobenius norm of the difference of their Gram matrices.

    As released it is divided by the norm of a matrix of ones, which is C.
    """
    difference: Tensor = torch.linalg.matrix_norm(query - support)
    return difference / query.shape[-1]


def _weighted_sum() -> nn.Conv2d:
    """Return a weighted sum of two maps with initial weights 1 and 0."""
    merge = nn.Conv2d(2, 1, 1, bias=False)
    merge.weight = nn.Parameter(torch.tensor([1.0, 0.0]).view(1, 2, 1, 1))
    return merge


def _resize(logits: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(logits, size, mode="bilinear", align_corners=True)
