"""NTRENet's losses for non-target regions: the background loss and the prototypical contrastive loss.

Facts from LIUYUANWEI98/NERTNet at 1fe13ad, model/ourmodel.py and model/prototypical_contrast.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from fssbench.layers.enrichment import resize
from fssbench.layers.masks import foreground, masked_average

_EVERYWHERE_WEIGHT = 0.5
"""erfa of the release: the weight of predicting background at every position."""
_KEPT = 2000
_COMPARED = 1000
_EPS = 1e-8


class DistractingObjects:
    """Prototypes of the distracting objects that occurred with each class in training, the newest first.

    They are not in the state dict, whose keys are those of the release; the trainer saves them as `training_state`.

    Attributes:
        prototypes: For the index of a class among the base classes, float32 (n, C) with n up to 2000.
    """

    def __init__(self) -> None:
        self.prototypes: dict[int, Tensor] = {}

    def contrast(
        self,
        final: Tensor,
        reduced: Sequence[Tensor],
        mined: Sequence[Tensor],
        masks: Sequence[Tensor],
        places: Sequence[int],
    ) -> Tensor:
        """Return L_PCL of a batch, whose distracting objects are added first; see `prototype_contrast`.

        Prototypes of objects are averages over their positions; for K supports the mean is taken. Distracting objects
        are the positions of `distractor_mask`. A gradient reaches the maps, but not the decisions where the objects
        are.

        Args:
            final: Logits of the prediction, (B, 2, h, w).
            reduced: Maps of the query and of each support, (B, C, h, w).
            mined: Background logits of each, (B, 2, h, w).
            masks: Of each, (B, H, W) in {0, 1, 255}; 255 is not the target. Resized by nearest neighbour.
            places: For each episode the index of its class among the base classes.
        """
        targets = [
            F.interpolate(foreground(mask)[:, None], maps.shape[-2:], mode="nearest")
            for mask, maps in zip(masks, reduced, strict=True)
        ]
        with torch.no_grad():
            found = [
                _flat(masked_average(maps, distractor_mask(background, target)))
                for maps, background, target in zip(reduced, mined, targets, strict=True)
            ]
        self.add(found, places)
        predicted = masked_average(reduced[0], final.argmax(dim=1, keepdim=True))
        support = [masked_average(maps, target) for maps, target in zip(reduced[1:], targets[1:], strict=True)]
        negatives = [self.draw(place) for place in places]
        return prototype_contrast(_flat(predicted), _flat(torch.stack(support).mean(dim=0)), negatives)

    def add(self, found: Sequence[Tensor], places: Sequence[int]) -> None:
        """Put prototypes before the existing ones; the oldest are dropped.

        Args:
            found: (B, C) of the query and of each support; zeros for an image without distracting objects, as released.
            places: For each of B episodes the index of its class.
        """
        for place in sorted(set(places)):
            episodes = [n for n, other in enumerate(places) if other == place]
            rows = [prototypes[episodes].detach() for prototypes in found]
            if place in self.prototypes:
                rows.append(self.prototypes[place].to(rows[0]))
            self.prototypes[place] = torch.cat(rows)[:_KEPT]

    def draw(self, place: int) -> Tensor:
        """Return up to 1000 prototypes of a class; more are sampled by torch's global generator."""
        kept = self.prototypes[place]
        return kept if len(kept) <= _COMPARED else kept[torch.randperm(len(kept))[:_COMPARED]]


def background_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Return L_BG: the target is not background, and without further knowledge every position is likely background.

    The mean over B images of -sum_target log p(not background) / |target|, and half of the mean of -log p(background)
    over every position, including the target and pixels labelled 255.

    Args:
        logits: (B, 2, h, w), channel 1 is background; resized bilinearly with aligned corners.
        mask: (B, H, W) in {0, 1, 255}; 255 is not the target.
    """
    log_probabilities = F.log_softmax(resize(logits, (mask.shape[-2], mask.shape[-1])), dim=1)
    target = foreground(mask)
    on_target = -(target * log_probabilities[:, 0]).sum(dim=(1, 2)) / (target.sum(dim=(1, 2)) + 1e-5)
    return on_target.mean() - _EVERYWHERE_WEIGHT * log_probabilities[:, 1].mean()


def prototype_contrast(predicted: Tensor, support: Tensor, negatives: Sequence[Tensor]) -> Tensor:
    """Return L_PCL: the mean over B of -log(exp cos(q, s) / sum_n exp cos(q, d_n)), at temperature 1.

    As released the positive pair is not in the denominator, so the loss can be negative; 1e-8 is added to the quotient.

    Args:
        predicted: q, prototypes of the predicted target in the query, (B, C).
        support: s, prototypes of the target in the support, (B, C).
        negatives: d, for each of B the prototypes of distracting objects, (n, C); without a gradient.
    """
    terms = [
        F.cosine_similarity(q, s, dim=0).exp() / F.cosine_similarity(q[None], d, dim=1).exp().sum()
        for q, s, d in zip(predicted, support, negatives, strict=True)
    ]
    return -torch.log(torch.stack(terms) + _EPS).mean()


def distractor_mask(background: Tensor, target: Tensor) -> Tensor:
    """Return 1 where a position is predicted as neither background nor target, (B, 1, h, w); no gradient.

    Args:
        background: Logits, (B, 2, h, w), channel 1 is background.
        target: (B, 1, h, w) in {0, 1}.
    """
    return ((background.argmax(dim=1, keepdim=True) == 0) & (target == 0)).to(background.dtype)


def _flat(prototype: Tensor) -> Tensor:
    return prototype[:, :, 0, 0]
