"""The losses, by their papers' equations."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fssbench.label_values import IGNORE

_TEMPERATURE = 0.1
_DICE_EPS = 1e-8


def segmentation_loss(logits: Tensor, mask: Tensor, foreground_weight: float = 1.0) -> Tensor:
    """Return the mean cross entropy of B pairs at the mask's size.

    HSNet, section 4.3 ("mean of cross-entropy loss over all pixel locations"), as released: raw logits are resized
    bilinearly with aligned corners, then cross entropy.

    Args:
        logits: Raw, float32 (B, 2, h, w), background first.
        mask: uint8 (B, H, W): 0, 1, and 255 for pixels that are left out.
        foreground_weight: Weight of a foreground pixel in the mean; a background pixel has the weight 1.

    Returns:
        A scalar; 0 if every pixel is left out.
    """
    resized = F.interpolate(logits, mask.shape[-2:], mode="bilinear", align_corners=True)
    return _mean_cross_entropy(resized, mask.long(), _weights(resized, foreground_weight))


def ifsl_losses(
    logits: Tensor, masks: Tensor, *, weak: bool = False, foreground_weight: float = 1.0
) -> dict[str, Tensor]:
    """Return iFSL's loss of B episodes of N ways (Kang and Cho, CVPR 2022; fs-cs/model/ifsl.py at d0b0c0d).

    "segmentation" (L_S): the background is the mean of the ways' background log-probabilities, as in `merge_ways`; the
    N + 1 maps are resized bilinearly with aligned corners, then the negative log-likelihood of every pixel's label is
    averaged. Log-probabilities are resized, not logits, so for one way the result is close to `segmentation_loss`, but
    not equal. With image-level labels it is "classification" (L_C) instead: for each way the mean log-probabilities of
    the map decide whether the class is present. The release has one way; for more ways this is their mean.

    Args:
        logits: Raw, float32 (B, N, 2, h, w), background first.
        masks: uint8 (B, N, H, W): 1 for the n-th class, 0 elsewhere, 255 for pixels that are left out.
        weak: Whether only the presence of a class is known.
        foreground_weight: Weight of a foreground pixel in the mean of L_S; a background pixel has the weight 1.
    """
    log_probabilities = torch.log_softmax(logits, dim=2)
    if weak:
        present = (masks == 1).flatten(2).any(dim=2)
        pooled = log_probabilities.mean(dim=(-1, -2))
        return {"classification": F.nll_loss(pooled.flatten(0, 1), present.flatten().long())}
    background = log_probabilities[:, :, 0].mean(dim=1, keepdim=True)
    merged = torch.cat([background, log_probabilities[:, :, 1]], dim=1)
    return {"segmentation": likelihood_loss(merged, masks, foreground_weight)}


def likelihood_loss(log_probabilities: Tensor, masks: Tensor, foreground_weight: float = 1.0) -> Tensor:
    """Return the mean negative log-likelihood of every pixel's label, L_S of iFSL.

    Args:
        log_probabilities: float32 (B, N + 1, h, w), background first; resized bilinearly with aligned corners.
        masks: uint8 (B, N, H, W): 1 for the n-th class, 0 elsewhere, 255 for pixels that are left out.
        foreground_weight: Weight of a foreground pixel in the mean; a background pixel has the weight 1.
    """
    resized = F.interpolate(log_probabilities, masks.shape[-2:], mode="bilinear", align_corners=True)
    return _mean_likelihood(resized, labels_of(masks), _weights(resized, foreground_weight))


def label_loss(logits: Tensor, masks: Tensor, foreground_weight: float = 1.0) -> Tensor:
    """Return the mean cross entropy of raw logits float32 (B, N + 1, H, W), which have the size of the masks.

    `masks` and `foreground_weight` are those of `likelihood_loss`.
    """
    return _mean_cross_entropy(logits, labels_of(masks), _weights(logits, foreground_weight))


def labels_of(masks: Tensor) -> Tensor:
    """Return the labels int64 (B, H, W) of masks uint8 (B, N, H, W): 0..N, and 255 where any mask is 255."""
    place = torch.arange(1, masks.shape[1] + 1, device=masks.device)[:, None, None]
    return torch.where((masks == IGNORE).any(dim=1), IGNORE, ((masks == 1) * place).amax(dim=1))


def _weights(logits: Tensor, foreground_weight: float) -> Tensor:
    return logits.new_tensor([1.0] + [foreground_weight] * (logits.shape[1] - 1))


def summed_binary_loss(scores: Tensor, mask: Tensor, foreground_weight: float = 1.0) -> Tensor:
    """Return the sigmoid cross entropy of B pairs, summed over the pixels of each and averaged over pairs.

    That is what Caffe's layer of that name gives as it stands: its mean is over the batch alone.

    Args:
        scores: Before the sigmoid, float32 (B, H, W).
        mask: uint8 (B, H, W): 0, 1, and 255 for pixels that are left out.
        foreground_weight: How much a foreground pixel counts; a background pixel counts 1.
    """
    weight = scores.new_tensor([1.0, foreground_weight])[(mask == 1).long()] * (mask != IGNORE)
    total = F.binary_cross_entropy_with_logits(scores, (mask == 1).to(scores.dtype), weight, reduction="sum")
    return total / len(scores)


def pixel_loss(scores: Tensor, target: Tensor) -> Tensor:
    """Return the mean cross entropy of a classification of every pixel.

    Args:
        scores: float32 (B, C, h, w); resized to the target, bilinear with aligned corners.
        target: int64 (B, H, W) in 0..C-1, 255 for pixels that are left out.
    """
    resized = F.interpolate(scores, target.shape[-2:], mode="bilinear", align_corners=True)
    return _mean_cross_entropy(resized, target)


def smoothed_pixel_loss(scores: Tensor, target: Tensor, smoothing: float) -> Tensor:
    """Return the mean cross entropy of a classification of every pixel, with smoothed labels.

    The label has the weight 1 - smoothing, all others share the rest, as RePRI trains (src/train.py at aa54b19).

    Args:
        scores: float32 (B, C, h, w); resized bilinearly with aligned corners to the target.
        target: int64 (B, H, W) in 0..C-1, 255 for pixels that are left out.
        smoothing: From 0 to 1.
    """
    resized = F.interpolate(scores, target.shape[-2:], mode="bilinear", align_corners=True)
    log_probabilities = torch.log_softmax(resized, dim=1)
    counted = target != IGNORE
    right = log_probabilities.gather(1, torch.where(counted, target, 0)[:, None])[:, 0]
    wrong = (log_probabilities.sum(dim=1) - right) / (scores.shape[1] - 1)
    each = (1.0 - smoothing) * right + smoothing * wrong
    return -(each * counted).sum() / counted.sum().clamp(min=1)


def dice_loss(logits: Tensor, mask: Tensor, foreground_weight: float = 1.0) -> Tensor:
    """Return the Dice losses of background and foreground, added up, of B pairs: their mean.

    Milletari et al., "V-Net", 3DV 2016, section 3, as released with CyCTR (YanFangCS/CyCTR-Pytorch at 1a06183,
    model/loss.py): each channel has a sigmoid of its own.

    Args:
        logits: Raw, (B, 2, h, w), background first; resized bilinearly with aligned corners.
        mask: uint8 (B, H, W): 0, 1, and 255 for pixels that belong to neither, where both channels should be 0.
        foreground_weight: Weight of a foreground pixel in the sums; any other pixel has the weight 1.
    """
    resized = torch.sigmoid(F.interpolate(logits, mask.shape[-2:], mode="bilinear", align_corners=True))
    target = torch.stack([mask == 0, mask == 1], dim=1).to(resized.dtype)
    weight = 1.0 + (foreground_weight - 1.0) * target[:, 1:]
    overlap = (weight * target * resized).sum(dim=(2, 3))
    total = (weight * (resized**2 + target**2)).sum(dim=(2, 3))
    return (1.0 - 2.0 * overlap / total.clamp(min=_DICE_EPS)).sum(dim=1).mean()


def pixel_contrast_loss(features: Tensor, labels: Tensor, anchors: int, rng: np.random.Generator) -> Tensor:
    """Return the contrast between positions of the same class in different images and all other positions.

    Wang et al., "Exploring Cross-Image Pixel Contrast for Semantic Segmentation", ICCV 2021, Eq. 3, at temperature 0.1.
    It trains the similarity of positions in two images, which correlations use later. Anchors are drawn from the
    objects, and as many negatives from the background.

    Args:
        features: (B, C, h, w).
        labels: uint8 (B, h, w): 0 = background, 255 = left out.
        anchors: How many positions are drawn from the objects, and from the background.
        rng: Random numbers.

    Returns:
        A scalar; 0 if no class is in two images.
    """
    flat = labels.flatten()
    objects = torch.nonzero((flat != 0) & (flat != IGNORE))[:, 0]
    background = torch.nonzero(flat == 0)[:, 0]
    if len(objects) == 0 or len(background) == 0:
        return features.sum() * 0.0
    drawn = torch.cat([positions[_draws(rng, len(positions), anchors)] for positions in (objects, background)])
    image = drawn // (labels.shape[1] * labels.shape[2])
    units = F.normalize(features.permute(0, 2, 3, 1).flatten(0, 2)[drawn], dim=1)
    similarity = units[:anchors] @ units.T / _TEMPERATURE
    same_class = flat[drawn[:anchors], None] == flat[drawn][None]
    positive = same_class & (image[:anchors, None] != image[None])
    negatives = (similarity.exp() * ~same_class).sum(dim=1, keepdim=True)
    terms = torch.log(similarity.exp() + negatives) - similarity
    matched = positive.any(dim=1)
    per_anchor = (terms * positive).sum(dim=1) / positive.sum(dim=1).clamp(min=1)
    return (per_anchor * matched).sum() / matched.sum().clamp(min=1)


def _draws(rng: np.random.Generator, count: int, size: int) -> Tensor:
    return torch.from_numpy(rng.integers(count, size=size))


def _mean_cross_entropy(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    return _mean_likelihood(torch.log_softmax(logits, dim=1), target, weight)


def _mean_likelihood(log_probabilities: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the weighted mean of the negative log-likelihood over the counted pixels; 0 if there are none."""
    counted = target != IGNORE
    total = F.nll_loss(log_probabilities, target, weight, ignore_index=IGNORE, reduction="sum")
    size = counted.sum() if weight is None else weight[target[counted]].sum()
    return total / size.clamp(min=1)
