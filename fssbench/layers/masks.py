"""Support masks at feature resolution."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fssbench.protocols.label_maps import OTHER_CLASS


def foreground(mask: Tensor) -> Tensor:
    """Return the foreground of a mask as float32 (B, H, W) in {0, 1}; pixels labelled 254 and 255 are not in it.

    Args:
        mask: (B, H, W) with 0 = background, 254 = another class of the episode, 255 = ignore, anything else =
            foreground.
    """
    return ((mask != 0) & (mask < OTHER_CLASS)).to(torch.float32)


def resize_mask(mask: Tensor, like: Tensor) -> Tensor:
    """Return a float32 mask (B, H, W) at the size of the feature map `like` (B, C, h, w): (B, 1, h, w) in [0, 1].

    Bilinear with aligned corners in float32, as in the releases of HSNet and iFSL. The precision matters: where a
    sample falls just outside the object, float32 gives about 1e-6 instead of 0, and the cosine that follows makes a
    full support position of it.
    """
    return F.interpolate(mask[:, None].float(), like.shape[-2:], mode="bilinear", align_corners=True)


def masked_average(features: Tensor, mask: Tensor, eps: float = 0.0005) -> Tensor:
    """Return the mean feature under a mask, (B, C, 1, 1).

    Zhang et al., "SG-One", Eq. 1, with the small number that PFENet, BAM, NTRENet and ASGNet add to the area; an empty
    mask gives zeros.

    Args:
        features: (B, C, h, w).
        mask: (B, 1, h, w) in [0, 1].
        eps: Added to the sum of the mask.
    """
    total = (features * mask).sum(dim=(2, 3), keepdim=True)
    return total / (mask.sum(dim=(2, 3), keepdim=True) + eps)


def gathering_weights(masks: Tensor, like: Tensor, *, align_corners: bool) -> Tensor:
    """Return weights (B, k, h, w) whose sum over a map equals the upsampled map's sum under masks (B, k, H, W).

    This is the transpose of bilinear upsampling: the same sum without a map of hundreds of channels at the masks' size.

    Args:
        masks: Of a floating dtype.
        like: The map, (B, C, h, w).
        align_corners: As for the upsampling.
    """
    batch, kinds, height, width = masks.shape
    weights: Tensor = torch.ops.aten.upsample_bilinear2d_backward(
        masks.contiguous(), (height, width), (batch, kinds, *like.shape[-2:]), align_corners, None, None
    )
    return weights
