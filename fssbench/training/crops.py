"""Random crops of an image at its own resolution, as PFENet and later methods make them.

Facts from dvlab-research/PFENet at a505675, util/transform.py. BAM and NTRENet do the same; RePRI (aa54b19) keeps the
whole image, HDMNet (39ec8b2) squashes it, MLC (616db51) pads with black, and FPTrans (4a52926) with the mirrored image.
"""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
import torch
from torch import Tensor

from fssbench.datasets.dataset import Image, Label
from fssbench.imagenet import IMAGENET_MEAN
from fssbench.label_values import IGNORE
from fssbench.protocols.label_maps import input_label
from fssbench.protocols.transforms import input_image
from fssbench.training.recipe import Crops

_OUTSIDE = tuple(255.0 * mean for mean in IMAGENET_MEAN)


def random_crop(
    image: Image, label: Label, class_id: int, rng: np.random.Generator, recipe: Crops, size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Return a random crop of an image and of its label map.

    Args:
        image: RGB uint8 (H, W, 3).
        label: uint8 (H, W).
        class_id: The class of which a crop has to keep `recipe.kept` of the pixels.
        rng: Random numbers.
        recipe: How far a crop may differ from the image.
        size: (height, width) of the crop.

    Returns:
        Normalised float32 (3, *size) and uint8 (*size). Pixels are rounded to 0..255 after each step, in the release
        only at the end.
    """
    factor = rng.uniform(*recipe.scale)
    image = cast("Image", cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR))
    label = cast("Label", cv2.resize(label, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST))
    if rng.random() < recipe.turned:
        image, label = _turned(image, label, rng.uniform(-recipe.turn, recipe.turn), recipe.outside)
    if rng.random() < recipe.blurred:
        image = cast("Image", cv2.GaussianBlur(image, (recipe.blur, recipe.blur), 0))
    if rng.random() < recipe.mirror:
        image, label = np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(label[:, ::-1])
    # Nothing is drawn for what a recipe does not do, so that the others draw as they did.
    if recipe.upside_down and rng.random() < recipe.upside_down:
        image, label = np.ascontiguousarray(image[::-1]), np.ascontiguousarray(label[::-1])
    if recipe.squashed:
        return input_image(image, size, "opencv"), torch.from_numpy(input_label(label, size, "opencv"))
    if recipe.whole:
        return input_image(image, size, "opencv-pad"), torch.from_numpy(input_label(label, size, "opencv-pad"))
    image, label = _padded(image, label, size, recipe.outside)
    top, left = _place(label == class_id, rng, recipe, size)
    window = np.s_[top : top + size[0], left : left + size[1]]
    return input_image(np.ascontiguousarray(image[window]), size), torch.from_numpy(label[window].copy())


def _turned(image: Image, label: Label, degrees: float, outside: str) -> tuple[Image, Label]:
    height, width = label.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    size, border = (width, height), _border(outside)
    turned = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border, borderValue=_OUTSIDE)
    labels = cv2.warpAffine(label, matrix, size, flags=cv2.INTER_NEAREST, borderMode=border, borderValue=IGNORE)
    return cast("Image", turned), cast("Label", labels)


def _border(outside: str) -> int:
    return cv2.BORDER_REFLECT_101 if outside == "mirrored" else cv2.BORDER_CONSTANT


def _padded(image: Image, label: Label, size: tuple[int, int], outside: str) -> tuple[Image, Label]:
    missing = [max(0, target - present) for target, present in zip(size, label.shape, strict=True)]
    black = outside == "black"
    top, left = (0, 0) if black else (missing[0] // 2, missing[1] // 2)
    sides = (top, missing[0] - top, left, missing[1] - left)
    border = _border(outside)
    padded = cv2.copyMakeBorder(image, *sides, border, value=(0.0, 0.0, 0.0) if black else _OUTSIDE)
    return cast("Image", padded), cast("Label", cv2.copyMakeBorder(label, *sides, border, value=IGNORE))


def _place(
    mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    rng: np.random.Generator,
    recipe: Crops,
    size: tuple[int, int],
) -> tuple[int, int]:
    """Return the corner of the crop: the first of several random ones that keeps enough of the class, or the last."""
    height, width = mask.shape
    least = recipe.kept * mask.sum()
    top = left = 0
    for _ in range(recipe.tries):
        top, left = int(rng.integers(height - size[0] + 1)), int(rng.integers(width - size[1] + 1))
        if mask[top : top + size[0], left : left + size[1]].sum() >= least:
            break
    return top, left
