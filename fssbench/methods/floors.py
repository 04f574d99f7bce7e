"""Floors: predictions without training, as lower bounds for every table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from fssbench.backbones import backbone as build_backbone
from fssbench.layers.masks import foreground, resize_mask
from fssbench.methods.base.method import Method, Prediction

Variant = Literal["fss", "fscs"]


class AllForeground(Method[None, None]):
    """Every pixel is foreground of the first class, and every class is present."""

    def __init__(self, variant: Variant, way: int, shot: int) -> None:
        super().__init__()
        self.task, self.way, self.shot = variant, way, shot

    def encode(self, image: Tensor) -> None:
        """Compute nothing."""

    def condition(self, features: None, mask: Tensor) -> None:
        """Compute nothing."""

    def predict(self, query: None, supports: Sequence[Sequence[None]], size: tuple[int, int]) -> Prediction:
        """Return label 1 everywhere."""
        way = len(supports)
        logits = torch.ones(way + 1, *size)
        logits[0] = 0.0
        return Prediction(logits, torch.ones(size, dtype=torch.uint8), torch.ones(way, dtype=torch.bool))


class CopyMask(Method[None, Tensor]):
    """The support mask, resized to the query; with several shots the pixels that at least half of the masks have."""

    def __init__(self, variant: Variant, way: int, shot: int) -> None:
        super().__init__()
        self.task, self.way, self.shot = variant, way, shot

    def encode(self, image: Tensor) -> None:
        """Compute nothing."""

    def condition(self, features: None, mask: Tensor) -> Tensor:
        """Return the foreground float32 (B, H, W); 255 counts as background."""
        return foreground(mask)

    def predict(self, query: None, supports: Sequence[Sequence[Tensor]], size: tuple[int, int]) -> Prediction:
        """Return the mean mask of each class as its logits; a pixel gets the class with the largest mean."""
        means = torch.stack([torch.cat(list(shots)).mean(dim=0) for shots in supports])
        stretched = F.interpolate(means[None], size, mode="nearest-exact")[0]
        logits = torch.cat([1.0 - stretched.amax(dim=0, keepdim=True), stretched])
        winner = stretched.argmax(dim=0) + 1
        labels = torch.where(stretched.amax(dim=0) >= 0.5, winner, 0).to(torch.uint8)
        return Prediction(logits, labels, torch.ones(len(supports), dtype=torch.bool, device=labels.device))


class PrototypeCosine(Method[Tensor, Tensor]):
    """Masked average pooling and cosine similarity on frozen features.

    Each class and the background have one prototype, the mean feature of their pixels in the supports; a query position
    gets the class of the nearest prototype. Features are the last map of the middle level (layer3 of a ResNet), after
    the ReLU.

    Args:
        backbone: Name of the frozen backbone.
        variant: "fss" or "fscs"; both are the same.
        way: N.
        shot: K.
    """

    def __init__(self, backbone: str, variant: Variant, way: int, shot: int) -> None:
        super().__init__()
        self.task, self.way, self.shot = variant, way, shot
        self.backbone = build_backbone(backbone).requires_grad_(requires_grad=False)

    def encode(self, image: Tensor) -> Tensor:
        """Return the map (B, C, h, w)."""
        shallow, middle, _ = self.backbone.levels
        with torch.no_grad():
            return F.relu(self.backbone(image)[shallow + middle - 1])

    def condition(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return the mean feature of background and foreground, (B, 2, C); 255 counts as background."""
        inside = resize_mask(foreground(mask), features).to(features.dtype)
        weights = torch.cat([1.0 - inside, inside], dim=1)
        sums = torch.einsum("bkhw,bchw->bkc", weights, features)
        return sums / (weights.sum(dim=(-1, -2))[..., None] + 1e-5)

    def predict(self, query: Tensor, supports: Sequence[Sequence[Tensor]], size: tuple[int, int]) -> Prediction:
        """Return cosine similarities in [-1, 1] as logits, resized bilinearly with aligned corners."""
        means = torch.stack([torch.cat(list(shots)).mean(dim=0) for shots in supports])  # (N, 2, C)
        prototypes = torch.cat([means[:, 0].mean(dim=0, keepdim=True), means[:, 1]])
        similarity = torch.einsum("nc,chw->nhw", F.normalize(prototypes, dim=1), F.normalize(query[0], dim=0))
        logits = F.interpolate(similarity[None], size, mode="bilinear", align_corners=True)[0]
        labels = logits.argmax(dim=0).to(torch.uint8)
        present = torch.stack([(labels == n).any() for n in range(1, len(supports) + 1)])
        return Prediction(logits, labels, present)
