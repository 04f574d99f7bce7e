"""Resizing images to the network's input size, bit by bit as in the releases; `label_maps.py` resizes label maps.

All inputs are resized in these two modules, by the rules that protocols name (`fssbench.protocols.rules.ResizeRule`):

- "pillow-bilinear" (HSNet, iFSL): images by Pillow's bilinear filter, then torchvision's ToTensor and Normalize in
  float32. Label maps by torch's nearest neighbour, whose float32 scale decides which pixel is the nearest.
- "pillow-bicubic" (SegGPT): as "pillow", but images by Pillow's bicubic filter.
- "pillow" (PANet): images in the same way; label maps by Pillow's nearest neighbour.
- "pillow-and-back" (PMMs): as "pillow". Pixels at the original size are counted on the label map that was resized to
  the input size and back (`counted_label`).
- "opencv" (HDMNet): images by OpenCV's bilinear filter in float32, without keeping the aspect ratio; label maps by
  OpenCV's nearest neighbour.
- "opencv-scaled" (FPTrans): as "opencv", but colours are divided by 255 before mean and deviation, by torchvision.
- "opencv-rounded" (VAT): as "opencv", but images in uint8, so that colours are rounded; albumentations' Normalize.
- "opencv-pad" (PFENet and its family): images by OpenCV's bilinear filter in float32, so that the longer side is that
  of a square; both sides are then rounded down to multiples of 8. The image is at the top left of the square, and the
  rest is black. Label maps by OpenCV's nearest neighbour; the rest is 255.
- "opencv-pad-squeezed" (FSSDINO): images by OpenCV's bilinear filter in uint8, so that the longer side is that of a
  square, and the other side is rounded. The image is at the top left of the square; the rest is the mean colour. Label
  maps by OpenCV's nearest neighbour; the rest is 255. Pixels at the original size are counted on the whole square,
  squeezed to the shape of the image, its padding as background (`counted_label`).
- "none" (MLC): images and label maps keep their size.

Torch is imported only by functions that make tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from fssbench.errors import UsageError
from fssbench.imagenet import IMAGENET_MEAN, IMAGENET_STD
from fssbench.protocols.rules import ResizeRule

if TYPE_CHECKING:
    from torch import Tensor

    from fssbench.datasets.dataset import Image

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
    if rule == "opencv-scaled":
        return _scaled(_by_opencv(image, size))
    if rule == "opencv-pad":
        return _padded_image(image, size)
    if rule == "opencv-pad-squeezed":
        return _framed_image(image, size)
    height, width = size
    kind = PillowImage.Resampling.BICUBIC if rule == "pillow-bicubic" else PillowImage.Resampling.BILINEAR
    return _scaled(np.array(PillowImage.fromarray(image).resize((width, height), kind)))


def _scaled(pixels: npt.NDArray[np.uint8 | np.float32]) -> Tensor:
    import torch

    scaled = torch.from_numpy(pixels.copy()).permute(2, 0, 1).contiguous()
    mean = torch.tensor(IMAGENET_MEAN).view(3, 1, 1)
    std = torch.tensor(IMAGENET_STD).view(3, 1, 1)
    return scaled.to(torch.float32).div(255).sub_(mean).div_(std)


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
