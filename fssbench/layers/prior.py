"""PFENet's prior mask (Tian et al., TPAMI 2020, section 3.2, Eq. 2 to 5)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

EPS = 1e-7


def prior_mask(query: Tensor, support: Tensor, size: tuple[int, int]) -> Tensor:
    """Return for each query position its similarity to the most similar support position, (B, 1, *size) in [0, 1).

    As released: 1e-7 is added to the product of the norms, and the maximum is taken over all support positions,
    including masked-out ones, whose cosine is 0; then see `normalized`.

    Args:
        query: layer4 of the query, (B, C, h, w).
        support: layer4 of the support with zero background, (B, C, h', w').
        size: (height, width) to which the result is resized, bilinear with aligned corners.
    """
    return normalized(most_similar(query, support), (query.shape[-2], query.shape[-1]), size)


def most_similar(query: Tensor, support: Tensor) -> Tensor:
    """Return for each query position the largest cosine with a support position, (B, h * w); see `prior_mask`."""
    return cosines(query, support).amax(dim=2)


def cosines(query: Tensor, support: Tensor) -> Tensor:
    """Return the cosines of all query and support positions, (B, h * w, h' * w'); see `prior_mask`."""
    a, b = query.flatten(2), support.flatten(2)
    norms = a.norm(dim=1)[:, :, None] * b.norm(dim=1)[:, None, :]
    found: Tensor = torch.bmm(a.transpose(1, 2), b) / (norms + EPS)
    return found


def normalized(similarity: Tensor, grid: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Return similarities (B, h * w) of a grid (h, w), scaled to [0, 1) over the grid and resized: (B, 1, *size)."""
    low, high = similarity.amin(dim=1, keepdim=True), similarity.amax(dim=1, keepdim=True)
    spread = (similarity - low) / (high - low + EPS)
    return F.interpolate(spread.view(-1, 1, *grid), size, mode="bilinear", align_corners=True)
