"""A method of one file: the cosine to prototypes, with a learnt temperature."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones import backbone as build_backbone
from fssbench.layers.masks import foreground, resize_mask
from fssbench.methods.base.method import Method, Prediction, TrainingBatch


class Toy(Method[Tensor, Tensor]):
    """Mean features of background and foreground, the nearest by cosine, times a temperature."""

    def __init__(self, backbone: str, way: int, shot: int) -> None:
        super().__init__()
        self.task, self.way, self.shot = "fss", way, shot
        self.backbone = build_backbone(backbone).requires_grad_(requires_grad=False)
        self.temperature = nn.Parameter(torch.tensor([2.0]))

    def encode(self, image: Tensor) -> Tensor:
        """Return the map (B, C, h, w)."""
        shallow, middle, _ = self.backbone.levels
        with torch.no_grad():
            return F.relu(self.backbone(image)[shallow + middle - 1])

    def condition(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return the mean feature of background and foreground, (B, 2, C)."""
        inside = resize_mask(foreground(mask), features).to(features.dtype)
        weights = torch.cat([1.0 - inside, inside], dim=1)
        return torch.einsum("bkhw,bchw->bkc", weights, features) / (weights.sum(dim=(-1, -2))[..., None] + 1e-5)

    def predict(self, query: Tensor, supports: Sequence[Sequence[Tensor]], size: tuple[int, int]) -> Prediction:
        """Return the logits (2, H, W)."""
        prototypes = torch.cat(list(supports[0])).mean(dim=0)
        scores = self._scores(query, prototypes[None])
        logits = F.interpolate(scores, size, mode="bilinear", align_corners=True)[0]
        labels = logits.argmax(dim=0).to(torch.uint8)
        return Prediction(logits, labels, torch.ones(1, dtype=torch.bool))

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return the cross entropy of the query's map."""
        supports = self.condition(self.encode(batch.supports[:, 0, 0]), batch.support_masks[:, 0, 0])
        scores = self._scores(self.encode(batch.query), supports)
        logits = F.interpolate(scores, batch.query_masks.shape[-2:], mode="bilinear", align_corners=True)
        return {"segmentation": F.cross_entropy(logits, batch.query_masks[:, 0].long(), ignore_index=255)}

    def _scores(self, query: Tensor, prototypes: Tensor) -> Tensor:
        similarity = torch.einsum("bkc,bchw->bkhw", F.normalize(prototypes, dim=2), F.normalize(query, dim=1))
        return self.temperature * similarity
