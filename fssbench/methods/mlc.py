"""MLC: Yang et al., "Mining Latent Classes for Few-shot Segmentation", ICCV 2021.

What was released is the paper's baseline, LiheYoung/MiningFSS at 616db51 (model/matching.py, main.py), and that is what
stands here: metric learning on a backbone. The two things that the paper adds, a second branch in training on classes
mined from the background and the rectification of prototypes with other images, have no code, and are not here. So its
numbers are those of the rows "MLC: baseline", not of the paper's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fssbench.backbones.signed import signed
from fssbench.layers.losses import segmentation_loss
from fssbench.layers.masks import gathering_weights
from fssbench.methods.base.joint import FrozenNormsMethod
from fssbench.methods.base.method import Prediction, TrainingBatch
from fssbench.methods.base.staged import decide_each

_SCALE = 10.0
"""Cosines are multiplied by it."""
_EPS = 1e-5


@dataclass(frozen=True, eq=False)
class MLCMaps:
    """Embedded images: `features` (B, C, h, w), of either sign, of images of `size` (height, width)."""

    features: Tensor
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class MLCSupport:
    """What is kept of B support images: the prototypes (B, 2, C) of background and foreground."""

    prototypes: Tensor


class MLC(FrozenNormsMethod[MLCMaps, MLCSupport]):
    """The baseline of the paper: a query position is of the nearer of two prototypes.

    Three changes to the usual metric learning make it: no fourth stage, no last ReLU, and batch norms that stay as they
    are after ImageNet. There is no head: all convolutions of the backbone are trained. Of its 8.7 M parameters, which
    the release prints and the papers quote, the batch norms' are not moved.

    Args:
        backbone: Name of the backbone.
        variant: "baseline", the one form that there is.
        way: 1.
        shot: K.
    """

    def __init__(self, backbone: str, variant: str, way: int, shot: int) -> None:
        del variant
        super().__init__()
        self.task, self.way, self.shot = "fss", way, shot
        self.backbone = signed(backbone)
        for module in self.norms():
            module.requires_grad_(requires_grad=False)

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a backbone's own weights under their names here."""
        return super().from_imagenet(self.backbone.from_imagenet(state))

    def encode(self, image: Tensor) -> MLCMaps:
        """Return the embedded images, which may be of any size."""
        height, width = image.shape[-2:]
        return MLCMaps(self.backbone(image), (height, width))

    def condition(self, features: MLCMaps, mask: Tensor) -> MLCSupport:
        """Return the prototypes by masked average pooling; pixels labelled 255 are in neither.

        The features go up to the mask's size (bilinear, corners aligned), not the mask down to theirs.
        """
        both = torch.stack([mask == 0, mask == 1], dim=1).to(features.features.dtype)
        weights = gathering_weights(both, features.features, align_corners=True)
        sums = torch.einsum("bkhw,bchw->bkc", weights, features.features)
        return MLCSupport(sums / (both.sum(dim=(2, 3)) + _EPS)[..., None])

    def score(self, query: MLCMaps, shots: Sequence[MLCSupport]) -> Tensor:
        """Return 10 times the cosines (B, 2, h, w) with background and foreground; prototypes are means over shots."""
        prototypes = torch.stack([shot.prototypes for shot in shots]).mean(dim=0)
        return F.cosine_similarity(query.features[:, None], prototypes[..., None, None], dim=2) * _SCALE

    def predict_batch(
        self, query: MLCMaps, supports: Sequence[Sequence[MLCSupport]], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the predictions of B episodes: logits are the scaled cosines, brought to the image's size first."""
        return decide_each(self.score(query, supports[0]), query.size, sizes)

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return "segmentation": the cross entropy of the queries at their own size."""
        shots = [
            self.condition(self.encode(batch.supports[:, 0, k]), batch.support_masks[:, 0, k])
            for k in range(batch.supports.shape[2])
        ]
        scores = self.score(self.encode(batch.query), shots)
        return {"segmentation": segmentation_loss(scores, batch.query_masks[:, 0], batch.foreground_weight)}
