"""SSP: Fan et al., "Self-Support Few-Shot Semantic Segmentation", ECCV 2022.

Facts from fanq15/SSP at df5bd49, model/SSP_matching.py and main.py. The names are the paper's: support prototypes,
self-support prototypes (SSP), adaptive self-support background prototypes (ASBP), self-support loss (SSL).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fssbench.backbones.signed import signed_stages
from fssbench.layers.losses import segmentation_loss
from fssbench.layers.masks import masked_average, resize_mask
from fssbench.methods.base.joint import FrozenNormsMethod
from fssbench.methods.base.method import Prediction, TrainingBatch
from fssbench.methods.base.staged import adopt, decide_each

_SCALE = 10.0
"""Cosines are multiplied by it."""
_EPS = 1e-5
_CONFIDENT = (0.6, 0.7)
"""A query position belongs to the self-support of background or foreground above this probability."""
_AT_LEAST = 12
"""If no position is above it, so many of the most probable ones do."""
_TEMPERATURE = 2.0
"""Affinities of the adaptive prototypes are cosines multiplied by it."""
_SUPPORT_WEIGHT = 0.2


@dataclass(frozen=True, eq=False)
class SSPMaps:
    """Embedded images: `features` (B, C, h, w), of either sign, of images of `size` (height, width)."""

    features: Tensor
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class SSPSupport:
    """What is kept of B support images: the prototypes (B, 2, C) of background and foreground."""

    prototypes: Tensor


class SSP(FrozenNormsMethod[SSPMaps, SSPSupport]):
    """Prototypes of the query itself, collected where the support's prototypes are sure, segment the query.

    There is no head: the convolutions of layer2 and layer3 are trained, and the batch norms stay as they are after
    ImageNet.

    Args:
        backbone: Name of the backbone.
        variant: "plain", one step of self-support as by the release's command line and in its evaluation by HSNet's
            episodes; "refine", a second step as in its results on PASCAL and in its scripts for them.
        way: 1.
        shot: K.
    """

    def __init__(self, backbone: str, variant: str, way: int, shot: int) -> None:
        super().__init__()
        self.task, self.way, self.shot = "fss", way, shot
        self.refine = variant == "refine"
        self._stages = adopt(self, signed_stages(backbone))
        for part in (*self._stages[0].frozen_parts(), *self.norms()):
            part.requires_grad_(requires_grad=False)

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a backbone's own weights under their names here."""
        return self._stages[0].from_imagenet(state)

    def encode(self, image: Tensor) -> SSPMaps:
        """Return the embedded images, which may be of any size; no gradient reaches the first stages."""
        height, width = image.shape[-2:]
        return SSPMaps(self._stages[0](image), (height, width))

    def condition(self, features: SSPMaps, mask: Tensor) -> SSPSupport:
        """Return the support prototypes, by masked average pooling (Eq. 1); pixels labelled 255 are in neither."""
        return SSPSupport(prototypes(features.features, mask))

    def predict_batch(
        self, query: SSPMaps, supports: Sequence[Sequence[SSPSupport]], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the predictions of B episodes: logits are scaled cosines, brought to the image's size first."""
        return decide_each(self.scores(query, supports[0])[0], query.size, sizes)

    def scores(self, query: SSPMaps, shots: Sequence[SSPSupport]) -> list[Tensor]:
        """Return the scaled cosines (B, 2, h, w) that are learnt from, the prediction first."""
        maps = query.features
        support = torch.stack([shot.prototypes for shot in shots]).mean(dim=0)[..., None, None]
        background, foreground = support[:, 0], support[:, 1]
        matched = matching(maps, background, foreground)

        own, around = self_support(maps, matched)
        # Quirk: of the support's background nothing enters the first step.
        once = 0.5 * foreground + 0.5 * own, around
        first = matching(maps, once[1], once[0])
        if not self.refine:
            return [first]

        own, around = self_support(maps, first)
        twice = 0.5 * foreground + 0.5 * own, around
        second = matching(
            maps,
            0.5 * background + 0.2 * once[1] + 0.3 * twice[1],
            0.5 * foreground + 0.2 * once[0] + 0.3 * twice[0],
        )
        return [0.7 * second + 0.3 * first, first]

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return "segmentation", "first step" (of "refine"), "self-support" and "support".

        Each is a cross entropy at the size of the images: of the prediction; of the first step's; of the query by the
        prototypes that its own mask gives (SSL); and of the supports by their own prototypes.
        """
        masks = batch.support_masks[:, 0].unbind(1)
        maps = [self.encode(images) for images in batch.supports[:, 0].unbind(1)]
        kept = [self.condition(*one) for one in zip(maps, masks, strict=True)]
        query, truth = self.encode(batch.query), batch.query_masks[:, 0]
        losses = {
            name: segmentation_loss(scores, truth, batch.foreground_weight)
            for name, scores in zip(("segmentation", "first step"), self.scores(query, kept), strict=False)
        }
        losses["self-support"] = segmentation_loss(by_own_mask(query, truth), truth, batch.foreground_weight)
        own = torch.cat([by_own_mask(*one) for one in zip(maps, masks, strict=True)])
        losses["support"] = _SUPPORT_WEIGHT * segmentation_loss(own, torch.cat(masks), batch.foreground_weight)
        return losses


def prototypes(features: Tensor, mask: Tensor) -> Tensor:
    """Return the mean features (B, 2, C) of background and foreground under a mask; 255 is in neither.

    Args:
        features: (B, C, h, w).
        mask: uint8 (B, H, W) in {0, 1, 255}; both sides are resized as soft masks.
    """
    sides = [resize_mask(mask == side, features) for side in (0, 1)]
    return torch.stack([masked_average(features, side, _EPS).flatten(1) for side in sides], dim=1)


def by_own_mask(maps: SSPMaps, mask: Tensor) -> Tensor:
    """Return the scaled cosines (B, 2, h, w) of images with the prototypes under their own masks (B, H, W)."""
    own = prototypes(maps.features, mask)[..., None, None]
    return matching(maps.features, own[:, 0], own[:, 1])


def matching(features: Tensor, background: Tensor, foreground: Tensor) -> Tensor:
    """Return the scaled cosines (B, 2, h, w) of features (B, C, h, w) with prototypes (B, C, 1, 1) or (B, C, h, w)."""
    cosines = [F.cosine_similarity(features, prototype, dim=1) for prototype in (background, foreground)]
    return torch.stack(cosines, dim=1) * _SCALE


def self_support(features: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return the self-support prototypes of foreground (B, C, 1, 1) and background (B, C, h, w).

    The foreground's is the mean of the positions that are surely foreground. The background is less alike from place to
    place: besides such a mean each position has its own prototype (ASBP), of which it is made of seven tenths.

    Args:
        features: Of the queries, (B, C, h, w).
        scores: Scaled cosines with background and foreground, (B, 2, h, w).
    """
    foregrounds, backgrounds = [], []
    for positions, probabilities in zip(features.flatten(2), torch.softmax(scores, dim=1).flatten(2), strict=True):
        outside, inside = (confident(positions, *one) for one in zip(probabilities, _CONFIDENT, strict=True))
        foregrounds.append(inside.mean(dim=1, keepdim=True))
        backgrounds.append(0.3 * outside.mean(dim=1, keepdim=True) + 0.7 * adaptive(positions, outside))
    return torch.stack(foregrounds)[..., None], torch.stack(backgrounds).view_as(features)


def confident(positions: Tensor, probability: Tensor, threshold: float) -> Tensor:
    """Return the features (C, n) of those positions (C, P) whose probability (P,) is above the threshold.

    If none is, they are those of the most probable ones.
    """
    sure = probability > threshold
    if sure.any():
        return positions[:, sure]
    return positions[:, torch.topk(probability, min(_AT_LEAST, len(probability))).indices]


def adaptive(positions: Tensor, chosen: Tensor) -> Tensor:
    """Return for each of P positions (C, P) a mean (C, P) of n chosen ones (C, n), weighted by affinity (Eq. 5)."""
    affinity = F.normalize(positions, dim=0, eps=0.0).T @ F.normalize(chosen, dim=0, eps=0.0)
    return chosen @ torch.softmax(_TEMPERATURE * affinity, dim=1).T
