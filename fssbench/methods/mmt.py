"""MMT: Wang et al., "Remember the Difference: Cross-Domain Few-Shot Semantic Segmentation via Meta-Memory Transfer".

CVPR 2022, also cited as RtD. No code was released: the paper's equations decide, and `MMT` lists what they leave open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from fssbench.errors import UsageError
from fssbench.layers.enrichment import Bins
from fssbench.layers.masks import foreground, masked_average, resize_mask
from fssbench.layers.style_memory import StyleMemory, style
from fssbench.methods.asgnet import ASGNet
from fssbench.methods.base.method import TrainingBatch
from fssbench.methods.base.staged import StageMaps

_TEMPERATURE = 0.1


@dataclass(frozen=True)
class Parts:
    """The parts of the method that a row of the paper's ablation has.

    Attributes:
        contrast: "Cons": the contrastive loss between instances and their enhanced versions.
        source: "MEnS": segmentation is also trained on enhanced source samples.
        target: "MEnT": target samples are enhanced before prediction.
    """

    contrast: bool
    source: bool
    target: bool

    @property
    def memory(self) -> bool:
        """Whether any part needs the memory bank, and with it the orthogonality loss."""
        return self.contrast or self.source or self.target


PARTS = {
    "full": Parts(contrast=True, source=True, target=True),
    "baseline": Parts(contrast=False, source=False, target=False),
    "cons": Parts(contrast=True, source=False, target=False),
    "cons-mens": Parts(contrast=True, source=True, target=False),
    "mens-ment": Parts(contrast=False, source=True, target=True),
}


class MMT(ASGNet):
    """ASGNet with a meta-memory bank, which stores the styles of the source domain and applies them to the target.

    The paper's equations leave some choices open. They are made here as follows, and none is confirmed by the authors.

    - The baseline is ASGNet in its pyramid form, with prototypes that carry no gradient. The frozen backbone's batch
      norm keeps its ImageNet statistics in training, because a style must mean the same in training and afterwards.
    - The memory works on layer3 and layer2 concatenated, before the reduction: this is the only map that the head
      reads. Statistics are those of the whole map, including padded positions.
    - v is a standard deviation, since f_enh multiplies by it and alpha = 1 must change nothing; 1e-5 is added to the
      variance.
    - s is a softmax over the items of cosines at temperature 0.02, s_M between means and s_E between deviations. When
      styles are written, an item's weights over the batch are scaled to a sum of 1 if they sum to more; if they sum to
      less, the rest of the weight goes to the item itself, so that items stay convex combinations of styles. (With a
      softmax over the batch all items would get nearly the same mean: the bank would contain one style, with the
      largest L_orth.)
    - The first N instances fill the bank; a softmax could not separate random items. Queries and supports are written
      batch by batch, before the memory is read.
    - N = 16, lambda = 0.9, alpha = 0.5. h is the absolute cosine of different items.
    - The items are parameters. Only L_orth has a gradient to them; the other losses treat recalled styles as constants.
    - An instance of the contrast is the masked average of an object in the reduced map, for every query and support of
      the batch in which the object covers an area at that size. Positives of an instance are the instances of its class
      on the other side (original, enhanced), negatives are all instances of other classes; the similarity is exp(cosine
      / 0.1). The printed formula sums over |B| and divides by 2|B|; here all 2|B| instances, original and enhanced, are
      anchors.
    - With MEnS the segmentation losses are means over original and enhanced episodes, and L_pro are ASGNet's two
      losses. Without MEnS they use original episodes only, and enhanced ones are used in the contrast.
    - With MEnT supports and query are enhanced, each from its own style.
    - The three losses have equal weights, as L_all is printed.

    Args:
        backbone: Name of the frozen backbone.
        variant: A row of the paper's ablation, see `PARTS`.
        way: 1.
        shot: K.
        width: Channels of the head.
        bins: See `ASGNet`.
        memory_items: N.
        momentum: lambda, in [0, 1].
        mix: alpha, in [0, 1].
        superpixels: See `ASGNet`.
        superpixel_area: See `ASGNet`.
        moving_statistics: See `ASGNet`; default False.

    Raises:
        UsageError: If an argument is out of its range.
    """

    def __init__(
        self,
        backbone: str,
        variant: str,
        way: int,
        shot: int,
        width: int = 256,
        bins: Bins | None = None,
        memory_items: int = 16,
        momentum: float = 0.9,
        mix: float = 0.5,
        superpixels: int = 5,
        superpixel_area: float | None = None,
        moving_statistics: bool = False,
    ) -> None:
        super().__init__(backbone, way, shot, width, bins, superpixels, superpixel_area, moving_statistics)
        if memory_items < 1 or not 0 <= momentum <= 1 or not 0 <= mix <= 1:
            raise UsageError(
                f"memory_items is at least 1, momentum and mix are in [0, 1]; got {memory_items}, {momentum} and {mix}",
                "memory_items=16, momentum=0.9, mix=0.5",
            )
        self.parts = PARTS[variant]
        layer2, layer3, _ = self.stages.channels
        self.memory = StyleMemory(memory_items, layer2 + layer3, momentum, mix) if self.parts.memory else None

    def middle(self, maps: StageMaps) -> Tensor:
        """Return layer3 and layer2 concatenated, (B, C, h, w); enhanced if target samples are (MEnT)."""
        middle = super().middle(maps)
        if self.memory is not None and self.parts.target and not self.training:
            return self.memory.enhance(middle)
        return middle

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return "main" and "auxiliary" (L_pro), "contrast" (L_cont), "orthogonality" (L_orth); write to the memory.

        L_all = L_orth + L_cont + L_pro; a variant has the terms of its parts.
        """
        if self.memory is None:
            return super().losses(batch)
        images = [batch.query, *batch.supports[:, 0].unbind(1)]
        masks = torch.cat([batch.query_masks[:, :1], batch.support_masks[:, 0]], dim=1)
        middles = [self.middle(self.encode(image)) for image in images]
        if self.training:
            self.memory.write(*(torch.cat(values) for values in zip(*map(style, middles), strict=True)))
        original = [self.down_conv(middle) for middle in middles]
        enhanced = [self.down_conv(self.memory.enhance(middle)) for middle in middles]

        if self.parts.source:
            twice = [torch.cat(pair) for pair in zip(original, enhanced, strict=True)]
            losses = self.segmentation_losses(twice[0], twice[1:], _twice(batch))
        else:
            losses = self.segmentation_losses(original[0], original[1:], batch)
        if self.parts.contrast:
            pooled, pooled_enhanced = (_instances(maps, masks) for maps in (original, enhanced))
            classes = batch.classes[:, 0].repeat(len(images))
            nonempty = pooled.any(dim=1)
            losses["contrast"] = contrast_loss(pooled[nonempty], pooled_enhanced[nonempty], classes[nonempty])
        losses["orthogonality"] = self.memory.orthogonality()
        return losses


def contrast_loss(original: Tensor, enhanced: Tensor, classes: Tensor, temperature: float = _TEMPERATURE) -> Tensor:
    """Return L_cont = 1 / (2|B|) sum_i -log(pos / (pos + neg)) of |B| instances, original and enhanced.

    pos and neg are sums of exp(cosine / temperature): pos over the instances of the same class on the other side, neg
    over the instances of other classes on both sides. Without another class the loss is 0.

    Args:
        original: (|B|, C).
        enhanced: (|B|, C), in the same order.
        classes: int64 (|B|,).
        temperature: Above 0.
    """
    if len(classes) == 0:
        return (original.sum() + enhanced.sum()) * 0.0
    units = F.normalize(torch.cat([original, enhanced]), dim=1)
    similarity = units @ units.T / temperature
    same = classes[:, None] == classes[None]
    nothing = torch.zeros_like(same)
    positive = torch.cat([torch.cat([nothing, same], dim=1), torch.cat([same, nothing], dim=1)])
    negative = ~same.repeat(2, 2)
    pos = similarity.masked_fill(~positive, -torch.inf).logsumexp(dim=1)
    both = similarity.masked_fill(~(positive | negative), -torch.inf).logsumexp(dim=1)
    return (both - pos).mean()


def _twice(batch: TrainingBatch) -> TrainingBatch:
    """Return the masks of episodes twice: for the original and for the enhanced maps."""
    return replace(
        batch, query_masks=torch.cat([batch.query_masks] * 2), support_masks=torch.cat([batch.support_masks] * 2)
    )


def _instances(reduced: Sequence[Tensor], masks: Tensor) -> Tensor:
    """Return the masked average of each object; zero if it covers no area.

    Args:
        reduced: Maps of the query and of K supports, (B, C, h, w) each.
        masks: uint8 (B, 1 + K, H, W).
    """
    pooled = [
        masked_average(maps, resize_mask(foreground(mask), maps))
        for maps, mask in zip(reduced, masks.unbind(1), strict=True)
    ]
    return torch.cat(pooled)[:, :, 0, 0]
