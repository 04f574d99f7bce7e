"""Hypercorrelations from maps that are prepared once for all episodes that use them.

`UnitMaps` for a query, `KeptPositions` for a support with zero background. The values are those of
`fssbench.layers.hypercorrelation`.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.fast.pytree import Ragged, padded
from fssbench.layers.hypercorrelation import EPS, bounds
from fssbench.layers.masks import resize_mask


@dataclass(frozen=True, eq=False)
class UnitMaps:
    """Feature maps normalised to length 1 at every position, shallow level first.

    Attributes:
        units: Each (B, h, w, C), contiguous, so that a position is a row.
    """

    units: tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class KeptPositions(Ragged):
    """Masked maps at the positions that the mask keeps, normalised to length 1; all other positions are exactly zero.

    Attributes:
        units: For each map the kept positions, (B, n, C), padded with zeros for an image that keeps fewer than others.
        places: For each map the kept positions in row-major order, rising, int64 (B, n), padded with -1.
        sizes: (h', w') of each map.
    """

    units: tuple[Tensor, ...]
    places: tuple[Tensor, ...]
    sizes: tuple[tuple[int, int], ...]

    @property
    def kind(self) -> Hashable:
        """Sizes, channels and precision of the maps."""
        return self.sizes, tuple((units.shape[2], units.dtype, units.device) for units in self.units)

    def collate_with(self, others: Sequence[KeptPositions]) -> KeptPositions:
        """Return these maps and others of the same sizes as one batch."""
        every = (self, *others)
        units = tuple(padded(maps, 0.0) for maps in zip(*(kept.units for kept in every), strict=True))
        places = tuple(padded(maps, -1) for maps in zip(*(kept.places for kept in every), strict=True))
        return KeptPositions(units, places, self.sizes)


Prepared = TypeVar("Prepared", UnitMaps, KeptPositions)


def unit_maps(features: Sequence[Tensor]) -> UnitMaps:
    """Return feature maps (B, C, h, w) as unit maps."""
    return UnitMaps(tuple(unit_rows(feature.permute(0, 2, 3, 1)) for feature in features))


def keep_positions(features: Sequence[Tensor], mask: Tensor, *, normalised: bool = True) -> KeptPositions:
    """Return maps (B, C, h', w') under a mask (B, H, W) in [0, 1], at the kept positions.

    Each map is multiplied by the resized mask, whose non-zero positions are kept; maps of one size share their
    positions. Positions that are not `normalised` keep their length.
    """
    weights: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
    units, places, sizes = [], [], []
    for feature in features:
        size = (feature.shape[-2], feature.shape[-1])
        if size not in weights:
            resized = resize_mask(mask, feature).flatten(1)
            weights[size] = resized, _places(resized)
        resized, kept = weights[size]
        at = kept.clamp(min=0)
        weight = resized.gather(1, at) * (kept >= 0)
        rows = feature.permute(0, 2, 3, 1).flatten(1, 2)
        taken = torch.stack([one.index_select(0, where) for one, where in zip(rows, at, strict=True)])
        weighted = taken * weight[..., None]
        units.append(unit_rows(weighted) if normalised else weighted)
        places.append(kept)
        sizes.append(size)
    return KeptPositions(tuple(units), tuple(places), tuple(sizes))


def dense_hypercorrelation(
    query: UnitMaps, support: UnitMaps | KeptPositions, levels: tuple[int, int, int]
) -> list[Tensor]:
    """Return the pyramid of `fssbench.layers.hypercorrelation.hypercorrelation` for prepared maps."""
    dense = _spread(support) if isinstance(support, KeptPositions) else support
    return [_stacked(query.units[start:stop], dense.units[start:stop]) for start, stop in bounds(levels)][::-1]


def correlation_bytes(query: UnitMaps) -> int:
    """Return how many bytes the float32 correlations of a query with support maps of the same sizes use."""
    return sum(4 * units.shape[1:3].numel() ** 2 for units in query.units)


def in_precision_of(maps: Prepared, weights: nn.Module) -> Prepared:
    """Return prepared maps in the precision of a module's parameters, independently of autocast."""
    dtype = next(weights.parameters()).dtype
    return replace(maps, units=tuple(units.to(dtype) for units in maps.units))


def each_image(maps: UnitMaps) -> list[UnitMaps]:
    """Return the maps of each of B images, with B = 1."""
    return [UnitMaps(tuple(units[one : one + 1] for units in maps.units)) for one in range(len(maps.units[0]))]


def each_support(maps: KeptPositions) -> list[KeptPositions]:
    """Return the kept positions of each of B supports, with B = 1 and without padding."""
    batch = len(maps.units[0])
    if batch == 1:
        return [maps]
    alone = []
    for one in range(batch):
        counts = [int((places[one] >= 0).sum()) for places in maps.places]
        units, places = (
            tuple(tensor[one : one + 1, :count] for tensor, count in zip(tensors, counts, strict=True))
            for tensors in (maps.units, maps.places)
        )
        alone.append(KeptPositions(units, places, maps.sizes))
    return alone


def _stacked(query: Sequence[Tensor], support: Sequence[Tensor]) -> Tensor:
    batch, height, width, _ = query[0].shape
    rows, columns = support[0].shape[1:3]
    # Every product is written directly into the stack, which is clamped in place.
    stack = query[0].new_empty(batch, len(query), height * width, rows * columns)
    for number, (q, s) in enumerate(zip(query, support, strict=True)):
        for one in range(batch):
            torch.mm(q[one].flatten(0, 1), s[one].flatten(0, 1).T, out=stack[one, number])
    return stack.clamp_(min=0).view(batch, len(query), height, width, rows, columns)


def _spread(kept: KeptPositions) -> UnitMaps:
    maps = []
    for units, places, (height, width) in zip(kept.units, kept.places, kept.sizes, strict=True):
        batch, _, channels = units.shape
        # Padding is written behind the end of the map.
        at = torch.where(places < 0, height * width, places)
        dense = units.new_zeros(batch, height * width + 1, channels)
        dense.scatter_(1, at[..., None].expand_as(units), units)
        maps.append(dense[:, :-1].view(batch, height, width, channels))
    return UnitMaps(tuple(maps))


def _places(weights: Tensor) -> Tensor:
    """Return the non-zero positions of weights (B, positions), int64 (B, n), padded with -1."""
    found = [row.nonzero()[:, 0] for row in weights]
    most = max(len(places) for places in found)
    return torch.stack([F.pad(places, (0, most - len(places)), value=-1) for places in found])


def unit_rows(features: Tensor) -> Tensor:
    """Return features (..., C) normalised to length 1, contiguous."""
    norm: Tensor = torch.linalg.vector_norm(features, dim=-1, keepdim=True)
    return (features / (norm + EPS)).contiguous()
