"""Hypercorrelation pyramid: cosine similarities of all query and support positions (HSNet, Eq. 1 and 2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

EPS = 1e-5
"""Added to the length of a feature before the feature is divided by it."""


def hypercorrelation(query: Sequence[Tensor], support: Sequence[Tensor], levels: tuple[int, int, int]) -> list[Tensor]:
    """Return the pyramid of stacked correlations, deepest level first (HSNet, Eq. 2).

    Args:
        query: Feature maps, shallow level first, each (B, C, h, w).
        support: The same maps of the support, each (B, C, h', w').
        levels: How many maps the shallow, middle and deep level have.

    Returns:
        Three tensors (B, maps, h, w, h', w'); within a level the maps are in forward order.
    """
    pyramid = []
    for start, stop in bounds(levels):
        pairs = zip(query[start:stop], support[start:stop], strict=True)
        pyramid.append(torch.stack([correlate(q, s) for q, s in pairs], dim=1))
    return pyramid[::-1]


def correlate(query: Tensor, support: Tensor) -> Tensor:
    """Return the non-negative cosine similarity of every pair of positions (HSNet, Eq. 1).

    Args:
        query: (B, C, h, w).
        support: (B, C, h', w').

    Returns:
        (B, h, w, h', w') in [0, 1].
    """
    correlation: Tensor = torch.bmm(_unit(query).transpose(1, 2), _unit(support)).clamp(min=0)
    return correlation.view(-1, *query.shape[2:], *support.shape[2:])


def bounds(levels: Sequence[int]) -> list[tuple[int, int]]:
    """Return the range (start, stop) of each level's maps among all maps, shallow level first."""
    stops = [sum(levels[: n + 1]) for n in range(len(levels))]
    return [(stop - count, stop) for stop, count in zip(stops, levels, strict=True)]


def _unit(features: Tensor) -> Tensor:
    # The release adds the constant to the norm instead of clamping the norm from below.
    flat = features.flatten(2)
    norm: Tensor = torch.linalg.vector_norm(flat, dim=1, keepdim=True)
    return flat / (norm + EPS)
