"""Losses of FPTrans: cross entropy with a weight near boundaries, and the similarity of pairs of positions.

Zhang et al., "Feature-Proxy Transformer for Few-Shot Segmentation", NeurIPS 2022; facts from core/losses.py of
Jarvis73/FPTrans at 4a52926.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fssbench.label_values import IGNORE

_SIGMA = 5.0
_SCALE = 10.0
_EPS = 1e-6


def boundary_loss(logits: Tensor, mask: Tensor, foreground_weight: float = 1.0) -> Tensor:
    """Return the weighted mean of the cross entropies of all pixels of B pairs; pixels near a boundary weigh more.

    Args:
        logits: Raw, (B, 2, h, w), background first; resized bilinearly with aligned corners.
        mask: uint8 (B, H, W): 0, 1, and 255 for pixels that are left out.
        foreground_weight: Weight of a foreground pixel in the mean, besides the boundary's; any other has the weight 1.
    """
    resized = F.interpolate(logits, mask.shape[-2:], mode="bilinear", align_corners=True)
    each = F.cross_entropy(resized, mask.long(), ignore_index=IGNORE, reduction="none")
    weight = boundary_weight(mask).to(each.dtype) * (1.0 + (foreground_weight - 1.0) * (mask == 1))
    # Quirk: what is left out still counts in the sum of the weights.
    return (each * weight).sum() / weight.sum()


def boundary_weight(mask: Tensor) -> Tensor:
    """Return 1 + exp(-d / 25) for the distance d in pixels of each pixel to the nearest boundary, float32 (B, H, W).

    A boundary has two sides: the background pixels that touch the object, and the object's pixels that touch something
    else, or the image's edge. Without an object the weight is 1.

    The release computes the weights of whole label maps beforehand, and moves them as the image; here they are those of
    the image that is seen, which is what the release computes if that is switched off.

    Args:
        mask: uint8 (B, H, W): 1 for the object.
    """
    inside = (mask == 1).float()[:, None]
    around = F.conv2d(inside, inside.new_ones(1, 1, 3, 3), padding=1)
    boundary = torch.where(inside > 0, around < 9, around > 0)[:, 0]
    return torch.stack([_weight(one) for one in boundary.cpu()]).to(mask.device)


def _weight(boundary: Tensor) -> Tensor:
    if not boundary.any():
        return torch.ones(boundary.shape)
    apart = cv2.distanceTransform((~boundary).numpy().astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Squared distances are whole numbers, so that what OpenCV's float32 lacks is not missing.
    distance = torch.from_numpy(np.sqrt(np.round(apart.astype(np.float64) ** 2)))
    return (torch.exp(-distance / _SIGMA**2) + 1.0).float()


def pair_loss(support: Tensor, support_labels: Tensor, query: Tensor, query_labels: Tensor) -> Tensor:
    """Return the mean sigmoid cross entropy of all pairs of a support and a query position: are they of one side?

    Pairs of background positions and of those that are left out do not count.

    Args:
        support: (B, C, n), the positions of all supports of an episode together.
        support_labels: (B, n): 0, 1, or 255 for those that are left out.
        query: (B, C, m).
        query_labels: (B, m).
    """
    similarity = F.normalize(support, dim=1).transpose(1, 2) @ F.normalize(query, dim=1) * _SCALE
    rows, columns = support_labels.long()[:, :, None], query_labels.long()[:, None]
    counted = (rows + columns < IGNORE) & (rows + columns > 0)
    each = F.binary_cross_entropy_with_logits(similarity, (rows == columns).to(similarity.dtype), reduction="none")
    return (each * counted).sum() / (counted.sum() + _EPS)
