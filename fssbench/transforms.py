"""Photos and label maps brought to a network's size, to the bit as HSNet's and iFSL's releases do it.

The one place that resizes what goes in. Photos: Pillow's bilinear filter, then what torchvision's ToTensor
and Normalize compute in float32. Label maps: torch's nearest neighbour, whose float32 scale decides which
pixel is the nearest.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image as PillowImage
from torch import Tensor

from fssbench.datasets.dataset import Image, Label
from fssbench.errors import UsageError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
IGNORE = 255


def input_image(image: Image, size: tuple[int, int]) -> Tensor:
    """Return a photo as the networks take it. The aspect ratio is not kept.

    Args:
        image: RGB uint8 (H, W, 3).
        size: (height, width).

    Returns:
        float32 (3, height, width): resized, scaled to 0..1, ImageNet mean taken off, divided by the ImageNet
        standard deviation, in this order and each in float32.

    Raises:
        UsageError: If the photo is not RGB uint8.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise UsageError(f"a photo is RGB uint8 (H, W, 3), not {image.dtype} {image.shape}")
    height, width = size
    resized = PillowImage.fromarray(image).resize((width, height), PillowImage.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(resized)).permute(2, 0, 1).contiguous()
    mean = torch.tensor(IMAGENET_MEAN).view(3, 1, 1)
    std = torch.tensor(IMAGENET_STD).view(3, 1, 1)
    return pixels.to(torch.float32).div(255).sub_(mean).div_(std)


def nearest_label(label: Label, size: tuple[int, int]) -> Label:
    """Return a label map at another size, each pixel the nearest one's value.

    Args:
        label: uint8 or uint16 (H, W).
        size: (height, width).

    Returns:
        (height, width) of the same dtype, equal to `F.interpolate(..., mode="nearest")` on the map as float32, which
        holds each such value exactly.

    Raises:
        UsageError: If it is not such a map.
    """
    if label.dtype not in (np.uint8, np.uint16) or label.ndim != 2:
        raise UsageError(f"a label map is uint8 or uint16 (H, W), not {label.dtype} {label.shape}")
    values = torch.from_numpy(np.array(label, dtype=np.float32))
    resized: npt.NDArray[np.float32] = F.interpolate(values[None, None], size=size, mode="nearest")[0, 0].numpy()
    return resized.astype(label.dtype)


def support_mask(label: Label, class_id: int, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Return the mask of one class at the network's size: resized first, binary after, as the releases do.

    Args:
        label: uint8 (H, W), 255 = ignore; or uint16 (H, W), where 255 is a class like any other (FSS-1000).
        class_id: The label value asked for.
        size: (height, width).

    Returns:
        uint8 (height, width): 1 where the class is, 255 where a uint8 label is 255, 0 elsewhere. HSNet and ASNet
        take 255 as background; that is the method's business.

    Raises:
        UsageError: If `class_id` can't be a class of such a map.
    """
    resized = nearest_label(label, size)
    rim = label.dtype == np.uint8
    largest = IGNORE - 1 if rim else np.iinfo(label.dtype).max
    if not 1 <= class_id <= largest:
        raise UsageError(f"a class is a label value from 1 to {largest}, not {class_id}")
    mask: npt.NDArray[np.uint8] = (resized == class_id).astype(np.uint8)
    if rim:
        mask[resized == IGNORE] = IGNORE
    return mask
