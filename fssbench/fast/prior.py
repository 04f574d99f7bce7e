"""The prior mask, computed from the positions that the support mask keeps; all other positions are exactly zero."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fssbench.fast.pytree import Ragged, padded
from fssbench.layers.devices import serial_on
from fssbench.layers.prior import EPS, normalized

Box = tuple[int, int, int, int]
"""(top, bottom, left, right) of a part of a map."""

_COLUMNS = 512
"""How many support positions are compared at once, so that their similarities fit in the processor's cache."""


@dataclass(frozen=True, eq=False)
class KeptColumns(Ragged):
    """layer4 of B supports at the positions that the masks keep; all other positions are exactly zero.

    Attributes:
        columns: The features at the kept positions, (B, n, C), padded with zeros for an image that keeps fewer.
        places: The kept positions in row-major order, int64 (B, n), padded with -1.
        size: (h, w) of the whole map.
    """

    columns: Tensor
    places: Tensor
    size: tuple[int, int]

    @property
    def kind(self) -> Hashable:
        """Size of the whole map, channels and precision."""
        return self.size, self.columns.shape[2], self.columns.dtype, self.columns.device

    def collate_with(self, others: Sequence[KeptColumns]) -> KeptColumns:
        """Return these supports and others of the same size as one batch."""
        every = (self, *others)
        columns = padded([kept.columns for kept in every], 0.0)
        places = padded([kept.places for kept in every], -1)
        return KeptColumns(columns, places, self.size)

    def each(self) -> list[KeptColumns]:
        """Return each support with B = 1 and without padding. On a GPU this waits for it."""
        counts = (self.places >= 0).sum(dim=1).tolist()
        return [
            KeptColumns(self.columns[one : one + 1, :count], self.places[one : one + 1, :count], self.size)
            for one, count in enumerate(counts)
        ]

    def spread(self) -> Tensor:
        """Return the whole map, (B, C, h, w)."""
        batch, _, channels = self.columns.shape
        height, width = self.size
        at = torch.where(self.places < 0, height * width, self.places)
        whole = self.columns.new_zeros(batch, height * width + 1, channels)
        whole.scatter_(1, at[..., None].expand_as(self.columns), self.columns)
        return whole[:, :-1].view(batch, height, width, channels).permute(0, 3, 1, 2)


def kept_columns(features: Tensor, weights: Tensor, box: Box | None = None) -> KeptColumns:
    """Return maps multiplied by a mask, at the positions where the mask is not zero.

    Args:
        features: (B, C, h, w), or the part of it inside the box.
        weights: The mask at the size of the whole map, (B, 1, h, w) in [0, 1].
        box: The mask is zero outside of it; default the whole map.
    """
    height, width = weights.shape[-2:]
    top, bottom, left, right = box or (0, height, 0, width)
    inside = weights[:, 0, top:bottom, left:right].flatten(1)
    found = [weight.nonzero()[:, 0] for weight in inside]
    most = max(len(at) for at in found)
    columns, places = [], []
    for rows, weight, at in zip(features.permute(0, 2, 3, 1).flatten(1, 2), inside, found, strict=True):
        kept = rows.index_select(0, at) * weight.index_select(0, at)[:, None]
        columns.append(F.pad(kept, (0, 0, 0, most - len(at))))
        row, column = at // (right - left) + top, at % (right - left) + left
        places.append(F.pad(row * width + column, (0, most - len(at)), value=-1))
    return KeptColumns(torch.stack(columns), torch.stack(places), (height, width))


def prior_of_kept(query: Tensor, support: KeptColumns, size: tuple[int, int]) -> Tensor:
    """Return the result of `fssbench.layers.prior.prior_mask`, (B, 1, *size), from kept positions.

    Args:
        query: layer4 of the query, (B, C, h, w).
        support: layer4 of the support at the kept positions.
        size: (height, width) of the result.
    """
    return normalized(most_similar_kept(query, support), (query.shape[-2], query.shape[-1]), size)


def most_similar_kept(query: Tensor, support: KeptColumns) -> Tensor:
    """Return the result of `fssbench.layers.prior.most_similar`, (B, h * w), from kept positions."""
    if not serial_on(query.device):
        return _largest_cosine(query, support)
    pairs = zip(torch.split(query, 1), support.each(), strict=True)
    return torch.cat([_largest_cosine(*pair) for pair in pairs])


def _largest_cosine(query: Tensor, support: KeptColumns) -> Tensor:
    """Return the largest cosine of each query position (B, C, h, w) with its supports' positions, (B, h * w)."""
    rows = query.flatten(2)
    columns = support.columns
    lengths, of_columns = torch.linalg.vector_norm(rows, dim=1), torch.linalg.vector_norm(columns, dim=2)
    positions = support.size[0] * support.size[1]
    # A masked-out position has cosine 0; if there is none, the largest cosine may be negative. An image that keeps
    # fewer positions than another has masked-out ones. Its padding has their cosine 0, which is compared if the other
    # image keeps all positions.
    nothing = 0.0 if columns.shape[1] < positions else -torch.inf
    most = rows.new_full((len(rows), rows.shape[2]), nothing)
    for start in range(0, columns.shape[1], _COLUMNS):
        block = slice(start, start + _COLUMNS)
        cosine = torch.bmm(columns[:, block], rows)
        cosine /= (of_columns[:, block, None] * lengths[:, None]).add_(EPS)
        most = torch.maximum(most, cosine.amax(dim=1))
    return most
