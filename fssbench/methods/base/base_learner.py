"""What BAM and later methods with its base learner share: the ensemble of two learners, and two stages of training.

Lang et al., "Learning What Not to Segment: A New Perspective on Few-Shot Segmentation", CVPR 2022, sections 4.1, 4.3
and 4.4; facts from chunbolang/BAM at c0f935c, model/BAM.py.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, Self, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones.staged import StagedBackbone
from fssbench.errors import UsageError
from fssbench.layers.losses import pixel_loss
from fssbench.methods.base.method import Prediction, TrainingBatch
from fssbench.methods.base.staged import StagedMethod, decide_each

_REWEIGHTING_WIDTH = 2
"""kshot_trans_dim in every released configuration."""
_EPS = 1e-7


class Sized(Protocol):
    """A query of such a method; `size` is the (height, width) of its images."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the images."""


Query = TypeVar("Query", bound=Sized)
Support = TypeVar("Support")


@dataclass(frozen=True, eq=False)
class LearnerLogits:
    """The maps of the learners for B queries, at the size of the query's map.

    Attributes:
        meta: Of the meta learner, (B, 2, h, w), raw, Eq. 7.
        base: Of the base learner, (B, base classes + 1, h, w), raw, Eq. 1.
        final: Of the ensemble, (B, 2, h, w), Eq. 11: weighted sums of probabilities; the larger gives the label.
    """

    meta: Tensor
    base: Tensor
    final: Tensor


class BaseLearnerMethod(StagedMethod[Query, Support]):
    """A meta learner that a base learner tells what not to segment.

    It is trained in two stages. Stage "base" trains the backbone and the base learner to segment the base classes.
    Stage "meta" trains the rest on episodes, while these are frozen. After `begin` a method is in stage "meta".

    Args:
        stages: The backbone.
        shot: K; with more than one, K-shot reweighting has its own parameters.
        base_classes: Number of the base classes of a fold.

    Raises:
        UsageError: If there is no base class.
    """

    training_stages: ClassVar[tuple[str, ...]] = ("base", "meta")

    def __init__(self, stages: StagedBackbone, shot: int, base_classes: int) -> None:
        if base_classes < 1:
            raise UsageError(f"{type(self).__name__.lower()} needs at least one base class, not {base_classes}")
        super().__init__(stages)
        self.task, self.way, self.shot = "fss", 1, shot
        self.base_classes = base_classes

    def begin(self) -> None:
        """Add the ensemble, after the method has made its learners, and enter stage "meta"."""
        self.gram_merge = _weighted_sum()
        self.cls_merge = _weighted_sum()
        if self.shot > 1:
            self.kshot_rw = nn.Sequential(
                nn.Conv2d(self.shot, _REWEIGHTING_WIDTH, 1), nn.ReLU(), nn.Conv2d(_REWEIGHTING_WIDTH, self.shot, 1)
            )
        self._stage = "meta"
        self.enter_training_stage("meta")

    # The base learner.

    @property
    @abstractmethod
    def base_parts(self) -> tuple[nn.Module, ...]:
        """The modules of the base learner, which follow the backbone."""

    @abstractmethod
    def base_logits(self, layer4: Tensor) -> Tensor:
        """Return the base learner's logits (B, base classes + 1, h', w'), Eq. 1, of layer4."""

    # The ensemble.

    def ensemble(self, meta: Tensor, base: Tensor, difference: Tensor, left_out: Tensor | None = None) -> Tensor:
        """Return the final map (B, 2, h, w), Eq. 9 to 11.

        Args:
            meta: Raw logits of the meta learner, (B, 2, h, w).
            base: From `base_logits`, at the size of `meta`.
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
        return self.sorted_weights(rising).gather(1, order.argsort(dim=1)).softmax(dim=1)

    def sorted_weights(self, rising: Tensor) -> Tensor:
        """Return the raw weights (B, K) of shots whose differences (B, K) are sorted, the smallest first."""
        weights: Tensor = self.kshot_rw(rising[:, :, None, None])[:, :, 0, 0]
        return weights

    @abstractmethod
    def score(self, query: Query, shots: Sequence[Support], left_out: Tensor | None = None) -> LearnerLogits:
        """Return the logits of B episodes.

        Args:
            query: What the head needs of B queries.
            shots: The K supports of each.
            left_out: See `ensemble`.
        """

    def predict_batch(
        self, query: Query, supports: Sequence[Sequence[Support]], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the predictions of B episodes: logits are `LearnerLogits.final`, `base` is from the base learner."""
        logits = self.score(query, supports[0])
        decided = decide_each(logits.final, query.size, sizes)
        base = torch.split(resize_logits(logits.base, query.size), 1)
        return [
            replace(prediction, base=resize_logits(found, size)[0].argmax(dim=0).to(torch.uint8))
            for prediction, found, size in zip(decided, base, sizes, strict=True)
        ]

    # Training.

    def enter_training_stage(self, stage: str) -> None:
        """Set which parameters a stage trains: "base" backbone and base learner, "meta" all others."""
        self._stage = stage
        for parameter in self.parameters():
            parameter.requires_grad = stage == "meta"
        for part in (self.stages, *self.base_parts):
            part.requires_grad_(stage == "base")
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set training mode; in stage "meta" no batch norm updates its statistics (the release's fix_bn)."""
        super().train(mode)
        if self._stage == "base":
            self.stages.train(mode)
        else:
            # Quirk: the release freezes batch norm only; the dropout of the frozen base learner is active.
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def base_losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return the loss of stage "base" (Eq. 2): a cross entropy over background and base classes."""
        _, layer3 = self.stages.shallow(batch.query)
        return {"base": pixel_loss(self.base_logits(self.stages.deep(layer3)), batch.query_labels.long())}


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


def resize_logits(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Return logits (B, C, h, w) at another size, bilinear with aligned corners."""
    return F.interpolate(logits, size, mode="bilinear", align_corners=True)


def _weighted_sum() -> nn.Conv2d:
    """Return a weighted sum of two maps with initial weights 1 and 0."""
    merge = nn.Conv2d(2, 1, 1, bias=False)
    merge.weight = nn.Parameter(torch.tensor([1.0, 0.0]).view(1, 2, 1, 1))
    return merge
