"""Support masks at feature resolution."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def foreground(mask: Tensor) -> Tensor:
    """Return the foreground of a mask as float32 (B, H, W) in {0, 1}; pixels labelled 255 count as background.

    Args:
        mask: (B, H, W) with 0 = background, 255 = ignore, anything else = foreground.
    """
    return ((mask != 0) & (mask != 255)).to(torch.float32)


def resize_mask(mask: Tensor, like: Tensor) -> Tensor:
    """Return a float32 mask (B, H, W) at the size of the feature map `like` (B, C, h, w): (B, 1, h, w) in [0, 1].

    Bilinear with aligned corners in float32, as the releases of HSNet and iFSL do. The precision matters: where a
    sample falls just beside the object the float32 operator leaves about 1e-6 instead of 0, and the cosine that
    follows turns that into a full support position.
    """
    return F.interpolate(mask[:, None].float(), like.shape[-2:], mode="bilinear", align_corners=True)


def bounding_box(weights: Tensor) -> tuple[int, int, int, int]:
    """Return (top, bottom, left, right) of what is not 0 in any of B weights (B, 1, h, w); one position if all are 0.

    On a GPU this waits for it.
    """
    there = weights.amax(dim=(0, 1)) != 0
    rows, columns = (there.any(dim=axis).nonzero()[:, 0].tolist() or [0] for axis in (1, 0))
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
