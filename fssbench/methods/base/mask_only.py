"""Predictions of methods that end in a mask, without a score for each pixel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fssbench.methods.base.method import Prediction


def mask_prediction(mask: Tensor, size: tuple[int, int]) -> Prediction:
    """Return the prediction of a mask: its logits are 1 for the label of a pixel and 0 for the other.

    Args:
        mask: bool (h, w).
        size: (height, width) of the prediction. A mask of another size is resized bilinearly and cut at one half.
    """
    resized = mask
    if tuple(mask.shape) != tuple(size):
        resized = F.interpolate(mask[None, None].float(), size, mode="bilinear", align_corners=False)[0, 0] > 0.5
    logits = torch.stack([~resized, resized]).float()
    return Prediction(logits, resized.to(torch.uint8), resized.any().view(1))
