"""PATNet's fast form: what the transformation leaves of a feature is two numbers, and correlations are made of them.

P = R C+ has rank 2, so a transformed feature is R times the pair C+ f, and the cosine of two of them depends on the
pairs and on R's products with itself alone. Pairs are taken by the root of these products (2 x 2), after which their
own cosines are those of the transformed features. HSNet's fast form does the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from fssbench.backbones import Pyramid
from fssbench.fast.correlation import (
    KeptPositions,
    UnitMaps,
    dense_hypercorrelation,
    each_image,
    each_support,
    in_precision_of,
    keep_positions,
    unit_rows,
)
from fssbench.fast.hsnet import score_pair
from fssbench.fast.pairwise import FastPairwise, Supports, with_fast_decoder
from fssbench.layers.devices import serial_on
from fssbench.layers.masks import foreground, resize_mask
from fssbench.methods.base.method import Prediction
from fssbench.methods.patnet import PATNet, PATNetSupport, inverse_of, prototypes, unit


@dataclass(frozen=True, eq=False)
class RowMaps(UnitMaps):
    """Feature maps whose positions are rows and keep their length."""


@dataclass(frozen=True, eq=False)
class PairSupport:
    """What is kept of B supports.

    Attributes:
        kept: The pairs of the masked maps, with `units` (B, n, 2) of any length.
        inverses: C+ of each map, transposed: (B, C, 2).
        plain: Prototypes and anchors; its masked maps are left out.
    """

    kept: KeptPositions
    inverses: tuple[Tensor, ...]
    plain: PATNetSupport


class FastPATNet(FastPairwise, PATNet):
    """PATNet whose queries are `RowMaps` and whose supports are `PairSupport`."""

    peak: ClassVar[int] = 4

    def prepare(self) -> None:
        """Fold backbone and decoder."""
        super().prepare()
        self.hpn_learner = with_fast_decoder(self.hpn_learner)

    def condition(self, features: Pyramid, mask: Tensor) -> PairSupport:  # type: ignore[override] # read here alone
        """Return the pairs of the support's positions that the mask keeps."""
        dtype = self.get_parameter("reference_layer1.weight").dtype
        inside = foreground(mask)
        found, inverses, pairs = [], [], []
        with torch.autocast(mask.device.type, enabled=False):
            for feature in (one.to(dtype) for one in features):
                found.append(prototypes(feature, resize_mask(inside, feature)))
                inverses.append(inverse_of(found[-1]))
                pairs.append((inverses[-1].mT @ feature.flatten(2)).view(len(feature), 2, *feature.shape[2:]))
            kept = keep_positions(pairs, inside, normalised=False)
        return PairSupport(kept, tuple(inverses), PATNetSupport((), tuple(found), self.references(len(mask))))

    def prepare_query(self, features: Pyramid | UnitMaps) -> RowMaps:  # type: ignore[override] # read by `score` alone
        """Return the maps with positions as rows; prepared maps are returned unchanged."""
        if isinstance(features, RowMaps):
            return features
        maps = features.units if isinstance(features, UnitMaps) else features
        return RowMaps(tuple(feature.permute(0, 2, 3, 1).contiguous() for feature in maps))

    def score(self, query: UnitMaps, support: PairSupport) -> Tensor:  # type: ignore[override] # from `condition`
        """Return the result of `PATNet.score`."""
        learner = self.hpn_learner
        device = query.units[0].device
        # Products are written in place, which autocast does not support.
        with torch.autocast(device.type, enabled=False):
            roots = [root_of(unit(reference)) for reference in support.plain.references]
            rows = in_precision_of(query, learner).units
            own = [
                row.flatten(1, 2) @ inverse @ root
                for row, inverse, root in zip(rows, support.inverses, roots, strict=True)
            ]
            query = UnitMaps(
                tuple(unit_rows(pair).view(*row.shape[:3], 2) for pair, row in zip(own, rows, strict=True))
            )
            kept = support.kept
            kept = replace(
                kept, units=tuple(unit_rows(pair @ root) for pair, root in zip(kept.units, roots, strict=True))
            )
            if serial_on(device):
                pairs = zip(each_image(query), each_support(kept), strict=True)
                return torch.cat([score_pair(learner, *pair) for pair in pairs])
            logits: Tensor = learner(dense_hypercorrelation(query, kept, self.backbone.levels))
            return logits.contiguous()

    def predict_episodes(
        self, queries: Sequence[Pyramid | UnitMaps], supports: Sequence[Supports], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the predictions of several episodes; with fine-tuning those after it."""
        prepared = [self.prepare_query(query) for query in queries]
        coarse = super().predict_episodes(prepared, supports, sizes)
        if self.rate == 0:
            return coarse
        tuned = [
            self.tuned(query, ways[0], one.labels) for query, ways, one in zip(prepared, supports, coarse, strict=True)
        ]
        return super().predict_episodes(prepared, [[shots] for shots in tuned], sizes)

    def tuned(self, query: RowMaps, shots: Sequence[PairSupport], labels: Tensor) -> list[PairSupport]:
        """Return the supports with anchors that are fine-tuned to the episode; see `PATNet.fine_tuned`."""
        dtype = self.get_parameter("reference_layer1.weight").dtype
        maps = tuple(rows.permute(0, 3, 1, 2).to(dtype) for rows in query.units)
        found = self.fine_tuned(maps, [shot.plain for shot in shots], labels)
        return [replace(shot, plain=plain) for shot, plain in zip(shots, found, strict=True)]


def root_of(reference: Tensor) -> Tensor:
    """Return the matrices L (B, 2, 2) with L L^T = R^T R, for R transposed (B, 2, C); L is lower triangular."""
    products = (reference.double() @ reference.double().mT).flatten(1)
    first = products[:, 0].clamp(min=torch.finfo(torch.float64).tiny).sqrt()
    below = products[:, 2] / first
    last = (products[:, 3] - below.square()).clamp(min=0).sqrt()
    root = torch.stack([first, torch.zeros_like(first), below, last], dim=1).view(-1, 2, 2)
    return root.to(reference.dtype)
