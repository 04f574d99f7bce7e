"""PANet: Wang et al., "PANet: Few-Shot Image Semantic Segmentation with Prototype Alignment", ICCV 2019.

Facts from kaixin96/PANet at 1695bf3; the FS-CS variant from dahyun-kang/ifsl at d0b0c0d, fs-cs/model/panet.py and
fs-cs/model/module/panet.py.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones import backbone as build_backbone
from fssbench.layers.losses import ifsl_losses, label_loss, likelihood_loss
from fssbench.layers.masks import foreground, gathering_weights, resize_mask
from fssbench.methods.base.joint import JointMethod
from fssbench.methods.base.method import Prediction, TrainingBatch
from fssbench.methods.base.pairwise import presence
from fssbench.protocols.label_maps import OTHER_CLASS

_SCALE = 20.0
"""alpha of Eq. 2: cosine distances are multiplied by it."""
_VGG = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


@dataclass(frozen=True, eq=False)
class PANetMaps:
    """Embedded images: `features` (B, C, h, w), before any ReLU, and the `size` (height, width) of the images."""

    features: Tensor
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class PANetSupport:
    """What is kept of B support images, for background and foreground.

    Attributes:
        sums: Sums of the features under the mask, (B, 2, C).
        areas: Areas of the masks, (B, 2).
    """

    sums: Tensor
    areas: Tensor


class PANet(JointMethod[PANetMaps, PANetSupport]):
    """Prototype alignment network: a query position gets the class of the nearest prototype.

    There is no head: the whole backbone is trained. The release's FS-CS code fails with an assertion if it predicts the
    presence of more than one class; here each way uses its rule for one class.

    Args:
        backbone: Name of the backbone: "vgg16" for "fss", "resnet50" or "resnet101" for "fscs", "small" for both.
        variant: "fss" as its authors released it, or "fscs" as iFSL re-implements it.
        way: N; of "fss" 1 to 5.
        shot: K.
        weak: FS-CS only: trained with image-level labels. Predictions still use the support masks.
    """

    def __init__(self, backbone: str, variant: Literal["fss", "fscs"], way: int, shot: int, weak: bool = False) -> None:
        super().__init__()
        self.task, self.way, self.shot, self.weak = variant, way, shot, weak
        if backbone == "vgg16":
            self.encoder = nn.Sequential(OrderedDict(backbone=DilatedVGG()))
        else:
            self.backbone = build_backbone(backbone)

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights of a backbone's file under their names here; for VGG-16 the convolutions, in order."""
        if hasattr(self, "backbone"):
            return super().from_imagenet(state)
        own = [name for name in self.state_dict() if name.startswith("encoder.")]
        convolutions = [key for key in state if re.fullmatch(r"features\.\d+\.(weight|bias)", key)]
        ordered = sorted(convolutions, key=lambda key: (int(key.split(".")[1]), key.endswith("bias")))
        return {name: state[key] for name, key in zip(own, ordered, strict=False)}

    def encode(self, image: Tensor) -> PANetMaps:
        """Return the embedded images; for FS-CS they are the last map of layer4, before its ReLU."""
        height, width = image.shape[-2:]
        features: Tensor = self.backbone(image)[-1] if hasattr(self, "backbone") else self.encoder(image)
        return PANetMaps(features, (height, width))

    def condition(self, features: PANetMaps, mask: Tensor) -> PANetSupport:
        """Return the sums and areas for prototypes (Eq. 1); pixels labelled 255 count as background.

        In its authors' release the features are resized to the mask (bilinear, corners not aligned), and pixels of
        another class of the episode (254) are in neither prototype. In iFSL's variant the mask is resized to the
        features, and every position that it touches is foreground.
        """
        # iFSL's variant resizes masks in float32, as released; sums are taken in the features' precision.
        inside = foreground(mask)
        precision = torch.promote_types(inside.dtype, features.features.dtype)
        if self.task == "fss":
            inside = inside.to(precision)
            both = torch.stack([1.0 - inside - (mask == OTHER_CLASS).to(precision), inside], dim=1)
            weights, areas = gathering_weights(both, features.features, align_corners=False), both.sum(dim=(2, 3))
        else:
            touched = (resize_mask(inside, features.features) > 0).to(precision)
            weights = torch.cat([1.0 - touched, touched], dim=1)
            areas = weights.sum(dim=(2, 3))
        return PANetSupport(torch.einsum("bkhw,bchw->bkc", weights, features.features), areas)

    def prototypes(self, supports: Sequence[Sequence[PANetSupport]]) -> Tensor:
        """Return the prototypes (B, N + 1, C), background first, of `supports[n][k]`."""
        sums = torch.stack([torch.stack([support.sums for support in shots]) for shots in supports])  # (N, K, B, 2, C)
        areas = torch.stack([torch.stack([support.areas for support in shots]) for shots in supports])[..., None]
        if self.task == "fss":
            # The mean over the shots of the images' means; for the background then over the ways.
            means = (sums / (areas + 1e-5)).mean(dim=1)
            background, ways = means[:, :, 0].mean(dim=0), means[:, :, 1]
        else:
            # One mean over all positions of all shots; for the background also of all ways.
            background = sums[..., 0, :].sum(dim=(0, 1)) / (areas[..., 0, :].sum(dim=(0, 1)) + 1e-6)
            ways = sums[..., 1, :].sum(dim=1) / (areas[..., 1, :].sum(dim=1) + 1e-6)
        return torch.stack([background, *ways], dim=1)

    def predict_batch(
        self, query: PANetMaps, supports: Sequence[Sequence[PANetSupport]], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the predictions of B episodes, each at its own size.

        For "fss" the logits are the scaled cosines (Eq. 2 without its softmax), resized first to the image's size, then
        to the prediction's. For "fscs" they are log-probabilities; iFSL's merging of backgrounds is not needed, since
        there is one background.
        """
        scores = scaled_cosine(query.features, self.prototypes(supports))
        each = zip(torch.split(scores, 1), sizes, strict=True)
        if self.task == "fscs":
            return [_decide_jointly(one, size) for one, size in each]
        return [_decide(one, query.size, size) for one, size in each]

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return "query" (Eq. 5) and "alignment" (Eq. 7), or in FS-CS iFSL's loss."""
        pairs, ways, shots = batch.supports.shape[:3]
        images = batch.supports.flatten(0, 2)
        if self.task == "fscs":
            # Two passes, as in the release: its batch norm is in training mode.
            query, support = self.encode(batch.query), self.encode(images)
        else:
            both = self.encode(torch.cat([images, batch.query]))
            support = PANetMaps(both.features[: len(images)], both.size)
            query = PANetMaps(both.features[len(images) :], both.size)
        kept = self.condition(support, batch.support_masks.flatten(0, 2))
        sums, areas = kept.sums.view(pairs, ways, shots, 2, -1), kept.areas.view(pairs, ways, shots, 2)
        supports = [[PANetSupport(sums[:, n, k], areas[:, n, k]) for k in range(shots)] for n in range(ways)]
        scores = scaled_cosine(query.features, self.prototypes(supports))
        if self.task == "fscs":
            return self._ifsl_losses(scores, batch)
        resized = F.interpolate(scores, query.size, mode="bilinear", align_corners=False)
        maps = support.features.view(pairs, ways, shots, *support.features.shape[1:])
        return {
            "query": label_loss(resized, batch.query_masks, batch.foreground_weight),
            "alignment": alignment_loss(query.features, scores, maps, batch.support_masks, batch.foreground_weight),
        }

    def _ifsl_losses(self, scores: Tensor, batch: TrainingBatch) -> dict[str, Tensor]:
        if self.weak:
            # Each way against the background. The release trains with one way, for which this changes nothing.
            alone = torch.stack([scores[:, [0, n]] for n in range(1, scores.shape[1])], dim=1)
            return ifsl_losses(alone, batch.query_masks, weak=True)
        log_probabilities = torch.log_softmax(scores, dim=1)
        return {"segmentation": likelihood_loss(log_probabilities, batch.query_masks, batch.foreground_weight)}


def scaled_cosine(features: Tensor, prototypes: Tensor) -> Tensor:
    """Return 20 times the cosine of each position with each prototype, (B, N + 1, h, w).

    Args:
        features: (B, C, h, w).
        prototypes: (B, N + 1, C).
    """
    return F.cosine_similarity(features[:, None], prototypes[..., None, None], dim=2) * _SCALE


def alignment_loss(
    query: Tensor, scores: Tensor, supports: Tensor, masks: Tensor, foreground_weight: float = 1.0
) -> Tensor:
    """Return L_PAR (section 3.4, Eq. 7): the supports are segmented with prototypes of the query's predicted labels.

    A way that is predicted nowhere has no prototype and is left out. The predicted labels carry no gradient.

    Args:
        query: Features (B, C, h, w).
        scores: Raw (B, N + 1, h, w), background first.
        supports: Features (B, N, K, C, h, w).
        masks: uint8 (B, N, K, H, W) in {0, 1, 255}; 255 is background.
        foreground_weight: Weight of a foreground pixel; a background pixel has the weight 1.

    Returns:
        The mean over episodes, ways and shots, with 0 for ways that are left out.
    """
    pairs, ways, shots = masks.shape[:3]
    predicted = F.one_hot(scores.argmax(dim=1), ways + 1).permute(0, 3, 1, 2).to(query.dtype)
    sums = torch.einsum("bnhw,bchw->bnc", predicted, query)
    areas = predicted.sum(dim=(2, 3))
    prototypes = sums / (areas[..., None] + 1e-5)
    total = query.new_zeros(())
    for pair, way in ((pair, way) for pair in range(pairs) for way in range(ways)):
        if areas[pair, way + 1] == 0:
            continue
        against = prototypes[pair, [0, way + 1]][None].expand(shots, -1, -1)
        logits = scaled_cosine(supports[pair, way], against)
        logits = F.interpolate(logits, masks.shape[-2:], mode="bilinear", align_corners=False)
        truth = foreground(masks[pair, way])[:, None]
        total = total + label_loss(logits, truth, foreground_weight) / (pairs * ways)
    return total


class DilatedVGG(nn.Module):
    """VGG-16 without batch norm as PANet changes it (models/vgg.py): maps at an eighth of the image's size.

    Pools are 3x3, the fourth without a stride; there is no fifth. conv5 is dilated, and its last convolution has no
    ReLU.
    """

    def __init__(self) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        inputs = 3
        for number, (width, count) in enumerate(_VGG):
            last = number == len(_VGG) - 1
            dilation = 2 if last else 1
            layers: list[nn.Module] = []
            for _ in range(count):
                layers += [nn.Conv2d(inputs, width, 3, padding=dilation, dilation=dilation), nn.ReLU()]
                inputs = width
            parts.append(nn.Sequential(*(layers[:-1] if last else layers)))
            if not last:
                parts.append(nn.MaxPool2d(3, stride=1 if number == 3 else 2, padding=1))
        self.features = nn.Sequential(*parts)

    def forward(self, image: Tensor) -> Tensor:
        """Return the map (B, 512, h, w) of images (B, 3, H, W)."""
        features: Tensor = self.features(image)
        return features


def _decide(scores: Tensor, image_size: tuple[int, int], size: tuple[int, int]) -> Prediction:
    resized = F.interpolate(scores, image_size, mode="bilinear", align_corners=False)
    logits = F.interpolate(resized, size, mode="bilinear", align_corners=False)[0]
    labels = logits.argmax(dim=0).to(torch.uint8)
    present = torch.stack([(labels == n).any() for n in range(1, len(logits))])
    return Prediction(logits, labels, present)


def _decide_jointly(scores: Tensor, size: tuple[int, int]) -> Prediction:
    log_probabilities = torch.log_softmax(scores, dim=1)
    logits = F.interpolate(log_probabilities, size, mode="bilinear", align_corners=True)[0]
    return Prediction(logits, logits.argmax(dim=0).to(torch.uint8), presence(log_probabilities[:, 1:]))
