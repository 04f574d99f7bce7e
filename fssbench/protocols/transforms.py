"""Resizing images and label maps to the network's input size, bit by bit as in the releases.

All inputs are resized here, by the rules that protocols name (`fssbench.protocols.rules.ResizeRule`):

- "pillow-bilinear" (HSNet, iFSL): images by Pillow's bilinear filter, then torchvision's ToTensor and Normalize in
  float32. Label maps by torch's nearest neighbour, whose float32 scale decides which pixel is the nearest.
- "pillow-bicubic" (SegGPT): as "pillow", but images by Pillow's bicubic filter.
- "pillow" (PANet): images in the same way; label maps by Pillow's nearest neighbour.
- "pillow-and-back" (PMMs): as "pillow". Pixels at the original size are counted on the label map that was resized to
  the input size and back (`counted_label`).
- "opencv" (HDMNet): images by OpenCV's bilinear filter in float32, without keeping the aspect ratio; label maps by
  OpenCV's nearest neighbour.
- "opencv-rounded" (VAT): as "opencv", but images in uint8, so that colours are rounded; albumentations' Normalize.
- "opencv-pad" (PFENet and its family): images by OpenCV's bilinear filter in float32, so that the longer side is that
  of a square; both sides are then rounded down to multiples of 8. The image is at the top left of the square, and the
  rest is black. Label maps by OpenCV's nearest neighbour; the rest is 255.
- "opencv-pad-squeezed" (FSSDINO): images by OpenCV's bilinear filter in uint8, so that the longer side is that of a
  square, and the other side is rounded. The image is at the top left of the square; the rest is the mean colour. Label
  maps by OpenCV's nearest neighbour; the rest is 255. Pixels at the original size are counted on the whole square,
  squeezed to the shape of the image, its padding as background (`counted_label`).
- "none" (MLC): images and label maps keep their size.

Torch is imported only by functions that make tensors; label maps do not need it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from fssbench.errors import UsageError
from fssbench.imagenet import IMAGENET_MEAN, IMAGENET_STD
from fssbench.protocols.rules import ResizeRule

if TYPE_CHECKING:
    from torch import Tensor

    from fssbench.datasets.dataset import Image, Label

IGNORE = 255
OTHER_CLASS = 254
"""Value of a support mask where another class of the episode is that belongs to neither side of the mask."""


STRIDE = 8
"""The sides of a padded image are multiples of this: PFENet's networks downsample by 8."""


def input_image(image: Image, size: tuple[int, int], rule: ResizeRule = "pillow-bilinear") -> Tensor:
    """Return an image as input of the network.

    Args:
        image: RGB uint8 (H, W, 3).
        size: (height, width) of the input; not used with "none".
        rule: How it is resized. "opencv-pad" keeps the aspect ratio up to multiples of 8, "opencv-pad-squeezed" up to
            whole pixels; the others do not.

    Returns:
        float32 (3, height, width): resized, scaled to 0..1, minus the ImageNet mean, divided by the ImageNet standard
        deviation, in this order and in float32. "opencv", "opencv-rounded" and "opencv-pad" do not scale; mean and
        deviation are 255 times as large.

    Raises:
        UsageError: If the image is not RGB uint8, or the rule can't resize it to that size.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise UsageError(f"an image must be RGB uint8 (H, W, 3), not {image.dtype} {image.shape}")
    if rule == "none":
        return _scaled(image)
    if rule == "opencv-rounded":
        return _rounded_image(image, size)
    if rule == "opencv":
        return _unscaled(_by_opencv(image, size))
    if rule == "opencv-pad":
        return _padded_image(image, size)
    if rule == "opencv-pad-squeezed":
        return _framed_image(image, size)
    height, width = size
    kind = PillowImage.Resampling.BICUBIC if rule == "pillow-bicubic" else PillowImage.Resampling.BILINEAR
    return _scaled(np.array(PillowImage.fromarray(image).resize((width, height), kind)))


def _scaled(image: Image) -> Tensor:
    import torch

    pixels = torch.from_numpy(image.copy()).permute(2, 0, 1).contiguous()
    mean = torch.tensor(IMAGENET_MEAN).view(3, 1, 1)
    std = torch.tensor(IMAGENET_STD).view(3, 1, 1)
    return pixels.to(torch.float32).div(255).sub_(mean).div_(std)


def _rounded_image(image: Image, size: tuple[int, int]) -> Tensor:
    import cv2
    import torch

    height, width = size
    resized = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    mean, std = (np.array(values, dtype=np.float32) * np.float32(255) for values in (IMAGENET_MEAN, IMAGENET_STD))
    # albumentations multiplies by the reciprocal.
    return torch.from_numpy((resized - mean) * np.reciprocal(std)).permute(2, 0, 1).contiguous()


def _padded_image(image: Image, size: tuple[int, int]) -> Tensor:
    height, width = padded_shape((image.shape[0], image.shape[1]), size)
    square = np.zeros((*size, 3), dtype=np.float32)
    square[:height, :width] = _by_opencv(image, (height, width))
    return _unscaled(square)


def _by_opencv(image: Image, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    import cv2

    height, width = size
    resized = cv2.resize(image.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.float32)


def _unscaled(pixels: npt.NDArray[np.float32]) -> Tensor:
    import torch

    mean = torch.tensor([255 * value for value in IMAGENET_MEAN]).view(3, 1, 1)
    std = torch.tensor([255 * value for value in IMAGENET_STD]).view(3, 1, 1)
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous().sub_(mean).div_(std)


def _framed_image(image: Image, size: tuple[int, int]) -> Tensor:
    import cv2
    import torch

    height, width = framed_shape((image.shape[0], image.shape[1]), size)
    square = torch.zeros(3, *size)
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    square[:, :height, :width] = _scaled(np.asarray(resized, dtype=np.uint8))
    return square


def framed_shape(shape: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) of an image resized by "opencv-pad-squeezed" within its square, at least 1 each.

    Raises:
        UsageError: If `size` is not a square.
    """
    scale = _side(size) / max(shape)
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def padded_shape(shape: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) of a resized image within the square that it is padded to.

    Raises:
        UsageError: If `size` is not a square, or the image is so narrow that a side becomes 0.
    """
    longer = _side(size)
    # As in the release, the ratio is computed first: the order of the operations decides how sides are truncated.
    ratio = longer / max(shape)
    height, width = (longer if side == max(shape) else int(side * ratio) for side in shape)
    height, width = height // STRIDE * STRIDE, width // STRIDE * STRIDE
    if not (height and width):
        raise UsageError(f"an image of {' x '.join(map(str, shape))} pixels is too narrow to be padded to {longer}")
    return height, width


def _side(size: tuple[int, int]) -> int:
    """Return the side of the square that images are padded to.

    Raises:
        UsageError: If it is none.
    """
    height, width = size
    if height != width:
        raise UsageError(f"images are padded to a square, not to {height} x {width}")
    return width


def scored_shape(shape: tuple[int, int], rule: ResizeRule) -> tuple[int, int]:
    """Return (height, width) to which a prediction is resized, so that its top left part fits the original image.

    A padded image is the top left part of a square, so its prediction is resized to a square with the longer side of
    the image. The release counts on that square, with 255 outside the label map; cropping it gives the same counts.

    Args:
        shape: (height, width) of the original image.
        rule: How it was resized.
    """
    return (max(shape), max(shape)) if rule == "opencv-pad" else shape


def input_label(label: Label, size: tuple[int, int], rule: ResizeRule = "pillow-bilinear") -> Label:
    """Return a label map at the input size, aligned with the result of `input_image`.

    Args:
        label: uint8 or uint16 (H, W).
        size: (height, width) of the input.
        rule: How it is resized; the rules that pad fill with 255.

    Raises:
        UsageError: If it is not such a map, or the rule can't resize it to that size.
    """
    if rule == "pillow-bilinear":
        return nearest_label(label, size)
    _check_label(label)
    if rule == "none":
        return label
    if rule == "opencv-pad-squeezed":
        return _framed_label(label, size, IGNORE)
    if rule in ("opencv", "opencv-rounded"):
        return _nearest_by_opencv(label, size)
    if rule != "opencv-pad":
        height, width = size
        resized = PillowImage.fromarray(label).resize((width, height), PillowImage.Resampling.NEAREST)
        return np.array(resized, dtype=label.dtype)
    return _padded_label(label, size)


def counted_label(label: Label, size: tuple[int, int], rule: ResizeRule = "pillow-bilinear") -> Label:
    """Return the label map on which IoU is counted at the original size.

    Args:
        label: uint8 or uint16 (H, W), at the original size of the query.
        size: (height, width) of the input.
        rule: How images are resized. Two rules change the label map, to the input size and back: "pillow-and-back",
            and "opencv-pad-squeezed" with the padding, which is 0.
    """
    if rule == "opencv-pad-squeezed":
        square = _framed_label(label, size, 0)
        down, across = (_nearest_exact(side, length) for side, length in zip(size, label.shape, strict=True))
        return square[down[:, None], across]
    if rule != "pillow-and-back":
        return label
    height, width = label.shape
    return nearest_label(input_label(label, size, rule), (height, width))


def _padded_label(label: Label, size: tuple[int, int]) -> Label:
    height, width = padded_shape((label.shape[0], label.shape[1]), size)
    square = np.full(size, IGNORE, dtype=label.dtype)
    square[:height, :width] = _nearest_by_opencv(label, (height, width))
    return square


def _nearest_by_opencv(label: Label, size: tuple[int, int]) -> Label:
    import cv2

    height, width = size
    resized = cv2.resize(label.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized).astype(label.dtype)


def _framed_label(label: Label, size: tuple[int, int], fill: int) -> Label:
    import cv2

    height, width = framed_shape((label.shape[0], label.shape[1]), size)
    square = np.full(size, fill, dtype=label.dtype)
    square[:height, :width] = cv2.resize(label, (width, height), interpolation=cv2.INTER_NEAREST)
    return square


def ignored_pixels(label: Label, size: tuple[int, int], rule: ResizeRule, *, rim: bool) -> npt.NDArray[np.bool_]:
    """Return the padding of an image and, with `rim`, its ignore region, at the input size.

    Args:
        label: uint8 (H, W), 255 = ignore; or uint16 (H, W), where 255 is a class like any other.
        size: (height, width) of the input.
        rule: How it is resized.
        rim: Whether pixels labelled 255 are included.

    Returns:
        bool (height, width).
    """
    known = label if rim and label.dtype == np.uint8 else np.zeros_like(label)
    ignored: npt.NDArray[np.bool_] = input_label(known, size, rule) == IGNORE
    return ignored


def nearest_label(label: Label, size: tuple[int, int]) -> Label:
    """Return a label map at another size, by nearest neighbour.

    Args:
        label: uint8 or uint16 (H, W).
        size: (height, width).

    Returns:
        (height, width) of the same dtype, equal to `F.interpolate(..., mode="nearest")` of the map in float32, which
        represents each label value exactly.

    Raises:
        UsageError: If it is not such a map.
    """
    _check_label(label)
    down, across = (_nearest(length, target) for length, target in zip(label.shape, size, strict=True))
    return label[down[:, None], across]


def _nearest(length: int, size: int) -> npt.NDArray[np.int64]:
    """Return the index in 0..length - 1 that torch takes for each of `size` output pixels; its scale is a float32."""
    scale = np.float32(length) / np.float32(size)
    places: npt.NDArray[np.float32] = np.floor(np.arange(size, dtype=np.float32) * scale)
    return np.minimum(places, length - 1).astype(np.int64)


def _nearest_exact(length: int, size: int) -> npt.NDArray[np.int64]:
    """Return the index in 0..length - 1 that torch's "nearest-exact" takes for each of `size` output pixels."""
    scale = np.float64(np.float32(length) / np.float32(size))
    # Torch fuses product and difference, and rounds to float32 once.
    centres = ((np.arange(size) + 0.5) * scale - 0.5).astype(np.float32)
    places: npt.NDArray[np.float32] = np.floor(centres + np.float32(0.5))
    return np.minimum(places, length - 1).astype(np.int64)


def _check_label(label: Label) -> None:
    if label.dtype not in (np.uint8, np.uint16) or label.ndim != 2:
        raise UsageError(f"a label map must be uint8 or uint16 (H, W), not {label.dtype} {label.shape}")


def support_mask(
    label: Label,
    class_id: int,
    size: tuple[int, int],
    rule: ResizeRule = "pillow-bilinear",
    others: Sequence[int] = (),
) -> npt.NDArray[np.uint8]:
    """Return the mask of one class at the input size.

    HSNet's and iFSL's releases resize before they make the mask binary, PFENet's after it. With nearest neighbour, the
    result is the same.

    Args:
        label: uint8 (H, W), 255 = ignore; or uint16 (H, W), where 255 is a class like any other (FSS-1000).
        class_id: The label value of the class.
        size: (height, width) of the input.
        rule: How it is resized, as for `input_label`.
        others: Label values that are neither foreground nor background of the mask.

    Returns:
        uint8 (height, width): 1 for the class, 255 where a uint8 label is 255 or padding, `OTHER_CLASS` for one of
        `others`, 0 elsewhere. Each method decides how it uses 255; HSNet, ASNet and PFENet take it as background.

    Raises:
        UsageError: If `class_id` can't be a class of such a map.
    """
    resized = input_label(label, size, rule)
    has_ignore = label.dtype == np.uint8
    largest = IGNORE - 1 if has_ignore else np.iinfo(label.dtype).max
    if not 1 <= class_id <= largest:
        raise UsageError(f"a class must be a label value from 1 to {largest}, not {class_id}")
    mask: npt.NDArray[np.uint8] = (resized == class_id).astype(np.uint8)
    for other in others:
        mask[resized == other] = OTHER_CLASS
    if has_ignore:
        mask[resized == IGNORE] = IGNORE
    return mask
