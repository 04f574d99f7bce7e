"""PFENet: Tian et al., "Prior Guided Feature Enrichment Network for Few-Shot Segmentation", TPAMI 2020.

Facts from dvlab-research/PFENet at a505675; the FS-CS variant from dahyun-kang/ifsl at d0b0c0d, fs-cs/model/pfenet.py
and fs-cs/model/module/pfenet.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from fssbench.backbones.staged import StagedBackbone, staged
from fssbench.errors import UsageError
from fssbench.layers.enrichment import Bins, FeatureEnrichment, default_bins, reduction
from fssbench.layers.losses import ifsl_losses, segmentation_loss
from fssbench.methods.base.method import Prediction, TrainingBatch
from fssbench.methods.base.pairwise import merge_ways
from fssbench.methods.base.staged import StagedMethod, StageMaps, decide_each

_AUXILIARY_WEIGHT = 1.0
"""aux_weight in every released configuration, the paper's sigma."""


@dataclass(frozen=True, eq=False)
class PFENetQuery:
    """What the head needs of B queries.

    Attributes:
        reduced: The reduced middle-level maps, (B, width, h, w).
        layer4: layer4, (B, C, h', w').
        size: (height, width) of the images.
    """

    reduced: Tensor
    layer4: Tensor
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class PFENetSupport:
    """What is kept of B support images.

    Attributes:
        prototype: Masked average of the reduced middle-level maps, (B, width, 1, 1).
        layer4: layer4 of the masked maps, masked again, (B, C, h, w), for the prior.
    """

    prototype: Tensor
    layer4: Tensor


class PFENet(StagedMethod[PFENetQuery, PFENetSupport]):
    """Prior guided feature enrichment network.

    The FS-CS variant keeps a bug of iFSL's. With N > 1 ways the masked layer4 maps of all ways, (N, C, h, w), are read
    as (1, C, N * h * w) without a permutation of ways and channels. So for 2 ways "channel" c of the similarity
    contains the channels 2c and 2c + 1 of one way, and all ways share one prior. iFSL's printed N-way numbers include
    this bug.

    Args:
        backbone: Name of the frozen backbone.
        variant: "fss" as its authors released it, or "fscs" as iFSL re-implements it (ResNet-50 and small only).
        way: N; more than 1 in FS-CS only.
        shot: K.
        weak: FS-CS only: trained with image-level labels. Predictions still use the support masks.
        width: Channels of the head.
        bins: Sides of the pyramid in positions, finest first, or "fractions" of the query's map (1, 1/2, 1/4, 1/8) as
            in the release's COCO configuration. Default (60, 30, 15, 8) as in its PASCAL configuration, (50, 25, 13, 7)
            in FS-CS, and fractions for the small backbone.
        per_way_prior: FS-CS only: whether each way has the prior of its own supports.
        moving_statistics: Whether the frozen backbone's batch norm updates its running statistics in training. Default
            as released: for "fss" yes (train.py calls `model.train()` and freezes only parameters, so the masked maps
            of supports contribute to layer4's statistics); for "fscs", and for the small backbone, which was not
            released, no.

    Raises:
        UsageError: If an argument does not fit the variant.
    """

    def __init__(
        self,
        backbone: str,
        variant: Literal["fss", "fscs"],
        way: int,
        shot: int,
        weak: bool = False,
        width: int = 256,
        bins: Bins | None = None,
        per_way_prior: bool = False,
        moving_statistics: bool | None = None,
    ) -> None:
        released = variant == "fss"
        if released and per_way_prior:
            raise UsageError("per_way_prior corrects variant fscs; variant fss has one way", "leave per_way_prior out")
        super().__init__(
            _stages(backbone, variant),
            moving_statistics=moving_statistics if released else bool(moving_statistics),
        )
        self.task, self.way, self.shot, self.weak = variant, way, shot, weak
        self.per_way_prior = per_way_prior
        layer2, layer3, _ = self.stages.channels
        # The two releases name the same network differently.
        self._reductions = ("down_query", "down_supp") if released else ("down_qry", "down_spt")
        for name in self._reductions:
            self.add_module(name, reduction(layer2 + layer3, width))
        if bins is None:
            bins = default_bins(backbone) if released or backbone == "small" else (50, 25, 13, 7)
        enrichment = FeatureEnrichment(2 * width + 1, width, bins)
        if released:
            self._enrichment = self.adopt(enrichment)
        else:
            self.learner = enrichment
            self._enrichment = (enrichment,)

    def condition(self, features: StageMaps, mask: Tensor) -> PFENetSupport:
        """Return prototype and masked layer4 of supports; 255 counts as background."""
        layer4 = self.masked_layer4(features, mask)
        return PFENetSupport(self.prototype_of(self._reduction(1), features, mask), layer4)

    def read_query(self, maps: StageMaps) -> PFENetQuery:
        """Return the reduced map and layer4 of queries."""
        layer4 = self.layer4_of(maps)
        return PFENetQuery(self._reduction(0)(maps.middle), layer4, maps.size)

    def score_ways(self, query: StageMaps | PFENetQuery, supports: Sequence[Sequence[PFENetSupport]]) -> Tensor:
        """Return raw logits (B, N, 2, h, w), background first, at the size of the query's map.

        Args:
            query: Maps of B queries.
            supports: `supports[n][k]` is the k-th support of the n-th way, of B episodes.
        """
        maps, size = self._enriched(self.prepare_query(query), supports)
        return _by_way(self._enrichment[0].classify(maps, size), len(supports))

    def predict_batch(
        self, query: PFENetQuery, supports: Sequence[Sequence[PFENetSupport]], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the predictions of B episodes.

        See `decide` for "fss", with raw logits, and `merge_ways` for "fscs".
        """
        logits = self.score_ways(query, supports)
        if self.task == "fscs":
            return [merge_ways(alone, size) for alone, size in zip(torch.split(logits, 1), sizes, strict=True)]
        return decide_each(logits[:, 0], query.size, sizes)

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return "main" and "auxiliary" for "fss", and iFSL's loss for "fscs", which has no auxiliary loss.

        Main is the cross entropy of the prediction, auxiliary the mean cross entropy of the scales, both at the size of
        the query image. The order of the steps is that of the release, because the moving statistics and the dropout
        depend on it.
        """
        query = self.read_query(self.encode(batch.query))
        ways, shots = batch.supports.shape[1:3]
        supports = [
            [self.condition(self.encode(batch.supports[:, n, k]), batch.support_masks[:, n, k]) for k in range(shots)]
            for n in range(ways)
        ]
        maps, size = self._enriched(query, supports)
        enrichment, weight = self._enrichment[0], batch.foreground_weight
        if self.task == "fscs":
            logits = _by_way(enrichment.classify(maps, size), ways)
            return ifsl_losses(logits, batch.query_masks, weak=self.weak, foreground_weight=weight)
        inner = enrichment.inner_logits(maps)
        every = (enrichment.classify(maps, size), *inner)
        main, *auxiliary = (segmentation_loss(logits, batch.query_masks[:, 0], weight) for logits in every)
        return {"main": main, "auxiliary": _AUXILIARY_WEIGHT * torch.stack(auxiliary).mean()}

    def _enriched(
        self, query: PFENetQuery, supports: Sequence[Sequence[PFENetSupport]]
    ) -> tuple[list[Tensor], tuple[int, int]]:
        """Return the enriched maps of B * N ways, the ways of an episode in sequence, and the size of the query map."""
        ways = len(supports)
        size = (query.reduced.shape[-2], query.reduced.shape[-1])
        # K shots: means of the prototypes and of the priors.
        prototypes = torch.stack([_mean([shot.prototype for shot in shots]) for shots in supports], dim=1)
        prior = self.prior_of_ways(query.layer4, supports, size)
        reduced = query.reduced if ways == 1 else query.reduced.repeat_interleave(ways, dim=0)
        maps = self._enrichment[0].enrich(reduced, [prototypes.flatten(0, 1)], [prior.flatten(0, 1)])
        return maps, size

    def prior_of_ways(
        self, layer4: Tensor, supports: Sequence[Sequence[PFENetSupport]], size: tuple[int, int]
    ) -> Tensor:
        """Return the prior of each way, (B, N, 1, *size).

        Args:
            layer4: Of the queries, (B, C, h', w').
            supports: `supports[n][k]` is the k-th support of the n-th way, of B episodes.
            size: (height, width).
        """
        ways = len(supports)
        if self.per_way_prior or ways == 1:
            return torch.stack(
                [_mean([self.prior(layer4, shot.layer4, size) for shot in shots]) for shots in supports], dim=1
            )
        # Quirk: (B, N, C, h, w) is read as (B, C, N * h, w), which mixes ways and channels.
        stacked = [torch.stack([way.layer4 for way in shot], dim=1) for shot in zip(*supports, strict=True)]
        mixed = [maps.reshape(len(maps), maps.shape[2], -1, maps.shape[4]) for maps in stacked]
        shared = _mean([self.prior(layer4, maps, size) for maps in mixed])
        return shared[:, None].expand(-1, ways, -1, -1, -1)

    def _reduction(self, which: int) -> nn.Sequential:
        reduction: nn.Sequential = getattr(self, self._reductions[which])
        return reduction


def _stages(backbone: str, variant: str) -> StagedBackbone:
    # For ResNet-101 iFSL's release silently builds a ResNet-50, so methods.toml leaves it out for "fscs".
    return staged(backbone) if variant == "fss" else staged(backbone, stem="torchvision")


def _by_way(logits: Tensor, ways: int) -> Tensor:
    return logits.view(-1, ways, *logits.shape[1:])


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(tensors)).mean(dim=0)
