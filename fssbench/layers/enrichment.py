"""PFENet's feature enrichment module and its classification head (Tian et al., TPAMI 2020).

ASGNet's context module and SCL's decoder are the same network with other inputs. Facts from dvlab-research/PFENet at
a505675, model/PFENet.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.errors import UsageError

FRACTIONS = (1.0, 0.5, 0.25, 0.125)
"""The scales of the COCO configuration, as fractions of the query's map."""
Bins = Sequence[float] | Literal["fractions"]
"""Sides of scales; "fractions" are those of the COCO configuration."""


def default_bins(backbone: str) -> Bins:
    """Return the scales of the releases' PASCAL configuration; fractions for the small backbone, which has none."""
    return "fractions" if backbone == "small" else (60, 30, 15, 8)


class FeatureEnrichment(nn.Module):
    """Inter-source enrichment, inter-scale interaction and information concentration, then the classifier.

    Its children have their names in the releases, where they are children of the model itself.

    Args:
        inputs: Channels of all inputs together: 2 * width + 1 for query, prototype and prior.
        width: Hidden channels; the releases have 256.
        bins: Sides of the scales, finest first: above 1 a number of positions, up to 1 a fraction of the query's map;
            or "fractions".
        merge: Name of the first convolutions ("corr_conv" in ASGNet).

    Raises:
        UsageError: If a bin is neither a fraction nor a whole number.
    """

    def __init__(self, inputs: int, width: int, bins: Bins, merge: str = "init_merge") -> None:
        super().__init__()
        self.bins = _checked(bins)
        self._merge = merge
        scales = range(len(self.bins))
        self.add_module(merge, nn.ModuleList(conv1x1(inputs, width) for _ in scales))
        self.alpha_conv = nn.ModuleList(conv1x1(2 * width, width) for _ in scales[1:])
        self.beta_conv = nn.ModuleList(conv3x3_pair(width) for _ in scales)
        self.inner_cls = nn.ModuleList(classifier(width) for _ in scales)
        self.res1 = conv1x1(width * len(self.bins), width)
        self.res2 = conv3x3_pair(width)
        self.cls = classifier(width)

    def enrich(
        self,
        pooled: Tensor,
        vectors: Sequence[Tensor] = (),
        resized: Sequence[Tensor] = (),
        merge: nn.ModuleList | None = None,
        finer: Sequence[Tensor] | None = None,
        at_scales: Sequence[Tensor] = (),
    ) -> list[Tensor]:
        """Return the enriched map of each scale, (B, width, bin, bin), finest first.

        The inputs are concatenated in this order:

        Args:
            pooled: A map that average pooling resizes to each scale: the query, (B, C, h, w).
            vectors: Prototypes, (B, C', 1, 1), expanded to all positions.
            resized: Maps that are resized bilinearly to each scale: the prior, (B, 1, h, w).
            merge: First convolutions other than this module's own (SCL has a second set).
            finer: Maps of another call that replace the finer maps of this call (also SCL).
            at_scales: A last input for each scale, at its size: (B, C'', bin, bin).
        """
        size = (pooled.shape[-2], pooled.shape[-1])
        first = self.get_submodule(self._merge) if merge is None else merge
        maps: list[Tensor] = []
        for scale, cells in enumerate(grids(self.bins, size)):
            sources = [F.adaptive_avg_pool2d(pooled, cells)]
            sources += [vector.expand(-1, -1, *cells) for vector in vectors]
            sources += [resize(source, cells) for source in resized]
            sources += at_scales[scale : scale + 1]
            merged = first.get_submodule(str(scale))(torch.cat(sources, dim=1))
            before = maps if finer is None else finer
            maps.append(self.interact(scale, merged, before[scale - 1] if scale else None, size))
        return maps

    def interact(self, scale: int, merged: Tensor, finer: Tensor | None, size: tuple[int, int]) -> Tensor:
        """Return the enriched map of one scale: the finer scale's map is merged, then the map is refined.

        Args:
            scale: Its number; 0 is the finest.
            merged: The merged inputs at this scale, (B, width, bin, bin).
            finer: The enriched map of the scale before; None at the finest.
            size: (height, width) of the query's map.
        """
        if finer is not None:
            # Quirk: the finer map is resized to the query's size first, not directly to this scale.
            resized = resize(resize(finer, size), (merged.shape[-2], merged.shape[-1]))
            merged = self.get_submodule(f"alpha_conv.{scale - 1}")(torch.cat([merged, resized], dim=1)) + merged
        refined: Tensor = self.get_submodule(f"beta_conv.{scale}")(merged) + merged
        return refined

    def inner_logits(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return the logits of each scale alone, (B, 2, bin, bin) raw, for the auxiliary loss L_1."""
        return [inner(enriched) for inner, enriched in zip(self.inner_cls, maps, strict=True)]

    def classify(self, maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Return the logits from all scales, (B, 2, *size) raw.

        Args:
            maps: From `enrich`.
            size: (height, width) of the query's map.
        """
        concatenated = self.res1(torch.cat([resize(enriched, size) for enriched in maps], dim=1))
        logits: Tensor = self.cls(self.res2(concatenated) + concatenated)
        return logits


def classifier(width: int, classes: int = 2) -> nn.Sequential:
    """Return the releases' classifier: 3x3 convolution, ReLU, dropout of channels, 1x1 convolution."""
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1, bias=False), nn.ReLU(), nn.Dropout2d(0.1), nn.Conv2d(width, classes, 1)
    )


def reduction(inputs: int, width: int) -> nn.Sequential:
    """Return the releases' reduction of middle-level maps: 1x1 convolution, ReLU, dropout of channels."""
    return nn.Sequential(nn.Conv2d(inputs, width, 1, bias=False), nn.ReLU(), nn.Dropout2d(0.5))


def conv1x1(inputs: int, outputs: int) -> nn.Sequential:
    """Return a 1x1 convolution without bias, and ReLU."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.ReLU())


def conv3x3_pair(width: int) -> nn.Sequential:
    """Return two 3x3 convolutions without bias, each with ReLU; the caller adds their input."""
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.ReLU(),
    )


def _checked(bins: Bins) -> tuple[float, ...]:
    if bins == "fractions":
        return FRACTIONS
    if not bins or isinstance(bins, str) or any(side <= 0 or (side > 1 and side != int(side)) for side in bins):
        raise UsageError(
            f"bins are whole numbers of positions, or fractions up to 1 of the query's map, not {bins!r}",
            "bins='fractions', which are (1.0, 0.5, 0.25, 0.125)",
        )
    return tuple(bins)


def grids(bins: Sequence[float], size: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the positions of each scale; the releases use square maps, for which both axes are equal."""
    height, width = size
    return [
        (max(1, int(height * side)), max(1, int(width * side))) if side <= 1 else (int(side), int(side))
        for side in bins
    ]


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Return maps (B, C, h, w) at another size, bilinear with aligned corners."""
    return F.interpolate(x, size, mode="bilinear", align_corners=True)
