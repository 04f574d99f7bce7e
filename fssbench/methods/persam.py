"""PerSAM, the training-free form.

Zhang, Jiang, Guo, Yan, Pan, Dong, Qiao, Gao and Li, "Personalize Segment Anything Model with One Shot", ICLR 2024;
release ZrrSkywalker/Personalize-SAM at a7e8724, persam.py and per_segment_anything/.

SAM alone: the reference's mean embedding under its mask finds the most and the least similar place of the target, which
prompt SAM's decoder as a positive and a negative point. In a first pass the similarity guides the attention of the
decoder, and the mean embedding is added to its tokens; two further passes refine the mask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fssbench.backbones.sam import Frame, Guidance, Prompts, sam
from fssbench.layers.mask_proposals import boxes_of
from fssbench.layers.masks import foreground
from fssbench.layers.pictures import pictures
from fssbench.methods.base.mask_only import mask_prediction
from fssbench.methods.base.method import Method, Prediction

ENLARGED = 4
"""How many times larger than the embedding the similarity map is before it is brought to the picture's size."""


@dataclass(frozen=True)
class Features:
    """What PerSAM keeps of images.

    Attributes:
        embedding: (B, C, s, s).
        size: (height, width) of the picture.
    """

    embedding: Tensor
    size: tuple[int, int]


@dataclass(frozen=True)
class Passes:
    """The three passes through the mask decoder.

    Attributes:
        low: Of each pass the logits at low resolution, (M, 4s, 4s); M is 1, 3, 3.
        quality: Of each pass the predicted IoU, (M,).
        box: int64 (4,): left, top, right, bottom of the best mask of the second pass; None if that mask is empty: then
            there is no third pass.
    """

    low: tuple[Tensor, ...]
    quality: tuple[Tensor, ...]
    box: Tensor | None


class PerSAM(Method[Features, Tensor]):
    """PerSAM.

    Args:
        backbone: Name of a SAM, e.g. "sam-vith".
        way: 1.
        shot: K. The release has one shot; with more the target embedding is the mean of theirs.
    """

    def __init__(self, backbone: str, way: int, shot: int) -> None:
        super().__init__()
        self.task, self.way, self.shot = "fss", way, shot
        self.sam = sam(backbone).requires_grad_(requires_grad=False)

    @property
    def shared_encoder(self) -> torch.nn.Module:
        """SAM."""
        return self.sam

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights of a file of SAM, under the authors' names or the hub's, under those here."""
        return {f"sam.{key}": value for key, value in self.sam.names_here(state).items()}

    def from_release(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the same of weights that may have "sam." before their names."""
        return self.from_imagenet({key.removeprefix("sam."): value for key, value in state.items()})

    def encode(self, image: Tensor) -> Features:
        """Return SAM's embedding of images float32 (B, 3, H, W)."""
        with torch.no_grad():
            embedding = self.sam(self.sam.fitted(pictures(image)))
        return Features(embedding, (image.shape[-2], image.shape[-1]))

    def condition(self, features: Features, mask: Tensor) -> Tensor:
        """Return the target embedding, the mean (B, C) over the positions under the mask; 255 is background.

        The release divides zero by zero if no position is; here the result is NaN, and `predict` leaves it out.
        """
        inside = self.positions_of(foreground(mask))[:, None]
        return (features.embedding * inside).flatten(2).sum(dim=2) / inside.flatten(2).sum(dim=2)

    def positions_of(self, mask: Tensor) -> Tensor:
        """Return the positions of the embedding under masks float32 (B, H, W) in {0, 1}, bool (B, s, s).

        Quirk: the mask goes through SAM's normalisation as a picture of 0 and 255, so that a position is inside if its
        red value is above the mean of red; the square around the picture is not.
        """
        picture = (mask * 255).to(torch.uint8)[:, None].expand(-1, 3, -1, -1)
        square = self.sam.normalised(self.sam.fitted(picture))
        at_positions = F.interpolate(square, (self.sam.positions,) * 2, mode="bilinear", align_corners=False)
        return at_positions[:, 0] > 0

    def predict(self, query: Features, supports: Sequence[Sequence[Tensor]], size: tuple[int, int]) -> Prediction:
        """Return the best mask of the third pass.

        Background if no support has a position under its mask, or if the mask of the second pass is empty: the release
        raises an error for either.
        """
        with torch.autocast(query.embedding.device.type, enabled=False):
            found = self.mask(query, torch.cat(list(supports[0])))
        if found is None:
            found = torch.zeros(query.size, dtype=torch.bool, device=query.embedding.device)
        return mask_prediction(found, size)

    def mask(self, query: Features, targets: Tensor) -> Tensor | None:
        """Return the best mask of the third pass, bool (H, W), or None.

        Args:
            query: Features of the query.
            targets: (K, C), from `condition`.
        """
        targets = targets[targets.isfinite().all(dim=1)]
        if not len(targets):
            return None
        target, frame = targets.mean(dim=0), self.sam.frame(query.size)
        passes = self.passes(query.embedding, frame, self.similarity(query, target), target)
        if passes.box is None:
            return None
        best = passes.low[-1][passes.quality[-1].argmax()]
        return self.sam.enlarged(best[None, None], frame)[0, 0] > 0

    # Positive-negative location prior

    def similarity(self, query: Features, target: Tensor) -> Tensor:
        """Return the cosine similarity (H, W) of the target embedding (C,) with each pixel of the query."""
        places = F.normalize(query.embedding[0], dim=0, eps=0.0)
        cosine = torch.einsum("c,chw->hw", target / target.norm(), places)[None, None]
        enlarged = F.interpolate(cosine, scale_factor=ENLARGED, mode="bilinear", align_corners=False)
        return self.sam.enlarged(enlarged, self.sam.frame(query.size))[0, 0]

    def passes(self, embedding: Tensor, frame: Frame, similarity: Tensor, target: Tensor) -> Passes:
        """Return all passes: one guided by the target, and two refinements.

        Args:
            embedding: Of the query, (1, C, s, s).
            frame: Where the query lies in SAM's square.
            similarity: (H, W).
            target: (C,).
        """
        points = frame.points(extremes(similarity)).float()[None]
        labels = torch.tensor([[1, 0]], dtype=torch.int, device=points.device)
        guidance = Guidance(self.attention(similarity), target[None, None])
        low, quality = self.sam.decode(embedding, Prompts(points, labels), several=False, guidance=guidance)
        first = (low[0], quality[0])
        # Cascaded post-refinement: the mask before is a prompt, then the best mask and its box.
        low, quality = self.sam.decode(embedding, Prompts(points, labels, masks=low), several=True)
        second = (low[0], quality[0])
        best = low[:, int(quality[0].argmax())][:, None]
        mask = self.sam.enlarged(best, frame)[0] > 0
        if not mask.any():
            return Passes((first[0], second[0]), (first[1], second[1]), None)
        box = boxes_of(mask)[0]
        corners = frame.points(box.view(2, 2)).float().view(1, 4)
        low, quality = self.sam.decode(embedding, Prompts(points, labels, boxes=corners, masks=best), several=True)
        return Passes((first[0], second[0], low[0]), (first[1], second[1], quality[0]), box.long())

    # Target-guided attention

    def attention(self, similarity: Tensor) -> Tensor:
        """Return what is added to the attention of the tokens, (1, 1, 1, s * s), of a similarity (H, W).

        Quirk: the map of the picture is resized to all positions, also where its sides differ and the embedding holds
        padding.
        """
        standard = (similarity - similarity.mean()) / similarity.std()
        places = F.interpolate(standard[None, None], (self.sam.positions,) * 2, mode="bilinear", align_corners=False)
        return places.sigmoid().flatten(2)[:, :, None]


def extremes(similarity: Tensor) -> Tensor:
    """Return the most and the least similar pixel of a map (H, W), int64 (2, 2), as (x, y)."""
    flat, width = similarity.flatten(), similarity.shape[1]
    places = torch.cat([flat.topk(1).indices, flat.topk(1, largest=False).indices])
    return torch.stack([places % width, places // width], dim=1)
