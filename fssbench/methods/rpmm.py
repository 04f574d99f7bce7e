"""RPMMs: Yang et al., "Prototype Mixture Models for Few-shot Semantic Segmentation", ECCV 2020.

Facts from Yang-Bob/PMMs at 100d66b, networks/FRPMMs.py, models/PMMs.py, models/ASPP.py and train.py.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones import backbone as build_backbone
from fssbench.backbones.atrous import deeplab_dilated
from fssbench.layers.aspp import ASPP
from fssbench.layers.losses import label_loss
from fssbench.layers.masks import foreground, resize_mask
from fssbench.methods.base.joint import JointMethod
from fssbench.methods.base.method import Prediction, TrainingBatch

_KAPPA = 20.0
"""kappa, the concentration of the vector distance."""
_ITERATIONS = 10
_COMPONENTS = (1, 3, 6)
"""K, the prototypes of each of the residual stages."""
_EPS = 1e-6
_DROPOUT = 0.5


@dataclass(frozen=True, eq=False)
class RPMMMaps:
    """Embedded images: `features` (B, width, h, w), after a ReLU."""

    features: Tensor


@dataclass(frozen=True, eq=False)
class RPMMSupport:
    """What is kept of B support images.

    Attributes:
        features: (B, width, h, w), S in the paper.
        mask: The mask at their size, (B, 1, h, w) in [0, 1].
    """

    features: Tensor
    mask: Tensor


class RPMM(JointMethod[RPMMMaps, RPMMSupport]):
    """Residual prototype mixture models: mixtures of 1, 3 and 6 prototypes, each stage refining the last one's mask.

    The release draws the first prototypes of each mixture anew in each forward pass, from a generator that nothing
    seeds, so that the same episode gets other predictions. In evaluation they are drawn here once and for all
    (`first_prototypes`), from the same distribution; in training they are drawn as in the release.

    Args:
        backbone: "resnet50"; "resnet101", which the release has without using it; or "small".
        way: 1.
        shot: K; all shots make one mixture.
        width: Channels of the head.
    """

    def __init__(self, backbone: str, way: int, shot: int, width: int = 256) -> None:
        super().__init__()
        self.task, self.way, self.shot = "fss", way, shot
        if backbone == "small":
            self.backbone = build_backbone(backbone)
            inputs = self.backbone.channels[1] + self.backbone.channels[3]
        else:
            self.model_res = deeplab_dilated(backbone)
            inputs = 512 + 1024
        self.layer5 = nn.Sequential(
            nn.Conv2d(inputs, width, 3, padding=2, dilation=2), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.layer55 = _block(2 * width, width, dilation=2)
        self.layer56 = _block(width + 2, width)
        self.layer6 = ASPP(width, _DROPOUT)
        for part in self.layer6.modules():
            if isinstance(part, nn.Conv2d):
                part.reset_parameters()  # torch's own first weights, as all of this network has
        self.layer7 = nn.Sequential(nn.Conv2d(5 * width, width, 1), nn.ReLU(), nn.Dropout2d(_DROPOUT))
        self.layer9 = nn.Conv2d(width, 2, 1)
        self.residule1, self.residule2, self.residule3 = (_residual(width + more, width) for more in (2, 0, 0))

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a backbone's own weights under their names here; layer4 and the classifier are left out."""
        if hasattr(self, "backbone"):
            return super().from_imagenet(state)
        return {f"model_res.{key}": value for key, value in state.items() if not key.startswith(("layer4.", "fc."))}

    # Section 3.1: a network of two branches that share their weights.

    def encode(self, image: Tensor) -> RPMMMaps:
        """Return layer2 and layer3 side by side, reduced, of images float32 (B, 3, H, W)."""
        if hasattr(self, "backbone"):
            _, layer2, _, layer3, *_ = self.backbone(image)
            both = F.relu(torch.cat([layer2, layer3], dim=1))
        else:
            _, layer2, layer3 = self.model_res(image)
            both = torch.cat([layer2, layer3], dim=1)
        return RPMMMaps(self.layer5(both))

    def condition(self, features: RPMMMaps, mask: Tensor) -> RPMMSupport:
        """Return features and mask of supports; pixels labelled 255 count as background."""
        maps = features.features
        return RPMMSupport(maps, resize_mask(foreground(mask), maps).to(maps.dtype))

    # Section 3.2: prototype mixture models, learned by expectation maximisation.

    def mixture(self, samples: Tensor, first: Tensor) -> Tensor:
        """Return the prototypes mu (B, K, C) of samples s (B, C, n), without a gradient.

        The distribution of a component is exp(kappa mu^T s), up to a constant; s is not normalised, mu is.

        Args:
            samples: Positions out of the mask are zero vectors: they take part in each component alike, and add nothing
                to its mean.
            first: The prototypes that it begins with, (1, C, K).
        """
        with torch.no_grad():
            mu = _unit(first.to(samples)).expand(len(samples), -1, -1)
            for _ in range(_ITERATIONS):
                # E-step: how much of a sample is of each component.
                share = torch.softmax(_KAPPA * samples.transpose(1, 2) @ mu, dim=2)
                # M-step: the mean of the samples, weighted by their shares, as a unit vector.
                mu = _unit(samples @ (share / (_EPS + share.sum(dim=1, keepdim=True))))
        return mu.transpose(1, 2)

    def first_prototypes(self, channels: int, count: int) -> Tensor:
        """Return the prototypes (1, C, K) that expectation maximisation begins with: normal, variance 2 / K.

        In training from torch's generator. In evaluation always the same, from a generator seeded by the CRC-32 of the
        name "pmms_init_mu.K". Foreground and background begin with the same ones, as in the release.
        """
        scale = math.sqrt(2.0 / count)
        if self.training:
            return torch.empty(1, channels, count).normal_(0.0, scale)
        draw = np.random.Generator(np.random.PCG64(zlib.crc32(f"pmms_init_mu.{count}".encode())))
        return torch.from_numpy(scale * draw.standard_normal((1, channels, count)))

    def mixtures(self, supports: Sequence[RPMMSupport], count: int) -> tuple[Tensor, Tensor]:
        """Return mu+ of the foreground and mu- of the background (B, K, C), all shots of a class in one."""
        features = torch.cat([shot.features.flatten(2) for shot in supports], dim=2)
        mask = torch.cat([shot.mask.flatten(2) for shot in supports], dim=2)
        first = self.first_prototypes(features.shape[1], count)
        return self.mixture(mask * features, first), self.mixture((1.0 - mask) * features, first)

    # Section 3.3: prototypes as representation (P-Match) and as classifiers (P-Conv).

    def matches(self, query: Tensor, prototypes: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yield for each mixture the query (B, C, h, w) activated by its foreground prototypes (B, K, C), summed."""
        return (self._match(query, mixture) for mixture in prototypes)

    def _match(self, query: Tensor, prototypes: Tensor) -> Tensor:
        tiled = prototypes[..., None, None].expand(*prototypes.shape, *query.shape[-2:])
        # Quirk: the sum over the prototypes, not their mean.
        return torch.stack([self.layer55(torch.cat([query, each], dim=1)) for each in tiled.unbind(dim=1)]).sum(dim=0)

    def probability(self, query: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the probability map (B, 2, h, w), background first, of prototypes as 1x1 convolutions; no gradient.

        Args:
            query: (B, C, h, w).
            positive: mu+ of the foreground, (B, K, C).
            negative: mu- of the background, (B, K, C).
        """
        with torch.no_grad():
            both = torch.cat([positive, negative], dim=1)
            # Without kappa, unlike the mixture itself.
            shares = torch.softmax(torch.einsum("bkc,bchw->bkhw", both, query), dim=1)
            inside, outside = (part.sum(dim=1) for part in torch.split(shares, positive.shape[1], dim=1))
            return torch.stack([outside, inside], dim=1)

    # Section 3.4: residual prototype mixture models.

    def stages(self, query: Tensor, supports: Sequence[RPMMSupport]) -> list[Tensor]:
        """Return the raw logits (B, 2, h, w), background first, of each stage; all stages share their weights.

        Args:
            query: Features of B queries, (B, C, h, w).
            supports: Of each of K shots, of B episodes.
        """
        mixtures = [self.mixtures(supports, count) for count in _COMPONENTS]
        matches = self.matches(query, [positive for positive, _ in mixtures])
        history = query.new_zeros(len(query), 2, *query.shape[-2:])
        found = []
        for (positive, negative), matched in zip(mixtures, matches, strict=True):
            seen = torch.cat([matched, self.probability(query, positive, negative)], dim=1)
            logits = self.segmentation(self.layer56(seen), history)
            history = torch.softmax(logits, dim=1)
            found.append(logits)
        return found

    def segmentation(self, activated: Tensor, history: Tensor) -> Tensor:
        """Return raw logits (B, 2, h, w) of an activated query and the mask (B, 2, h, w) of the stage before."""
        x = activated + self.residule1(torch.cat([activated, history], dim=1))
        x = x + self.residule2(x)
        x = x + self.residule3(x)
        logits: Tensor = self.layer9(self.layer7(self.layer6(x)))
        return logits

    def predict_batch(
        self, query: RPMMMaps, supports: Sequence[Sequence[RPMMSupport]], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the predictions of B episodes, each at its own size, to which logits are brought at once.

        With one shot they are the raw logits of the last stage. Quirk: with more they are the sum of the probabilities
        of the three stages, divided by 5.
        """
        stages = self.stages(query.features, supports[0])
        scores = stages[-1]
        if len(supports[0]) > 1:
            scores = torch.stack([torch.softmax(logits, dim=1) for logits in stages]).sum(dim=0) / 5
        return [_decided(alone, size) for alone, size in zip(torch.split(scores, 1), sizes, strict=True)]

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return "stage1", "stage2" and "stage3": cross entropy of each stage's logits at the size of the masks.

        Prototypes and probabilities carry no gradient, so that the reduction learns from queries alone.
        """
        # Supports come first, as the running statistics of batch norm see them.
        shots = zip(batch.supports[:, 0].unbind(1), batch.support_masks[:, 0].unbind(1), strict=True)
        supports = [self.condition(self.encode(images), masks) for images, masks in shots]
        query = self.encode(batch.query).features
        losses = {}
        for number, logits in enumerate(self.stages(query, supports), start=1):
            resized = F.interpolate(logits, batch.query_masks.shape[-2:], mode="bilinear", align_corners=False)
            losses[f"stage{number}"] = label_loss(resized, batch.query_masks, batch.foreground_weight)
        return losses


def _unit(vectors: Tensor) -> Tensor:
    lengths: Tensor = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return vectors / (_EPS + lengths)


def _block(inputs: int, outputs: int, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation), nn.ReLU(), nn.Dropout2d(_DROPOUT)
    )


def _residual(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ReLU(), nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)
    )


def _decided(scores: Tensor, size: tuple[int, int]) -> Prediction:
    logits = F.interpolate(scores, size, mode="bilinear", align_corners=False)[0]
    labels = logits.argmax(dim=0).to(torch.uint8)
    return Prediction(logits, labels, (labels == 1).any().view(1))
