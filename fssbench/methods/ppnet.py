"""PPNet: Liu et al., "Part-aware Prototype Network for Few-shot Semantic Segmentation", ECCV 2020.

Facts from Xiangyi1996/PPNet-PyTorch at c23985f, models/FewShotSegPartResnet.py, util/kmeans.py and train_fewshot.py.

This is the part-aware prototype network, "+ PAP" in the release's README. Two parts of the paper are left out:

- The graph that refines prototypes with unlabelled images ("+ UD"): it needs further images of each class and their
  superpixels when it predicts, which the episodes of a benchmark do not have. The paper's main tables are of the form
  with it, so its numbers are not those of this one.
- The semantic branch ("+ SEM"), a classifier of base classes that is used in training alone. It takes the labels of all
  base classes in the supports, and the release's model with it has 0.5 in place of 0.8 below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fssbench.backbones import backbone as build_backbone
from fssbench.backbones.atrous import torchvision_dilated
from fssbench.layers.clustering import k_means, read_at
from fssbench.layers.losses import label_loss
from fssbench.layers.masks import foreground, gathering_weights
from fssbench.methods.base.joint import JointMethod
from fssbench.methods.base.method import Prediction, TrainingBatch
from fssbench.methods.panet import scaled_cosine

_PARTS = 5
"""N_p: parts of a class."""
_ROUNDS = 10
_GLOBAL_WEIGHT = 0.8
"""lambda_p: what the global prototype adds to each part."""
_FEW = 10
"""With so many positions of an object or fewer its pixels are taken at the image's size."""
_SEED = 1234
"""Of the first centres. The release's configuration has it, too, and draws on from there from episode to episode."""


class Start(Protocol):
    """Draws which points are the first centres."""

    def __call__(self, count: int) -> Tensor:
        """Return int64 (parts,): places in 0..count-1, perhaps some twice."""


@dataclass(frozen=True, eq=False)
class PPNetMaps:
    """Embedded images: `features` (B, C, h, w), before any ReLU, of images of `size` (height, width)."""

    features: Tensor
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class PPNetSupport:
    """What is kept of B support images.

    Attributes:
        features: (B, C, h, w); parts are found in them.
        inside: The mask, (B, H, W) in {0, 1}.
        means: Masked averages of background and foreground, (B, 2, C).
    """

    features: Tensor
    inside: Tensor
    means: Tensor


class PPNet(JointMethod[PPNetMaps, PPNetSupport]):
    """Part-aware prototype network: a class is a handful of prototypes, a position belongs to the nearest of all.

    There is no head: the encoder is trained, in the release from layer3 on. The first centres of the parts are
    positions at random places. In evaluation the draw begins anew for each episode, so that a prediction depends on its
    episode alone; the places count through the positions of all shots, so that the order of the shots matters.

    Args:
        backbone: "resnet50", "resnet101" or "small".
        variant: "pap", the part-aware network alone.
        way: N.
        shot: K.
    """

    order_of_shots_matters = True

    def __init__(self, backbone: str, variant: Literal["pap"], way: int, shot: int) -> None:
        super().__init__()
        self.task, self.way, self.shot = "fss", way, shot
        if backbone == "small":
            self.backbone = build_backbone(backbone)
        else:
            self.encoder = torchvision_dilated(backbone)

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a backbone's own weights under their names here."""
        if hasattr(self, "backbone"):
            return super().from_imagenet(state)
        return {f"encoder.{key}": value for key, value in state.items() if not key.startswith("fc.")}

    # Embedding network.

    def encode(self, image: Tensor) -> PPNetMaps:
        """Return the last map of layer4, before its ReLU, of images float32 (B, 3, H, W)."""
        height, width = image.shape[-2:]
        maps: tuple[Tensor, ...] = self.backbone(image) if hasattr(self, "backbone") else self.encoder(image)
        return PPNetMaps(maps[-1], (height, width))

    # Prototypes generation network.

    def condition(self, features: PPNetMaps, mask: Tensor) -> PPNetSupport:
        """Return what prototypes are made of; pixels labelled 255 count as background.

        For the averages features go up to the mask's size (bilinear, corners aligned).
        """
        maps = features.features
        inside = foreground(mask).to(maps.dtype)
        both = torch.stack([1.0 - inside, inside], dim=1)
        weights = gathering_weights(both, maps, align_corners=True)
        sums = torch.einsum("bkhw,bchw->bkc", weights, maps)
        return PPNetSupport(maps, inside, sums / (both.sum(dim=(2, 3))[..., None] + 1e-5))

    def prototypes(self, supports: Sequence[Sequence[PPNetSupport]], start: Start) -> list[Tensor]:
        """Return of background, then of each way, its parts' prototypes (parts, C), of one episode.

        Args:
            supports: `supports[n][k]` is the k-th support of the n-th way, batch 1.
            start: Draws the first centres, of the ways in turn, then of the background.
        """
        parts = [
            self.parts(torch.cat([positions(shot.features[0], shot.inside[0], 2) for shot in shots]), start)
            for shots in supports
        ]
        # Quirk: positions of objects are read at twice the map's size, those of the background at its own.
        outside = [positions(shot.features[0], 1.0 - shot.inside[0], 1) for shots in supports for shot in shots]
        background = self.parts(torch.cat(outside), start)
        # Mean over the shots of each image's mean; the background's then over the ways.
        means = torch.stack([torch.stack([shot.means[0] for shot in shots]).mean(dim=0) for shots in supports])
        return [
            background + _GLOBAL_WEIGHT * means[:, 0].mean(dim=0),
            *(part + _GLOBAL_WEIGHT * mean for part, mean in zip(parts, means[:, 1], strict=True)),
        ]

    def parts(self, points: Tensor, start: Start) -> Tensor:
        """Return the centres of the parts (parts, C) of points (n, C), by k-means; a centre without a point is zero."""
        return k_means(points, points[start(len(points)).to(points.device)], _ROUNDS)

    # Part-aware mask generation network.

    def scores(self, features: Tensor, prototypes: Sequence[Tensor]) -> Tensor:
        """Return 20 times the cosine of each position with the nearest part of each class, (B, N + 1, h, w).

        Args:
            features: (B, C, h, w).
            prototypes: Of background and each way (parts, C).
        """
        return torch.stack([scaled_cosine(features, each[None]).amax(dim=1) for each in prototypes], dim=1)

    def predict_batch(
        self, query: PPNetMaps, supports: Sequence[Sequence[PPNetSupport]], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the predictions of B episodes, each at its own size: `scores`, brought to the image's size first."""
        found = []
        for number, size in enumerate(sizes):
            prototypes = self.prototypes(_episode(supports, number), _seeded())
            scores = self.scores(query.features[number : number + 1], prototypes)
            resized = F.interpolate(scores, query.size, mode="bilinear", align_corners=True)
            logits = F.interpolate(resized, size, mode="bilinear", align_corners=True)[0]
            labels = logits.argmax(dim=0).to(torch.uint8)
            present = torch.stack([(labels == n).any() for n in range(1, len(logits))])
            found.append(Prediction(logits, labels, present))
        return found

    # Model training.

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return "query", the cross entropy of the query's labels, and "alignment", PANet's with parts."""
        pairs, ways, shots = batch.supports.shape[:3]
        images = batch.supports.flatten(0, 2)
        # In one pass: batch norm sees supports and query together.
        maps = self.encode(torch.cat([images, batch.query]))
        support = self.condition(PPNetMaps(maps.features[: len(images)], maps.size), batch.support_masks.flatten(0, 2))
        query = maps.features[len(images) :]
        found, aligned = [], []
        for pair in range(pairs):
            given = [
                [_one(support, (pair * ways + way) * shots + shot) for shot in range(shots)] for way in range(ways)
            ]
            scores = self.scores(query[pair : pair + 1], self.prototypes(given, _drawn))
            found.append(F.interpolate(scores, maps.size, mode="bilinear", align_corners=True))
            aligned.append(self.alignment(query[pair], scores[0], given, batch.foreground_weight))
        return {
            "query": label_loss(torch.cat(found), batch.query_masks, batch.foreground_weight),
            "alignment": torch.stack(aligned).mean(),
        }

    def alignment(
        self,
        query: Tensor,
        scores: Tensor,
        supports: Sequence[Sequence[PPNetSupport]],
        foreground_weight: float = 1.0,
    ) -> Tensor:
        """Return the alignment loss of one episode: its supports, labelled by parts of the query's predicted labels.

        As PANet's (section 3.4, Eq. 7 there), with parts. A way that is predicted nowhere is left out and counts 0.

        Args:
            query: Features (C, h, w).
            scores: Raw (N + 1, h, w), background first.
            supports: `supports[n][k]`, batch 1.
            foreground_weight: How much a foreground pixel counts; a background pixel counts 1.
        """
        ways, size = len(supports), supports[0][0].inside.shape[-2:]
        predicted = F.one_hot(scores.argmax(dim=0), ways + 1).permute(2, 0, 1).to(query.dtype)
        # Quirk: here the global prototypes are averages at the map's own size, and all parts are read at twice of it.
        means = torch.einsum("nhw,chw->nc", predicted, query) / (predicted.sum(dim=(1, 2))[:, None] + 1e-5)
        prototypes = {}
        for which, (label, mean) in enumerate(zip(predicted, means, strict=True)):
            if which and not label.any():
                continue
            points = positions(query, label, 2, (size[0], size[1]))
            parts = self.parts(points, _drawn) if label.any() else points
            prototypes[which] = parts + _GLOBAL_WEIGHT * mean
        total = query.new_zeros(())
        for way in prototypes.keys() - {0}:
            for shot in supports[way - 1]:
                found = self.scores(shot.features, [prototypes[0], prototypes[way]])
                found = F.interpolate(found, size, mode="bilinear", align_corners=True)
                total = total + label_loss(found, shot.inside[:, None], foreground_weight) / (
                    ways * len(supports[way - 1])
                )
        return total


def positions(features: Tensor, inside: Tensor, upscale: int, size: tuple[int, int] | None = None) -> Tensor:
    """Return the features (n, C) of the positions of a mask.

    The map is read `upscale` times as large as it is, where the nearest pixel of the mask is inside. Where these are
    few it is read at the image's size; where there are none at all there is one position of zeros.

    Args:
        features: (C, h, w).
        inside: Mask (H, W) in {0, 1}.
        upscale: 1 or 2.
        size: (height, width) of the image; default the mask's.
    """
    height, width = features.shape[-2:]
    here = (height * upscale, width * upscale)
    chosen = F.interpolate(inside[None, None], here, mode="nearest")[0, 0] > 0
    if int(chosen.sum()) > _FEW:
        return read_at(features, here, chosen)
    whole = size or (inside.shape[0], inside.shape[1])
    chosen = F.interpolate(inside[None, None], whole, mode="nearest")[0, 0] > 0
    if not chosen.any():
        return features[:, :1, 0].T * 0.0
    return read_at(features, whole, chosen)


def _seeded() -> Start:
    draw = np.random.RandomState(_SEED)  # the generator of the release, with replacement
    return lambda count: torch.from_numpy(draw.choice(count, _PARTS)).long()


def _drawn(count: int) -> Tensor:
    return torch.randint(count, (_PARTS,))


def _one(support: PPNetSupport, number: int) -> PPNetSupport:
    alone = slice(number, number + 1)
    return PPNetSupport(support.features[alone], support.inside[alone], support.means[alone])


def _episode(supports: Sequence[Sequence[PPNetSupport]], number: int) -> list[list[PPNetSupport]]:
    return [[_one(shot, number) for shot in shots] for shots in supports]
