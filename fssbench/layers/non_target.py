"""What NTRENet learns from non-target regions: the background loss and the prototypical contrastive loss.

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
"""The release's erfa: how much it counts that background is said everywhere."""
_KEPT = 2000
_COMPARED = 1000
_EPS = 1e-8


class DistractingObjects:
    """Prototypes of the distracting objects that stood beside each class in training, the newest first.

    They are no part of the state dict, whose keys are the release's; the trainer keeps them as `training_state`.

    Attributes:
        of: For the place of a class among the base classes, float32 (n, C) with n up to 2000.
    """

    def __init__(self) -> None:
        self.of: dict[int, Tensor] = {}

    def contrast(
        self,
        final: Tensor,
        reduced: Sequence[Tensor],
        mined: Sequence[Tensor],
        masks: Sequence[Tensor],
        places: Sequence[int],
    ) -> Tensor:
        """Return L_PCL of a batch, whose distracting objects are added first; see `prototype_contrast`.

        Objects are averages over their positions, of K supports the mean; in the way is what is `neither` background
        nor target. A gradient reaches the maps, not the decisions over which they are averaged.

        Args:
            final: Logits of the answer, (B, 2, h, w).
            reduced: Maps of the query and of each support, (B, C, h, w).
            mined: Background logits of each, (B, 2, h, w).
            masks: Of each, (B, H, W) in {0, 1, 255}; 255 counts as not the target. The nearest pixel is taken.
            places: Of each episode's class among the base classes.
        """
        targets = [
            F.interpolate(foreground(mask)[:, None], its.shape[-2:], mode="nearest")
            for mask, its in zip(masks, reduced, strict=True)
        ]
        with torch.no_grad():
            found = [
                _flat(masked_average(its, neither(said, target)))
                for its, said, target in zip(reduced, mined, targets, strict=True)
            ]
        self.add(found, places)
        predicted = masked_average(reduced[0], final.argmax(dim=1, keepdim=True))
        given = [masked_average(its, target) for its, target in zip(reduced[1:], targets[1:], strict=True)]
        negatives = [self.draw(place) for place in places]
        return prototype_contrast(_flat(predicted), _flat(torch.stack(given).mean(dim=0)), negatives)

    def add(self, found: Sequence[Tensor], places: Sequence[int]) -> None:
        """Put prototypes before those that are there; the oldest are forgotten.

        Args:
            found: (B, C) of the query and of each support; an image without distracting objects has zeros, as released.
            places: Of each of B episodes' class.
        """
        for place in sorted(set(places)):
            at = [n for n, its in enumerate(places) if its == place]
            rows = [its[at].detach() for its in found]
            if place in self.of:
                rows.append(self.of[place].to(rows[0]))
            self.of[place] = torch.cat(rows)[:_KEPT]

    def draw(self, place: int) -> Tensor:
        """Return up to 1000 prototypes of a class, drawn by torch's global generator where there are more."""
        kept = self.of[place]
        return kept if len(kept) <= _COMPARED else kept[torch.randperm(len(kept))[:_COMPARED]]


def background_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Return L_BG: the target is not background, and where nothing is known background is likely.

    The mean over B images of -sum_target log p(not background) / |target|, and half of the mean of -log p(background)
    over every position, the target and pixels labelled 255 among them.

    Args:
        logits: (B, 2, h, w), channel 1 is background; resized bilinearly with aligned corners.
        mask: (B, H, W) in {0, 1, 255}; 255 counts as not the target.
    """
    said = F.log_softmax(resize(logits, (mask.shape[-2], mask.shape[-1])), dim=1)
    target = foreground(mask)
    on_target = -(target * said[:, 0]).sum(dim=(1, 2)) / (target.sum(dim=(1, 2)) + 1e-5)
    return on_target.mean() - _EVERYWHERE_WEIGHT * said[:, 1].mean()


def prototype_contrast(predicted: Tensor, given: Tensor, negatives: Sequence[Tensor]) -> Tensor:
    """Return L_PCL: the mean over B of -log(exp cos(q, s) / sum_n exp cos(q, d_n)), at temperature 1.

    As released the positive pair is not in the denominator, so it can be negative; 1e-8 is added to the quotient.

    Args:
        predicted: q, prototypes of the predicted target in the query, (B, C).
        given: s, prototypes of the target in the support, (B, C).
        negatives: d, for each of B the prototypes of distracting objects, (n, C); without a gradient.
    """
    terms = [
        F.cosine_similarity(q, s, dim=0).exp() / F.cosine_similarity(q[None], d, dim=1).exp().sum()
        for q, s, d in zip(predicted, given, negatives, strict=True)
    ]
    return -torch.log(torch.stack(terms) + _EPS).mean()


def neither(background: Tensor, target: Tensor) -> Tensor:
    """Return 1 where a position is said to be neither background nor target, (B, 1, h, w); no gradient.

    Args:
        background: Logits, (B, 2, h, w), channel 1 is background.
        target: (B, 1, h, w) in {0, 1}.
    """
    return ((background.argmax(dim=1, keepdim=True) == 0) & (target == 0)).to(background.dtype)


def _flat(prototype: Tensor) -> Tensor:
    return prototype[:, :, 0, 0]
