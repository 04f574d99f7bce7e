"""The decoders of SCL's two baselines, as they are with two vectors of a support; see `fssbench.methods.scl`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fssbench.layers.enrichment import Bins, FeatureEnrichment, conv1x1, reduction
from fssbench.methods.base.staged import StageMaps
from fssbench.methods.canet import IterativeOptimization, dense, residual_block


@dataclass(frozen=True, eq=False)
class Guided:
    """What the decoder says of B supports that are segmented by their own vectors, or by those of another shot.

    Attributes:
        logits: Raw, (B, 2, h, w), background first.
        maps: PFENet's enriched map of each scale; CANet has none.
        inner: What each of these scales alone says, where that was wanted.
    """

    logits: Tensor
    maps: tuple[Tensor, ...] = ()
    inner: tuple[Tensor, ...] = ()


class OnPFENet(nn.Module):
    """PFENet as the baseline: its reductions, and its enrichment with a second set of first convolutions for supports.

    Args:
        channels: Of the middle-level maps.
        width: Of the head.
        bins: Sides of the pyramid, as `fssbench.methods.pfenet.PFENet` has them.
    """

    def __init__(self, channels: int, width: int, bins: Bins) -> None:
        super().__init__()
        self.down_query = reduction(channels, width)
        self.down_supp = reduction(channels, width)
        enrichment = FeatureEnrichment(3 * width + 1, width, bins)
        self._enrichment = (enrichment,)
        for name, child in enrichment.named_children():
            self.add_module(name, child)
        self.supp_init_merge = nn.ModuleList(conv1x1(3 * width, width) for _ in enrichment.bins)

    def query_features(self, maps: StageMaps) -> Tensor:
        """Return F_q, (B, width, h, w)."""
        features: Tensor = self.down_query(maps.middle)
        return features

    def support_features(self, maps: StageMaps) -> Tensor:
        """Return F_s, (B, width, h, w)."""
        features: Tensor = self.down_supp(maps.middle)
        return features

    def guide(
        self, features: Tensor, vectors: Sequence[Tensor], first: Sequence[Tensor] = (), *, inner: bool = False
    ) -> Guided:
        """Return what is said of supports with F_s by two vectors.

        Args:
            features: F_s.
            vectors: Two, (B, width, 1, 1) each.
            first: The maps of the first prediction of these supports. Quirk: with other vectors too, each scale is
                given the finer map of the first prediction, not its own (the README says so).
            inner: Whether `Guided.inner` is wanted.
        """
        enrichment = self._enrichment[0]
        maps = enrichment.enrich(features, vectors, merge=self.supp_init_merge, finer=first or None)
        scales = tuple(enrichment.inner_logits(maps)) if inner else ()
        return Guided(enrichment.classify(maps, size_of(features)), tuple(maps), scales)

    def segment(self, features: Tensor, vectors: Sequence[Tensor], prior: Tensor, *, inner: bool = False) -> Guided:
        """Return what is said of queries with F_q by the vectors of a support and its prior (B, 1, h, w)."""
        enrichment = self._enrichment[0]
        maps = enrichment.enrich(features, vectors, [prior])
        scales = tuple(enrichment.inner_logits(maps)) if inner else ()
        return Guided(enrichment.classify(maps, size_of(features)), tuple(maps), scales)


class CANetDecoder(IterativeOptimization):
    """CANet's comparison and iterative optimisation; supports have a first residual block without a prediction.

    Args:
        width: Channels of the features.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.layer55 = dense(nn.Conv2d(3 * width, width, 3, padding=2, dilation=2))
        self.supp_residule1 = residual_block(width, width)

    def compare(self, features: Tensor, vectors: Sequence[Tensor]) -> Tensor:
        """Return the comparison features (B, width, h, w) of features and two vectors (B, width, 1, 1)."""
        compared: Tensor = self.layer55(torch.cat([features, *(one.expand_as(features) for one in vectors)], dim=1))
        return compared


class OnCANet(nn.Module):
    """CANet as the baseline.

    Args:
        channels: Of layer2 and layer3 together.
        width: Of the head.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.layer5 = dense(nn.Conv2d(channels, width, 3, padding=2, dilation=2))
        self.FPM_Decoder = CANetDecoder(width)

    def features(self, maps: StageMaps) -> Tensor:
        """Return F_q or F_s, (B, width, h, w)."""
        features: Tensor = self.layer5(torch.cat([maps.layer2, maps.layer3], dim=1))
        return features

    def guide(self, features: Tensor, vectors: Sequence[Tensor]) -> Guided:
        """Return what is said of supports with F_s by two vectors."""
        x = self.FPM_Decoder.compare(features, vectors)
        return Guided(self.FPM_Decoder.classify(x + self.FPM_Decoder.supp_residule1(x)))


def size_of(features: Tensor) -> tuple[int, int]:
    """Return (height, width) of maps (B, C, h, w)."""
    return features.shape[-2], features.shape[-1]
