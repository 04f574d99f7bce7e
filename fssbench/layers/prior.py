"""PFENet's prior mask (Tian et al., TPAMI 2020, section 3.2, Eq. 2 to 5)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_EPS = 1e-7


def prior_mask(query: Tensor, support: Tensor, size: tuple[int, int]) -> Tensor:
    """Return how alike each query position is to the support position most like it, (B, 1, *size) in [0, 1).

    As released: 1e-7 is added to the product of the norms, the largest cosine over all support positions is taken
    (masked-out positions, whose cosine is 0, are among them), then it is spread to [0, 1) over the query's positions.

    Args:
        query: layer4 of the query, (B, C, h, w).
        support: layer4 of the support, its background zeroed, (B, C, h', w').
        size: (height, width) to which it is resized, bilinear with aligned corners.
    """
    batch, _, height, width = query.shape
    a, b = query.flatten(2), support.flatten(2)
    norms = a.norm(dim=1)[:, :, None] * b.norm(dim=1)[:, None, :]
    cosine = torch.bmm(a.transpose(1, 2), b) / (norms + _EPS)
    alike = cosine.amax(dim=2)
    low, high = alike.amin(dim=1, keepdim=True), alike.amax(dim=1, keepdim=True)
    spread = (alike - low) / (high - low + _EPS)
    return F.interpolate(spread.view(batch, 1, height, width), size, mode="bilinear", align_corners=True)
