"""Floors: predictions without training, as lower bounds for every table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from fssbench.backbones import Pyramid
from fssbench.backbones import backbone as build_backbone
from fssbench.errors import UsageError
from fssbench.layers.masks import foreground, resize_mask
from fssbench.methods.base.method import Method, Prediction

Variant = Literal["fss", "fscs"]
PrototypeVariant = Literal["fss", "fscs", "foreground", "middle", "deep"]


class _Constant(Method[None, None]):
    """A floor that predicts the same of every episode."""

    _positive: ClassVar[bool]

    def __init__(self, variant: Variant, way: int, shot: int) -> None:
        super().__init__()
        self.task, self.way, self.shot = variant, way, shot

    def encode(self, image: Tensor) -> None:
        """Compute nothing."""

    def condition(self, features: None, mask: Tensor) -> None:
        """Compute nothing."""

    def predict(self, query: None, supports: Sequence[Sequence[None]], size: tuple[int, int]) -> Prediction:
        """Return the same label everywhere: 1, or 0."""
        way = len(supports)
        logits = torch.full((way + 1, *size), float(self._positive))
        logits[0] = float(not self._positive)
        labels = torch.full(size, int(self._positive), dtype=torch.uint8)
        return Prediction(logits, labels, torch.full((way,), self._positive))


class AllForeground(_Constant):
    """Every pixel is foreground of the first class, and every class is present."""

    _positive = True


class Nothing(_Constant):
    """Every pixel is background, and no class is present."""

    _positive = False


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


class PrototypeCosine(Method[Pyramid, Pyramid]):
    """Masked average pooling and cosine similarity on frozen features.

    Each class and the background have one prototype, the mean feature of their pixels in the supports; a query position
    gets the class of the nearest prototype. On several maps each has its own prototypes, and similarities are averaged.
    Features are after the ReLU, if the network has one there.

    Without a prototype of the background, a position is foreground where its similarity lies above the middle between
    the smallest and the largest one of the query: some of every query is then foreground.

    Args:
        backbone: Name of the frozen backbone.
        variant: "fss" or "fscs", which are the same; "middle" and "deep" compare the last map of that level alone;
            "foreground" has no prototype of the background.
        way: N.
        shot: K.
        layers: The maps that are compared, counted in the pyramid from 0, or from -1 backwards; default those of the
            variant. For "fss", "fscs" and "foreground" they are the backbone's `Backbone.compared`.
        background: Whether the background has a prototype; default by the variant.

    Raises:
        UsageError: If there is no such map.
    """

    def __init__(
        self,
        backbone: str,
        variant: PrototypeVariant,
        way: int,
        shot: int,
        layers: Sequence[int] | None = None,
        background: bool | None = None,
    ) -> None:
        super().__init__()
        self.task, self.way, self.shot = "fscs" if variant == "fscs" else "fss", way, shot
        self.backbone = build_backbone(backbone).requires_grad_(requires_grad=False)
        shallow, middle, deep = self.backbone.levels
        last = {"middle": (shallow + middle - 1,), "deep": (shallow + middle + deep - 1,)}
        self.layers = tuple(last.get(variant, self.backbone.compared) if layers is None else layers)
        self.background = variant != "foreground" if background is None else background
        count = shallow + middle + deep
        if not self.layers or not all(isinstance(place, int) and -count <= place < count for place in self.layers):
            raise UsageError(
                f"layers of prototype are some of the {count} maps of {backbone}, 0 to {count - 1}, not {self.layers}",
                f"layers=({count - 1},)",
            )

    def encode(self, image: Tensor) -> Pyramid:
        """Return the compared maps, each (B, C, h, w)."""
        with torch.no_grad():
            maps = self.backbone(image)
            chosen = [maps[place] for place in self.layers]
            return tuple(F.relu(feature) if self.backbone.relu_follows else feature for feature in chosen)

    def condition(self, features: Pyramid, mask: Tensor) -> Pyramid:
        """Return the mean feature of background and foreground in each map, (B, 2, C); 255 counts as background."""
        return tuple(_means(feature, foreground(mask)) for feature in features)

    def predict(self, query: Pyramid, supports: Sequence[Sequence[Pyramid]], size: tuple[int, int]) -> Prediction:
        """Return cosine similarities in [-1, 1] as logits, resized bilinearly with aligned corners.

        Without a prototype of the background its logit is 0, and the others are the similarities minus their middle.
        """
        similarities = []
        for place, feature in enumerate(query):
            means = torch.stack([torch.cat([shot[place] for shot in shots]).mean(dim=0) for shots in supports])
            prototypes = torch.cat([means[:, 0].mean(dim=0, keepdim=True), means[:, 1]])  # of (N, 2, C)
            similarities.append(_cosines(prototypes, feature[0]))
        similarity = _mean_map(similarities)
        if not self.background:
            low, high = torch.aminmax(similarity.flatten(1), dim=1, keepdim=True)
            similarity = similarity - ((low + high) / 2)[..., None]
            similarity[0] = 0.0
        logits = F.interpolate(similarity[None], size, mode="bilinear", align_corners=True)[0]
        labels = logits.argmax(dim=0).to(torch.uint8)
        present = torch.stack([(labels == n).any() for n in range(1, len(supports) + 1)])
        return Prediction(logits, labels, present)


def _means(features: Tensor, mask: Tensor) -> Tensor:
    """Return the mean feature outside and inside a mask (B, H, W), (B, 2, C)."""
    inside = resize_mask(mask, features).to(features.dtype)
    weights = torch.cat([1.0 - inside, inside], dim=1)
    sums = torch.einsum("bkhw,bchw->bkc", weights, features)
    return sums / (weights.sum(dim=(-1, -2))[..., None] + 1e-5)


def _cosines(prototypes: Tensor, feature: Tensor) -> Tensor:
    """Return the cosine of each prototype (n, C) and each position of a map (C, h, w): (n, h, w)."""
    return torch.einsum("nc,chw->nhw", F.normalize(prototypes, dim=1), F.normalize(feature, dim=0))


def _mean_map(maps: Sequence[Tensor]) -> Tensor:
    """Return the mean of maps (n, h, w) at the size of the largest; a single one as it is."""
    if len(maps) == 1:
        return maps[0]
    largest = max((one.shape[-2:] for one in maps), key=math.prod)
    resized = [F.interpolate(one[None], largest, mode="bilinear", align_corners=True)[0] for one in maps]
    return torch.stack(resized).mean(dim=0)
