"""HDMNet: Peng et al., "Hierarchical Dense Correlation Distillation for Few-Shot Segmentation", CVPR 2023.

Facts from Pbihao/HDMNet at 39ec8b2, model/HDMNet.py and model/Transformer.py. Its base learner and its ensemble are
BAM's. Query and support each pass a hierarchy of self-attention stages on their own; then they are matched at every
stage, from coarse to fine. In training the correlation of a coarser stage teaches that of the next finer one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones.staged import staged
from fssbench.errors import UsageError
from fssbench.layers.decoupled_matching import HEADS, SIMILARITIES, Matcher
from fssbench.layers.enrichment import conv1x1, reduction
from fssbench.layers.losses import pixel_loss, segmentation_loss
from fssbench.layers.masks import foreground, masked_average, resize_mask
from fssbench.layers.prior import most_similar
from fssbench.layers.pyramid_pooling import pyramid_head
from fssbench.methods.base.base_learner import (
    BaseLearnerMethod,
    LearnerLogits,
    gram_matrix,
    resize_logits,
    scene_difference,
)
from fssbench.methods.base.joint import by_shot
from fssbench.methods.base.method import TrainingBatch
from fssbench.methods.base.staged import StageMaps

SIMILARITY_SCALE = 10.0
_OUTSIDE = -1e9
_LOG_EPS = 1e-12


@dataclass(frozen=True, eq=False)
class HDMNetQuery:
    """What the head needs of B queries.

    Attributes:
        reduced: The reduced middle-level maps, (B, width, h, w).
        layer4: layer4, (B, C, h', w').
        pooled: The base learner's map before its last ReLU and classifier, (B, base width, h', w').
        gram: Gram matrix of layer2, (B, C, C).
        size: (height, width) of the images.
    """

    reduced: Tensor
    layer4: Tensor
    pooled: Tensor
    gram: Tensor
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class HDMNetSupport:
    """What is kept of B support images, all of it from images with zero background.

    Attributes:
        prototype: Masked average of the reduced middle-level maps, (B, width, 1, 1).
        layer4: layer4, masked again, (B, C, h', w').
        pooled: The base learner's map, masked, (B, base width, h', w').
        gram: Gram matrix of layer2, (B, C, C).
        stages: The map of each stage of the hierarchy, finest first, (B, token width, h_i, w_i).
        insides: The foreground at the size of each of them, (B, 1, h_i, w_i) in {0, 1}.
    """

    prototype: Tensor
    layer4: Tensor
    pooled: Tensor
    gram: Tensor
    stages: tuple[Tensor, ...]
    insides: tuple[Tensor, ...]


class HDMNet(BaseLearnerMethod[HDMNetQuery, HDMNetSupport]):
    """Hierarchically decoupled matching network with BAM's base learner.

    It is trained in two stages, as BAM: the release takes the first one, the base learner's, from BAM.

    Args:
        backbone: Name of the backbone.
        way: 1.
        shot: K; with more than one, K-shot reweighting has its own parameters.
        base_classes: Number of the base classes of a fold: 15 on PASCAL-5i, 60 on COCO-20i.
        width: Channels of the reduced maps.
        base_width: Channels of the base learner's classifier.
        token_width: Channels of the maps that are matched, a multiple of 8.

    Raises:
        UsageError: If there is no base class, or the heads cannot divide the channels.
    """

    def __init__(
        self,
        backbone: str,
        way: int,
        shot: int,
        base_classes: int = 15,
        width: int = 256,
        base_width: int = 512,
        token_width: int = 64,
    ) -> None:
        if token_width < 1 or token_width % max(HEADS):
            raise UsageError(
                f"token_width is divided into {max(HEADS)} heads; {token_width} can't be", "token_width=64"
            )
        super().__init__(staged(backbone), shot, base_classes)
        layer2, layer3, layer4 = self.stages.channels
        self.ppm, classifier = pyramid_head(layer4, base_classes + 1, base_width)
        # The release divides BAM's classifier between its norm and its ReLU.
        convolution, norm, *rest = classifier.children()
        self.cls, self.base_learnear = nn.Sequential(convolution, norm), nn.Sequential(*rest)
        self.down_supp = reduction(layer2 + layer3, width)
        self.down_query = reduction(layer2 + layer3, width)
        self.query_merge = conv1x1(2 * width + SIMILARITIES, token_width)
        self.supp_merge = conv1x1(2 * width, token_width)
        self.transformer = nn.ModuleDict({"mix_transformer": Matcher(token_width)})
        self.begin()

    @property
    def base_parts(self) -> tuple[nn.Module, ...]:
        """The base learner: pyramid pooling and the two parts of its classifier."""
        return self.ppm, self.cls, self.base_learnear

    @property
    def matcher(self) -> Matcher:
        """The matching network."""
        return cast("Matcher", self.transformer["mix_transformer"])

    # The features of an image; no gradient.

    def encode(self, image: Tensor) -> Tensor:  # type: ignore[override]
        """Return images as they are: those of supports are masked before they enter the backbone."""
        return image

    def maps_of(self, images: Tensor) -> StageMaps:
        """Return the maps of images, (B, 3, H, W)."""
        return super().encode(images)

    def pooled_of(self, layer4: Tensor) -> Tensor:
        """Return the base learner's map (B, base width, h', w'), without its last ReLU and classifier."""
        with torch.no_grad():
            pooled: Tensor = self.cls(self.ppm(layer4))
            return pooled

    def base_logits(self, layer4: Tensor) -> Tensor:
        """Return the base learner's logits (B, base classes + 1, h', w') of layer4."""
        logits: Tensor = self.base_learnear(self.cls(self.ppm(layer4)))
        return logits

    def condition(self, features: Tensor, mask: Tensor) -> HDMNetSupport:
        """Return what is kept of support images; 255 counts as background."""
        inside = foreground(mask)
        # The image is normalised: its background becomes the mean colour.
        maps = self.maps_of(features * inside[:, None])
        reduced = self.down_supp(maps.middle)
        prototype = masked_average(reduced, resize_mask(inside, reduced))
        merged = self.supp_merge(torch.cat([reduced, prototype.expand_as(reduced)], dim=1))
        layer4 = self.layer4_of(maps)
        kept = nearest(inside, layer4)
        stages = self.matcher.hierarchy(merged)
        return HDMNetSupport(
            prototype,
            layer4 * kept,
            self.pooled_of(layer4) * kept,
            gram_matrix(maps.layer2),
            stages,
            tuple(nearest(inside, stage) for stage in stages),
        )

    def prepare_query(self, features: Tensor | HDMNetQuery) -> HDMNetQuery:  # type: ignore[override]
        """Return what the head needs of query images."""
        if isinstance(features, HDMNetQuery):
            return features
        return self.read_query(self.maps_of(features))

    def read_query(self, maps: StageMaps) -> HDMNetQuery:
        """Return what the head needs of queries."""
        layer4 = self.layer4_of(maps)
        reduced = self.down_query(maps.middle)
        return HDMNetQuery(reduced, layer4, self.pooled_of(layer4), gram_matrix(maps.layer2), maps.size)

    # One episode.

    def similarity(self, query: HDMNetQuery, shots: Sequence[HDMNetSupport]) -> Tensor:
        """Return the prior masks (B, 2, h, w), by the base learner's map and by layer4, each the mean of K supports.

        They are PFENet's, as cosines: they are not scaled to [0, 1].
        """
        pairs = [[most_similar(query.pooled, shot.pooled), most_similar(query.layer4, shot.layer4)] for shot in shots]
        mean = torch.stack([torch.stack(pair, dim=1) for pair in pairs]).mean(dim=0)
        similarity = mean.view(*mean.shape[:2], *query.layer4.shape[-2:])
        return resize_logits(similarity, (query.reduced.shape[-2], query.reduced.shape[-1]))

    def meta_learner(self, query: HDMNetQuery, shots: Sequence[HDMNetSupport]) -> tuple[Tensor, list[Tensor]]:
        """Return the meta learner's raw logits (B, 2, h, w), and the correlation maps of `Matcher.match`."""
        similarity = self.similarity(query, shots)
        prototype = torch.stack([shot.prototype for shot in shots]).mean(dim=0).expand_as(query.reduced)
        merged = self.query_merge(torch.cat([query.reduced, prototype, similarity * SIMILARITY_SCALE], dim=1))
        return self.matcher.match(
            self.matcher.hierarchy(merged),
            [shot.stages for shot in shots],
            [shot.insides for shot in shots],
            similarity,
        )

    def score(
        self, query: Tensor | HDMNetQuery, shots: Sequence[HDMNetSupport], left_out: Tensor | None = None
    ) -> LearnerLogits:
        """Return the logits of B episodes; see `BaseLearnerMethod.score`."""
        return self._scored(self.prepare_query(query), shots, left_out)[0]

    def _scored(
        self, query: HDMNetQuery, shots: Sequence[HDMNetSupport], left_out: Tensor | None
    ) -> tuple[LearnerLogits, list[Tensor]]:
        meta, correlations = self.meta_learner(query, shots)
        base = resize_logits(self.base_learnear(query.pooled), (meta.shape[-2], meta.shape[-1]))
        differences = torch.stack([scene_difference(query.gram, shot.gram) for shot in shots], dim=1)
        # Unlike BAM's, the weights of the shots are used for the difference of the scenes alone.
        difference = (self.shot_weights(differences) * differences).sum(dim=1)
        return LearnerLogits(meta, base, self.ensemble(meta, base, difference, left_out)), correlations

    def shot_weights(self, differences: Tensor) -> Tensor:
        """Return weights of K shots, (B, K), summing to 1; see `BaseLearnerMethod.shot_weights`.

        Quirk: the release sorts the differences, but not the weights back: the first shot has the weight of the most
        similar scene, and so on, so that the order of the shots matters.
        """
        if self.shot == 1:
            return torch.ones_like(differences)
        return self.sorted_weights(differences.sort(dim=1).values).softmax(dim=1)

    # Training.

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return the losses of the stage.

        Stage "base" is BAM's. Stage "meta": "final" and "meta" are cross entropies of the ensemble and of the meta
        learner at the size of the query image, "distillation" is the mean of `distillation_loss` over the stages, and
        "base" has no effect because the base learner is frozen.
        """
        if self._stage == "base":
            return self.base_losses(batch)
        query = self.prepare_query(self.encode(batch.query))
        shots = self._conditioned(batch.supports[:, 0], batch.support_masks[:, 0])
        logits, correlations = self._scored(query, shots, left_out=batch.classes[:, 0])
        mask = batch.query_masks[:, 0]
        # Quirk: the background of the first teacher is not resized as a mask is, but as a number far below 0.
        teacher = torch.where(mask == 1, 1.0, _OUTSIDE).to(correlations[0].dtype)
        distilled = [distillation_loss(*pair) for pair in pairwise([teacher, *correlations])]
        return {
            "final": segmentation_loss(logits.final, mask, batch.foreground_weight),
            "meta": segmentation_loss(logits.meta, mask, batch.foreground_weight),
            "distillation": torch.stack(distilled).mean(),
            "base": pixel_loss(logits.base, batch.query_labels.long()),
        }

    def _conditioned(self, images: Tensor, masks: Tensor) -> list[HDMNetSupport]:
        """Return K supports of B episodes from images (B, K, 3, H, W), which pass the network all at once."""
        every = self.condition(self.encode(images.flatten(0, 1)), masks.flatten(0, 1))
        return by_shot(every, images.shape[1])


def distillation_loss(teacher: Tensor, student: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence of two correlation maps, each a softmax over all positions; a scalar.

    Args:
        teacher: (B, h', w'), resized to the student's size; no gradient flows to it.
        student: (B, h, w).
    """
    teacher = teacher.detach()
    if teacher.shape != student.shape:
        teacher = F.interpolate(teacher[:, None], student.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    target, found = teacher.flatten(1).softmax(dim=1), student.flatten(1).softmax(dim=1)
    divergence = target * ((target + _LOG_EPS).log() - (found + _LOG_EPS).log())
    return divergence.sum(dim=1).mean()


def nearest(inside: Tensor, like: Tensor) -> Tensor:
    """Return a foreground (B, H, W) at the size of a map, (B, 1, h, w) in {0, 1}: each position takes one pixel."""
    return F.interpolate(inside[:, None], like.shape[-2:], mode="nearest")
