"""PFENet's prior mask (Tian et al., TPAMI 2020, section 3.2, Eq. 2 to 5)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_EPS = 1e-7


_COLUMNS = 512
"""Support positions compared at once: the similarities of a block stay in the cache."""


@dataclass(frozen=True, eq=False)
class KeptColumns:
    """What a mask leaves of layer4 of B supports; all else is exactly zero.

    Attributes:
        columns: The features of the positions kept, (B, n, C); an image that keeps fewer has zeros behind them.
        places: Where they are in row-major order, int64 (B, n); -1 behind them.
        size: (h, w) of the whole map.
    """

    columns: Tensor
    places: Tensor
    size: tuple[int, int]

    def spread(self) -> Tensor:
        """Return the whole map, (B, C, h, w)."""
        batch, _, channels = self.columns.shape
        height, width = self.size
        at = torch.where(self.places < 0, height * width, self.places)
        whole = self.columns.new_zeros(batch, height * width + 1, channels)
        whole.scatter_(1, at[..., None].expand_as(self.columns), self.columns)
        return whole[:, :-1].view(batch, height, width, channels).permute(0, 3, 1, 2)


def kept_columns(features: Tensor, weights: Tensor, box: tuple[int, int, int, int] | None = None) -> KeptColumns:
    """Return what is left of maps multiplied by a mask.

    Args:
        features: (B, C, h, w), or what is in the box of it.
        weights: The mask at the size of the whole map, (B, 1, h, w) in [0, 1].
        box: (top, bottom, left, right) outside of which the mask is zero; default the whole map.
    """
    height, width = weights.shape[-2:]
    top, bottom, left, right = box or (0, height, 0, width)
    inside = weights[:, 0, top:bottom, left:right].flatten(1)
    found = [its.nonzero()[:, 0] for its in inside]
    most = max(len(its) for its in found)
    columns, places = [], []
    for its, weight, at in zip(features.permute(0, 2, 3, 1).flatten(1, 2), inside, found, strict=True):
        kept = its.index_select(0, at) * weight.index_select(0, at)[:, None]
        columns.append(F.pad(kept, (0, 0, 0, most - len(at))))
        row, column = at // (right - left) + top, at % (right - left) + left
        places.append(F.pad(row * width + column, (0, most - len(at)), value=-1))
    return KeptColumns(torch.stack(columns), torch.stack(places), (height, width))


def prior_mask(query: Tensor, support: Tensor | KeptColumns, size: tuple[int, int]) -> Tensor:
    """Return how alike each query position is to the support position most like it, (B, 1, *size) in [0, 1).

    As released: 1e-7 is added to the product of the norms, the largest cosine over all support positions is taken
    (masked-out positions, whose cosine is 0, are among them), then it is spread to [0, 1) over the query's positions.

    Args:
        query: layer4 of the query, (B, C, h, w).
        support: layer4 of the support, its background zeroed, (B, C, h', w'), or what is left of it.
        size: (height, width) to which it is resized, bilinear with aligned corners.
    """
    batch, _, height, width = query.shape
    if isinstance(support, KeptColumns):
        alike = torch.stack([_most_alike(query[one], support, one) for one in range(batch)])
    else:
        a, b = query.flatten(2), support.flatten(2)
        norms = a.norm(dim=1)[:, :, None] * b.norm(dim=1)[:, None, :]
        cosine = torch.bmm(a.transpose(1, 2), b) / (norms + _EPS)
        alike = cosine.amax(dim=2)
    low, high = alike.amin(dim=1, keepdim=True), alike.amax(dim=1, keepdim=True)
    spread = (alike - low) / (high - low + _EPS)
    return F.interpolate(spread.view(batch, 1, height, width), size, mode="bilinear", align_corners=True)


def _most_alike(query: Tensor, support: KeptColumns, one: int) -> Tensor:
    """Return the largest cosine of each position of a query (C, h, w) with those of one of B supports, (h * w,)."""
    rows = query.permute(1, 2, 0).flatten(0, 1)
    columns = support.columns[one]
    lengths, of_columns = (torch.linalg.vector_norm(its, dim=1) for its in (rows, columns))
    positions = support.size[0] * support.size[1]
    # A position that was masked out has cosine 0; where none was, the largest may be negative.
    most = rows.new_full((len(rows),), 0.0 if len(columns) < positions else -torch.inf)
    for start in range(0, len(columns), _COLUMNS):
        block = slice(start, start + _COLUMNS)
        cosine = columns[block] @ rows.T
        cosine /= torch.outer(of_columns[block], lengths).add_(_EPS)
        most = torch.maximum(most, cosine.amax(dim=0))
    return most
