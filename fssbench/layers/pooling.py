"""Masked average pooling."""

from __future__ import annotations

import torch
from torch import Tensor

from fssbench.backbones.folding import answering


def masked_average(features: Tensor, mask: Tensor, eps: float = 0.0005) -> Tensor:
    """Return the mean feature under a mask, (B, C, 1, 1).

    Zhang et al., "SG-One", Eq. 1, with the small number that PFENet, BAM, NTRENet and ASGNet add to the area: an empty
    mask gives zeros.

    Args:
        features: (B, C, h, w).
        mask: (B, 1, h, w) in [0, 1].
        eps: Added to the sum of the mask.
    """
    if answering():
        rows = features.permute(0, 2, 3, 1).flatten(1, 2)
        summed = torch.bmm(mask.flatten(2).to(rows.dtype), rows).transpose(1, 2)[..., None]
        return summed / (mask.sum(dim=(2, 3), keepdim=True) + eps)
    total = (features * mask).sum(dim=(2, 3), keepdim=True)
    return total / (mask.sum(dim=(2, 3), keepdim=True) + eps)
