"""Pictures as their files hold them, recovered from what a method is given."""

from __future__ import annotations

import torch
from torch import Tensor

from fssbench.imagenet import IMAGENET_MEAN, IMAGENET_STD


def pictures(image: Tensor) -> Tensor:
    """Return the pictures uint8 (B, 3, H, W) that images were made of.

    Exact for images that were made of such pictures: rounding removes what float32 changed. Other values become the
    nearest of 0..255.

    Args:
        image: (B, 3, H, W), normalised by the ImageNet mean and standard deviation.
    """
    mean, std = (
        image.new_tensor(values, dtype=torch.float32).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD)
    )
    return ((image.float() * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)


def normalised(picture: Tensor) -> Tensor:
    """Return pictures uint8 (B, 3, H, W) as images float32, normalised by the ImageNet mean and standard deviation."""
    mean, std = (torch.tensor(values, device=picture.device).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (picture.float() / 255 - mean) / std


def squashed(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """Return pictures uint8 (B, 3, H, W) resized by Pillow, bilinearly, without keeping the aspect ratio.

    Args:
        picture: uint8.
        size: (height, width).
    """
    import numpy as np
    from PIL import Image

    height, width = size
    resized = [
        np.array(Image.fromarray(one).resize((width, height), Image.Resampling.BILINEAR))
        for one in picture.permute(0, 2, 3, 1).cpu().numpy()
    ]
    return torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2).contiguous().to(picture.device)
