"""BAM: Lang et al., "Learning What Not to Segment: A New Perspective on Few-Shot Segmentation", CVPR 2022.

A base learner finds the classes seen in training, a meta learner the class of the support; their ensemble answers.
Facts from chunbolang/BAM at c0f935c, model/BAM.py and model/PSPNet.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones.folding import run
from fssbench.backbones.staged import staged
from fssbench.errors import UsageError
from fssbench.layers.aspp import ASPP
from fssbench.layers.enrichment import classifier
from fssbench.layers.losses import pixel_loss, segmentation_loss
from fssbench.layers.prior import KeptColumns, prior_mask
from fssbench.layers.pyramid_pooling import pyramid_head
from fssbench.methods.base.method import Prediction, TrainingBatch
from fssbench.methods.base.staged import QueryMaps, StagedMethod, StageMaps, decide_each

_REWEIGHTING_WIDTH = 2
"""kshot_trans_dim of every released configuration."""
_META_WEIGHT = 1.0
_BASE_WEIGHT = 1.0
"""aux_weight1 and aux_weight2 of every released configuration."""
_EPS = 1e-7


@dataclass(frozen=True, eq=False)
class BAMSupport:
    """What is kept of B support images.

    Attributes:
        prototype: Masked average of the reduced middle-level maps, (B, width, 1, 1), Eq. 5.
        layer4: layer4 of the masked maps, masked again, (B, C, h, w), or what is left of it; the prior is read from it.
        gram: Gram matrix of the unmasked layer2, (B, C, C), Eq. 8.
    """

    prototype: Tensor
    layer4: Tensor | KeptColumns
    gram: Tensor


@dataclass(frozen=True, eq=False)
class BAMLogits:
    """What the learners say of B queries, at the size of the query's map.

    Attributes:
        meta: Of the meta learner, (B, 2, h, w), raw, Eq. 7.
        base: Of the base learner, (B, base classes + 1, h, w), raw, Eq. 1.
        final: Of the ensemble, (B, 2, h, w), Eq. 11: weighted sums of probabilities, of which the larger decides.
    """

    meta: Tensor
    base: Tensor
    final: Tensor


class BAM(StagedMethod[BAMSupport]):
    """Base and meta learner.

    It is trained in two stages: "base" trains backbone and base learner to segment the base classes, "meta" trains the
    rest on episodes while these stay as they are. A method just built is as in stage "meta".

    Args:
        backbone: Name of the backbone.
        way: 1.
        shot: K; with more than one, K-shot reweighting has parameters of its own.
        base_classes: Number of the base classes of a fold: 15 on PASCAL-5i, 60 on COCO-20i.
        width: Channels of the meta learner.
        base_width: Channels of the base learner's classifier.

    Raises:
        UsageError: If there is no base class.
    """

    training_stages: ClassVar[tuple[str, ...]] = ("base", "meta")

    def __init__(
        self,
        backbone: str,
        way: int,
        shot: int,
        base_classes: int = 15,
        width: int = 256,
        base_width: int = 512,
    ) -> None:
        if base_classes < 1:
            raise UsageError(f"bam needs at least one base class, not {base_classes}")
        super().__init__(staged(backbone))
        self.task, self.way, self.shot = "fss", way, shot
        self.base_classes = base_classes
        layer2, layer3, layer4 = self.stages.channels
        self.learner_base = pyramid_head(layer4, base_classes + 1, base_width)
        self.down_query = _reduction(layer2 + layer3, width)
        self.down_supp = _reduction(layer2 + layer3, width)
        self.init_merge = _one_by_one(2 * width + 1, width)
        self.ASPP_meta = ASPP(width)
        self.res1_meta = _one_by_one(5 * width, width)
        self.res2_meta = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.ReLU(),
        )
        self.cls_meta = classifier(width)
        self.gram_merge = _first_of_two()
        self.cls_merge = _first_of_two()
        if shot > 1:
            self.kshot_rw = nn.Sequential(
                nn.Conv2d(shot, _REWEIGHTING_WIDTH, 1), nn.ReLU(), nn.Conv2d(_REWEIGHTING_WIDTH, shot, 1)
            )
        self._stage = "meta"
        self.enter_training_stage("meta")

    def enter_training_stage(self, stage: str) -> None:
        """Say which parameters a stage moves: "base" backbone and base learner, "meta" all others."""
        self._stage = stage
        for parameter in self.parameters():
            parameter.requires_grad = stage == "meta"
        for part in (self.stages, self.learner_base):
            part.requires_grad_(stage == "base")
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set training mode; in stage "meta" no batch norm moves its statistics (the release's fix_bn)."""
        super().train(mode)
        if self._stage == "base":
            self.stages.train(mode)
        else:
            # Quirk: the release keeps batch norm alone still; the base learner's dropout is on while it is frozen.
            for module in self.learner_base.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def condition(self, features: StageMaps, mask: Tensor) -> BAMSupport:
        """Return prototype, masked layer4 and Gram matrix of supports; 255 counts as background."""
        layer4 = self.masked_layer4(features, mask)
        return BAMSupport(self.prototype_of(self.down_supp, features, mask), layer4, gram_matrix(features.layer2))

    def as_query(self, features: StageMaps | QueryMaps) -> QueryMaps:
        """Return the reduced map, layer4 and Gram matrix of queries, and what the base learner says of them."""
        if isinstance(features, QueryMaps):
            return features
        return self._ready(features, run(self.down_query, _middle(features)))

    def _ready(self, maps: StageMaps, reduced: Tensor) -> QueryMaps:
        layer4, gram = self.layer4_of(maps), gram_matrix(maps.layer2)
        return QueryMaps(reduced, maps.size, layer4, base=self.base_logits(maps), gram=gram)

    def base_logits(self, maps: StageMaps) -> Tensor:
        """Return what the base learner says, (B, base classes + 1, h', w') raw at the size of layer4; computed once."""
        if maps.base is None:
            layer4 = self.layer4_of(maps)
            with torch.no_grad():
                maps.base = self.learner_base(layer4)
        return maps.base

    def score(self, query: StageMaps | QueryMaps, shots: Sequence[BAMSupport]) -> BAMLogits:
        """Return the logits of B episodes.

        Args:
            query: Maps of B queries.
            shots: The K supports of each.
        """
        return self._score(self.as_query(query), shots, None)

    def answers(
        self, query: QueryMaps, supports: Sequence[Sequence[BAMSupport]], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the answers to B episodes; logits as in `BAMLogits.final`, `base` what the base learner says."""
        said = self.score(query, supports[0])
        answers = decide_each(said.final, query.size, sizes)
        base = torch.split(_at(said.base, query.size), 1)
        return [
            replace(answer, base=_at(its, size)[0].argmax(dim=0).to(torch.uint8))
            for answer, its, size in zip(answers, base, sizes, strict=True)
        ]

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return the losses of the stage, each a cross entropy at the size of the query image.

        Stage "base": "base" (Eq. 2), over background and base classes. Stage "meta": "final" of the ensemble (Eq. 12),
        "meta" of the meta learner alone, and "base", which moves nothing: what it measures is frozen. The weight of the
        batch's foreground is for novel pixels, not for base classes.
        """
        if self._stage == "base":
            _, layer3 = self.stages.shallow(batch.query)
            logits = self.learner_base(self.stages.deep(layer3))
            return {"base": pixel_loss(logits, batch.query_labels.long())}
        # The order of the steps is the release's, which the dropout depends on.
        query = self.encode(batch.query)
        reduced = self.down_query(_middle(query))
        shots = [
            self.condition(self.encode(batch.supports[:, 0, k]), batch.support_masks[:, 0, k])
            for k in range(batch.supports.shape[2])
        ]
        said = self._score(self._ready(query, reduced), shots, batch.classes[:, 0])
        mask = batch.query_masks[:, 0]
        return {
            "final": segmentation_loss(said.final, mask, batch.foreground_weight),
            "meta": _META_WEIGHT * segmentation_loss(said.meta, mask, batch.foreground_weight),
            "base": _BASE_WEIGHT * pixel_loss(said.base, batch.query_labels.long()),
        }

    def _score(self, query: QueryMaps, shots: Sequence[BAMSupport], left_out: Tensor | None) -> BAMLogits:
        """Return the logits; `left_out` int64 (B,) is a base class of each query that does not count as one."""
        reduced, layer4, gram, said = query.reduced, query.layer4, query.gram, query.base
        if layer4 is None or gram is None or said is None:
            raise TypeError("these queries were made ready for another method")
        size = (reduced.shape[-2], reduced.shape[-1])
        differences = torch.stack([scene_difference(gram, its.gram) for its in shots], dim=1)
        weights = self._weights(differences)
        priors = torch.cat([prior_mask(layer4, its.layer4, size) for its in shots], dim=1)
        prior = (weights[:, :, None, None] * priors).sum(dim=1, keepdim=True)
        prototypes = torch.stack([its.prototype for its in shots], dim=1)
        prototype = (weights[:, :, None, None, None] * prototypes).sum(dim=1)
        merged = run(self.init_merge, torch.cat([reduced, prototype.expand_as(reduced), prior], dim=1))
        base = _at(said, size)
        context = run(self.res1_meta, self.ASPP_meta(merged))
        meta = run(self.cls_meta, run(self.res2_meta, context) + context)
        difference = (weights * differences).sum(dim=1)
        return BAMLogits(meta, base, self._ensemble(meta, base, difference, left_out))

    def _weights(self, differences: Tensor) -> Tensor:
        """Return the weight of each shot, (B, K), summing to 1: the more alike the scenes, the more it may count.

        K-shot reweighting reads the differences in rising order, so that it does not matter which shot comes first.
        """
        if self.shot == 1:
            return torch.ones_like(differences)
        rising, order = differences.sort(dim=1)
        scores: Tensor = self.kshot_rw(rising[:, :, None, None])[:, :, 0, 0]
        return scores.gather(1, order.argsort(dim=1)).softmax(dim=1)

    def _ensemble(self, meta: Tensor, base: Tensor, difference: Tensor, left_out: Tensor | None) -> Tensor:
        """Return the final map (B, 2, h, w), Eq. 9 to 11."""
        probabilities = base.softmax(dim=1)
        if left_out is not None:
            kept = torch.ones_like(probabilities[:, :, :1, :1])
            kept.scatter_(1, (left_out + 1).view(-1, 1, 1, 1), 0.0)
            probabilities = probabilities * kept
        base_classes = probabilities[:, 1:].sum(dim=1, keepdim=True)
        ground, object_ = torch.split(meta.softmax(dim=1), 1, dim=1)
        factor = difference.view(-1, 1, 1, 1).expand_as(ground)
        # The same two weights adjust both.
        ground = self.gram_merge(torch.cat([ground, factor], dim=1))
        object_ = self.gram_merge(torch.cat([object_, factor], dim=1))
        return torch.cat([self.cls_merge(torch.cat([ground, base_classes], dim=1)), object_], dim=1)


def gram_matrix(features: Tensor) -> Tensor:
    """Return the cosine of every two channels over the positions, (B, C, C), of maps (B, C, h, w); Eq. 8."""
    flat = features.flatten(2)
    norms = flat.norm(dim=2, keepdim=True)
    return torch.bmm(flat, flat.transpose(1, 2)) / (torch.bmm(norms, norms.transpose(1, 2)) + _EPS)


def scene_difference(query: Tensor, support: Tensor) -> Tensor:
    """Return how different two scenes are, (B,), from 0: Frobenius norm of the difference of their Gram matrices.

    As released it is divided by the norm of a matrix of ones, which is C.
    """
    difference: Tensor = torch.linalg.matrix_norm(query - support)
    return difference / query.shape[-1]


def _middle(maps: StageMaps) -> Tensor:
    return torch.cat([maps.layer3, maps.layer2], dim=1)


def _reduction(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, width, 1, bias=False), nn.ReLU(), nn.Dropout2d(0.5))


def _one_by_one(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, width, 1, bias=False), nn.ReLU())


def _first_of_two() -> nn.Conv2d:
    """Return a weighted sum of two maps that begins as the first of them."""
    merge = nn.Conv2d(2, 1, 1, bias=False)
    merge.weight = nn.Parameter(torch.tensor([1.0, 0.0]).view(1, 2, 1, 1))
    return merge


def _at(logits: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(logits, size, mode="bilinear", align_corners=True)
