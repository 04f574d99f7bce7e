"""NTRENet: Liu et al., "Learning Non-target Knowledge for Few-shot Semantic Segmentation", CVPR 2022.

Facts from LIUYUANWEI98/NERTNet at 1fe13ad, model/ourmodel.py and model/prototypical_contrast.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones.staged import staged
from fssbench.layers.enrichment import (
    Bins,
    FeatureEnrichment,
    classifier,
    conv1x1,
    conv3x3_pair,
    default_bins,
    grids,
    reduction,
    resize,
)
from fssbench.layers.losses import segmentation_loss
from fssbench.layers.masks import foreground, masked_average, resize_mask
from fssbench.layers.non_target import DistractingObjects, background_loss, distractor_mask
from fssbench.methods.base.method import Prediction, TrainingBatch
from fssbench.methods.base.staged import StagedMethod, StageMaps, decide_each
from fssbench.methods.pfenet import PFENetSupport

_ENRICHED_WEIGHT = 0.4
_INITIAL_WEIGHT = 0.6
_CONTRAST_WEIGHT = 0.01


@dataclass(frozen=True)
class Parts:
    """The parts of the method that a row of the paper's ablation has.

    Attributes:
        background: "BGEM": background is mined and eliminated.
        distracting: "DOEM": distracting objects are eliminated; needs the mined background.
        contrast: "PCL": the prototypical contrastive loss; needs the mined background.
    """

    background: bool
    distracting: bool
    contrast: bool


PARTS = {
    "full": Parts(background=True, distracting=True, contrast=True),
    "baseline": Parts(background=False, distracting=False, contrast=False),
    "bgem": Parts(background=True, distracting=False, contrast=False),
    "bgem-doem": Parts(background=True, distracting=True, contrast=False),
}


@dataclass(frozen=True, eq=False)
class NTRENetQuery:
    """What the head needs of B queries.

    Attributes:
        reduced: The reduced middle-level maps, (B, width, h, w).
        layer4: layer4, (B, C, h', w').
        background: Logits of the learned background prototype, (B, 2, h, w); None without DOEM.
        size: (height, width) of the images.
    """

    reduced: Tensor
    layer4: Tensor
    background: Tensor | None
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class NTRENetLogits:
    """Raw logits of B queries, background first except in `background`.

    Attributes:
        final: (B, 2, h, w), at the size of the query's map.
        background: (B, 2, h, w), channel 1 is background; None without background mining.
        initial: For each scale, before distracting objects are eliminated, (B, 2, bin, bin); empty without DOEM.
        enriched: For each scale, at its end, (B, 2, bin, bin); in training only.
    """

    final: Tensor
    background: Tensor | None
    initial: list[Tensor]
    enriched: list[Tensor]


class NTRENet(StagedMethod[NTRENetQuery, PFENetSupport]):
    """Non-target region eliminating network: PFENet with non-target regions eliminated from the query map first.

    The release does not run, because of these errors, which are corrected here: a full-width comma in the constructor,
    a keyword that `forward` does not have, a sum of background losses without an initial value, and `bgpro_num: 2` in
    its only configuration, which does not fit its own layers; there is one background prototype. Its training fails
    with more than one shot. Here the distracting objects of each shot are kept, and the positive of the contrast is the
    mean of the shots' prototypes.

    The release has only the full network, without options for the ablation. The reduced variants are defined here:

    - Without DOEM there is no initial prediction and no refinement after it, which serve to find distracting objects.
      The merged map of a scale goes directly to the interaction of the scales, as in PFENet. The loss of the enriched
      scales then has the weight of both losses, 1.
    - "bgem" mines the background by its loss, although a prediction uses only the prototype.
    - "baseline" merges query, prototype and prior as PFENet does.

    Args:
        backbone: Name of the frozen backbone.
        variant: A row of the paper's ablation, see `PARTS`.
        way: 1.
        shot: K.
        width: Channels of the head.
        bins: Sides of the pyramid in positions, finest first, or "fractions" of the query's map (1, 1/2, 1/4, 1/8).
            Default (60, 30, 15, 8), as in the release's configuration for PASCAL; for the small backbone fractions.
        moving_statistics: Whether the frozen backbone's batch norm updates its running statistics in training. Default
            as released: yes (train.py calls `model.train()` and freezes only parameters); for the small backbone, which
            was not released: no.

    Raises:
        UsageError: If `bins` are not valid sides.
    """

    def __init__(
        self,
        backbone: str,
        variant: str,
        way: int,
        shot: int,
        width: int = 256,
        bins: Bins | None = None,
        moving_statistics: bool | None = None,
    ) -> None:
        super().__init__(staged(backbone), moving_statistics=moving_statistics)
        self.task, self.way, self.shot = "fss", way, shot
        self.parts = PARTS[variant]
        self.seen = DistractingObjects()
        layer2, layer3, _ = self.stages.channels
        self.down_query = reduction(layer2 + layer3, width)
        self.down_supp = reduction(layer2 + layer3, width)
        if bins is None:
            bins = default_bins(backbone)
        inputs = 2 * width + 1
        head = (
            FeatureEnrichment(2 * width, width, bins, merge="init_merge3")
            if self.parts.distracting
            else FeatureEnrichment(inputs, width, bins, merge="init_merge2")
        )
        self._head = self.adopt(head)
        scales = range(len(head.bins))
        if self.parts.background:
            self.bg_prototype = nn.Parameter(torch.zeros(1, width, 1, 1))
            self.down_bg = reduction(2 * width, width)
            self.bg_res1 = conv3x3_pair(width)
            self.bg_cls = classifier(width)
            self.init_merge1 = nn.ModuleList(conv1x1(2 * width, width) for _ in scales)
        if self.parts.distracting:
            self.init_merge2 = nn.ModuleList(conv1x1(inputs, width) for _ in scales)
            # The release has this spelling.
            self.inital_beta_conv = nn.ModuleList(conv3x3_pair(width) for _ in scales)
            self.inital_inner_cls = nn.ModuleList(classifier(width) for _ in scales)

    def condition(self, features: StageMaps, mask: Tensor) -> PFENetSupport:
        """Return prototype and masked layer4 of supports; 255 counts as background."""
        layer4 = self.masked_layer4(features, mask)
        return PFENetSupport(self.prototype_of(self.down_supp, features, mask), layer4)

    def read_query(self, maps: StageMaps) -> NTRENetQuery:
        """Return the reduced map and layer4 of queries, and the mined background."""
        reduced = self.down_query(maps.middle)
        background = self.mine_background(reduced) if self.parts.distracting else None
        return NTRENetQuery(reduced, self.layer4_of(maps), background, maps.size)

    def score(self, query: StageMaps | NTRENetQuery, shots: Sequence[PFENetSupport]) -> NTRENetLogits:
        """Return the logits of B episodes.

        Args:
            query: Maps of B queries.
            shots: The K supports of each.
        """
        prepared = self.prepare_query(query)
        return self._score(prepared.reduced, prepared.layer4, shots, prepared.background)

    def predict_batch(
        self, query: NTRENetQuery, supports: Sequence[Sequence[PFENetSupport]], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the predictions of B episodes, with raw logits; see `decide`."""
        return decide_each(self.score(query, supports[0]).final, query.size, sizes)

    def mine_background(self, reduced: Tensor) -> Tensor:
        """Return the logits of the learned background prototype (BGMM), raw (B, 2, h, w); channel 1 is background.

        Args:
            reduced: Reduced map of a query or a support, (B, width, h, w).
        """
        compared = self.down_bg(torch.cat([reduced, self.bg_prototype.expand_as(reduced)], dim=1))
        logits: Tensor = self.bg_cls(self.bg_res1(compared) + compared)
        return logits

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return the losses of the variant's parts; `seen` collects the batch's distracting objects.

        "main" is the cross entropy of the prediction. "enriched" and "initial" are the mean cross entropies of the
        scales, at their end and before distracting objects are eliminated, with weights 0.4 and 0.6. "background"
        (L_BG) is the mean of `background_loss` over query and supports, "contrast" is 0.01 L_PCL, see
        `DistractingObjects.contrast`. The decisions where distracting objects and the predicted target are carry no
        gradient. The order of the steps is that of the release, because the moving statistics and the dropout depend on
        it.
        """
        query = self.encode(batch.query)
        layer4 = self.layer4_of(query)
        reduced = self.down_query(query.middle)
        masks = batch.support_masks[:, 0].unbind(1)
        supports: list[Tensor] = []
        shots: list[PFENetSupport] = []
        for images, mask in zip(batch.supports[:, 0].unbind(1), masks, strict=True):
            maps = self.encode(images)
            shot4 = self.masked_layer4(maps, mask)
            supports.append(self.down_supp(maps.middle))
            shots.append(PFENetSupport(_prototype(supports[-1], mask), shot4))
        mined = [self.mine_background(image) for image in (reduced, *supports)] if self.parts.background else []
        logits = self._score(reduced, layer4, shots, mined[0] if mined else None)

        mask, weight = batch.query_masks[:, 0], batch.foreground_weight
        losses = {"main": segmentation_loss(logits.final, mask, weight)}
        enriched, initial = (
            [segmentation_loss(scale, mask, weight) for scale in scales] for scales in (logits.enriched, logits.initial)
        )
        if initial:
            losses["enriched"] = _ENRICHED_WEIGHT * torch.stack(enriched).mean()
            losses["initial"] = _INITIAL_WEIGHT * torch.stack(initial).mean()
        else:
            losses["enriched"] = (_ENRICHED_WEIGHT + _INITIAL_WEIGHT) * torch.stack(enriched).mean()
        if mined:
            each = [
                background_loss(background, target) for background, target in zip(mined, (mask, *masks), strict=True)
            ]
            losses["background"] = torch.stack(each).mean()
        if self.parts.contrast:
            contrast = self.seen.contrast(
                logits.final, [reduced, *supports], mined, [mask, *masks], batch.classes[:, 0].tolist()
            )
            losses["contrast"] = _CONTRAST_WEIGHT * contrast
        return losses

    def training_state(self) -> dict[str, Tensor]:
        """Return the collected distracting objects, by the index of their class."""
        return {str(place): prototypes for place, prototypes in self.seen.prototypes.items()}

    def load_training_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue from the result of `training_state`."""
        self.seen.prototypes = {int(place): prototypes for place, prototypes in state.items()}

    def _score(
        self, reduced: Tensor, layer4: Tensor, shots: Sequence[PFENetSupport], background: Tensor | None
    ) -> NTRENetLogits:
        size = (reduced.shape[-2], reduced.shape[-1])
        # K shots: means of the prototypes and of the priors.
        prototype = torch.stack([shot.prototype for shot in shots]).mean(dim=0)
        prior = torch.stack([self.prior(layer4, shot.layer4, size) for shot in shots]).mean(dim=0)
        head = self._head[0]
        maps: list[Tensor] = []
        initial: list[Tensor] = []
        enriched: list[Tensor] = []
        for scale, cells in enumerate(grids(head.bins, size)):
            pooled = F.adaptive_avg_pool2d(reduced, cells)
            merged = self._without_background(scale, pooled)
            sources = [merged, prototype.expand(-1, -1, *cells), resize(prior, cells)]
            merged = self.get_submodule(f"init_merge2.{scale}")(torch.cat(sources, dim=1))
            if background is not None and self.parts.distracting:
                merged, initial_logits = self._without_distracting_objects(scale, merged, pooled, background)
                initial.append(initial_logits)
            maps.append(head.interact(scale, merged, maps[-1] if maps else None, size))
            if self.training:
                enriched.append(head.inner_cls[scale](maps[-1]))
        return NTRENetLogits(head.classify(maps, size), background, initial, enriched)

    def _without_background(self, scale: int, pooled: Tensor) -> Tensor:
        """Return the query at a scale without regions like the background prototype (BGEM)."""
        if not self.parts.background:
            return pooled
        prototype = self.bg_prototype.expand(len(pooled), -1, *pooled.shape[-2:])
        merged: Tensor = self.get_submodule(f"init_merge1.{scale}")(torch.cat([pooled, prototype], dim=1))
        return merged

    def _without_distracting_objects(
        self, scale: int, merged: Tensor, pooled: Tensor, background: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return a scale's merged map without regions like the distracting objects (DOEM), and the initial logits.

        Distracting objects are the positions that are neither background nor, by the initial prediction, the target.
        """
        merged = self.get_submodule(f"inital_beta_conv.{scale}")(merged) + merged
        initial = self.get_submodule(f"inital_inner_cls.{scale}")(merged)
        at_scale = resize(background, (merged.shape[-2], merged.shape[-1]))
        inside = distractor_mask(at_scale, initial.argmax(dim=1, keepdim=True))
        # Quirk: the mean over all positions, not over those of the objects.
        prototype = (inside * pooled).mean(dim=(2, 3), keepdim=True)
        eliminated: Tensor = self.get_submodule(f"init_merge3.{scale}")(
            torch.cat([merged, prototype.expand_as(pooled)], dim=1)
        )
        return eliminated, initial


def _prototype(reduced: Tensor, mask: Tensor) -> Tensor:
    return masked_average(reduced, resize_mask(foreground(mask), reduced))
