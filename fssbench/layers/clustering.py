"""K-means of positions, and maps read where a larger one would have a pixel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def k_means(points: Tensor, start: Tensor, rounds: int) -> Tensor:
    """Return the centres (k, C) that Lloyd's algorithm finds of points (n, C).

    Points are assigned `rounds` times, and the centres moved between: a centre with no point stays where it is. What is
    returned are the means of the last assignment, through which gradients flow; a centre with no point is zero.

    Args:
        points: (n, C).
        start: The first centres, (k, C).
        rounds: How often points are assigned; fewer where nothing moves any more.
    """
    with torch.no_grad():
        centres, labels = start.clone(), points.new_zeros(0, dtype=torch.int64)
        for _ in range(rounds):
            before = labels
            # Distances from differences: products of long vectors that are close to each other would cancel.
            labels = torch.cdist(points, centres, compute_mode="donot_use_mm_for_euclid_dist").argmin(dim=1)
            if torch.equal(labels, before):
                break
            means, empty = _means(points, labels, len(start))
            centres = torch.where(empty, centres, means)
    means, _ = _means(points, labels, len(start))
    return means


def _means(points: Tensor, labels: Tensor, count: int) -> tuple[Tensor, Tensor]:
    member = F.one_hot(labels, count).to(points.dtype)
    sizes = member.sum(dim=0)[:, None]
    return member.T @ points / sizes.clamp(min=1), sizes == 0


def read_at(features: Tensor, size: tuple[int, int], inside: Tensor) -> Tensor:
    """Return the columns (n, C) of a resized map at some pixels.

    The result equals bilinear resizing with aligned corners followed by a selection of pixels, but the whole resized
    map is not computed.

    Args:
        features: (C, h, w).
        size: (height, width) of the resized map.
        inside: bool (height, width): the selected pixels, in row-major order.
    """
    columns = features.flatten(1).T.contiguous()
    height, width = features.shape[-2:]
    rows, across = torch.nonzero(inside, as_tuple=True)
    (top, bottom, down), (left, right, along) = (
        _neighbours(positions, length, resized_length, features.dtype)
        for positions, length, resized_length in ((rows, height, size[0]), (across, width, size[1]))
    )

    def row(index: Tensor) -> Tensor:
        return columns[index * width + left] * (1 - along) + columns[index * width + right] * along

    return row(top) * (1 - down) + row(bottom) * down


def _neighbours(positions: Tensor, length: int, resized: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Return, for positions on a resized axis, the two neighbours on the original axis, and the second's weight."""
    scale = (length - 1) / (resized - 1) if resized > 1 else 0.0
    exact = positions.to(dtype) * torch.tensor(scale, dtype=dtype, device=positions.device)
    first = exact.long()
    return first, (first + 1).clamp(max=length - 1), (exact - first)[:, None]
