"""Many masks of one picture: SAM's automatic mask generation with prompts of one's own.

Kirillov et al., "Segment Anything", ICCV 2023, section 5; the mask generator that Matcher extended
(aim-uofa/Matcher@d59b6c7, segment_anything/automatic_mask_generator.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from fssbench.backbones.sam import Frame, Prompts, Sam

OFFSET = 1.0
"""How far logits are shifted to see whether a mask is stable."""


@dataclass(frozen=True)
class Filter:
    """Which masks are kept.

    Attributes:
        quality: Predicted IoU above which a mask is kept; 0 keeps all.
        stability: Least stability of a mask that is kept; 0 keeps all.
    """

    quality: float
    stability: float


@dataclass(frozen=True)
class SeveralMasks:
    """Which of the three masks of a prompt are taken.

    Attributes:
        layer: 0 to 2 for one of them; 3 for all, 4 for all but the first, 5 for the last.
    """

    layer: int

    @property
    def taken(self) -> slice:
        """Those that are taken."""
        return slice(self.layer, self.layer + 1) if self.layer < 3 else slice(self.layer - 3, None)


@dataclass(frozen=True)
class Proposals:
    """Masks of one picture.

    Attributes:
        masks: bool (M, H, W).
        quality: float32 (M,): predicted IoU.
        stability: float32 (M,).
    """

    masks: Tensor
    quality: Tensor
    stability: Tensor

    def only(self, chosen: Tensor) -> Proposals:
        """Return some of them; `chosen` is bool (M,), or int64 indices in the order that is wanted."""
        return Proposals(self.masks[chosen], self.quality[chosen], self.stability[chosen])


def proposals(
    sam: Sam,
    embedding: Tensor,
    frame: Frame,
    prompts: Iterable[Prompts],
    kept: Filter,
    several: SeveralMasks | None = None,
) -> Proposals:
    """Return the masks that prompts give and that are kept.

    The release also drops masks at the rim of a crop; with one crop, the whole picture, that drops none.

    Args:
        sam: The network.
        embedding: Of the picture, (1, C, s, s).
        frame: Where it lies in SAM's square.
        prompts: Groups of prompts with equal numbers of points.
        kept: Which masks are kept.
        several: Which of three masks of each prompt are taken; None if it gives one.
    """
    found = [_kept(sam, embedding, frame, batch, kept, several) for group in prompts for batch in group.batches()]
    if not found:
        none = embedding.new_zeros(0)
        return Proposals(torch.zeros(0, *frame.picture, dtype=torch.bool, device=embedding.device), none, none)
    return joined(found)


def joined(parts: Iterable[Proposals]) -> Proposals:
    """Return the masks of all parts, in this order."""
    masks, quality, stability = zip(*((one.masks, one.quality, one.stability) for one in parts), strict=True)
    return Proposals(torch.cat(masks), torch.cat(quality), torch.cat(stability))


def _kept(
    sam: Sam, embedding: Tensor, frame: Frame, prompts: Prompts, kept: Filter, several: SeveralMasks | None
) -> Proposals:
    taken = slice(None) if several is None else several.taken
    decoded = sam.decode(embedding, prompts, several=several is not None)
    low, quality = (values[:, taken].flatten(0, 1) for values in decoded)
    if kept.quality > 0:
        above = quality > kept.quality
        low, quality = low[above], quality[above]
    logits = sam.enlarged(low[:, None], frame)[:, 0]
    made = Proposals(logits > 0, quality, stability_score(logits))
    return made.only(made.stability >= kept.stability) if kept.stability > 0 else made


def stability_score(logits: Tensor) -> Tensor:
    """Return the IoU (M,) of the masks that shifted logits (M, H, W) give; NaN where both are empty."""
    smaller, larger = ((logits > shift).flatten(1).sum(dim=1) for shift in (OFFSET, -OFFSET))
    return smaller / larger


def grid(per_side: int, size: tuple[int, int]) -> Tensor:
    """Return a regular grid of points over a picture of (height, width), float64 (per_side ** 2, 2), as (x, y)."""
    height, width = size
    places = (torch.arange(per_side, dtype=torch.float64) + 0.5) / per_side
    y, x = torch.meshgrid(places * height, places * width, indexing="ij")
    return torch.stack([x, y], dim=-1).flatten(0, 1)


def boxes_of(masks: Tensor) -> Tensor:
    """Return the boxes float32 (M, 4) of masks bool (M, H, W): left, top, right, bottom; zeros for an empty one."""
    found = []
    for has in (masks.any(dim=1), masks.any(dim=2)):
        first = has.int().argmax(dim=1)
        last = has.shape[1] - 1 - has.flip(1).int().argmax(dim=1)
        found.append((first, torch.where(has.any(dim=1), last, first)))
    (left, right), (top, bottom) = found
    return torch.stack([left, top, right, bottom], dim=1).float()


def without_repeats(found: Proposals, most: float) -> Proposals:
    """Return proposals from the best predicted IoU on, without those whose box overlaps a better one's too much.

    Args:
        found: Proposals.
        most: The largest IoU of two boxes that both stay. The IoU of two boxes without an area is unknown: both stay.
    """
    ranked = found.only(found.quality.argsort(descending=True, stable=True))
    overlaps = (_box_iou(boxes_of(ranked.masks)) > most).cpu()
    kept = torch.ones(len(overlaps), dtype=torch.bool)
    for index in range(len(kept)):
        if kept[index]:
            kept[index + 1 :] &= ~overlaps[index, index + 1 :]
    return ranked.only(kept.to(ranked.quality.device))


def _box_iou(boxes: Tensor) -> Tensor:
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    first = torch.maximum(boxes[:, None, :2], boxes[None, :, :2])
    last = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    common = (last - first).clamp(min=0).prod(dim=2)
    return common / (area[:, None] + area[None] - common)
