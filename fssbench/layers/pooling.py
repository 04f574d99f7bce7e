"""Masked average pooling."""

from __future__ import annotations

from torch import Tensor


def masked_average(features: Tensor, mask: Tensor, eps: float = 0.0005) -> Tensor:
    """Return the mean feature under a mask, (B, C, 1, 1).

    Zhang et al., "SG-One", Eq. 1, with the small number that PFENet, BAM, NTRENet and ASGNet add to the area: an empty
    mask gives zeros.

    Args:
        features: (B, C, h, w).
        mask: (B, 1, h, w) in [0, 1].
        eps: Added to the sum of the mask.
    """
    total = (features * mask).sum(dim=(2, 3), keepdim=True)
    return total / (mask.sum(dim=(2, 3), keepdim=True) + eps)
