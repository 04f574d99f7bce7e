"""The convolutional decoder that HSNet and ASNet share, and the resizing of query positions."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def decoder(channels: int, hidden: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Return the two halves of the 2D decoder, before and after its doubling of the size.

    Args:
        channels: Channels of the squeezed tensor.
        hidden: Channels between the halves.
    """
    first = nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, hidden, 3, padding=1), nn.ReLU()
    )
    second = nn.Sequential(nn.Conv2d(hidden, hidden, 3, padding=1), nn.ReLU(), nn.Conv2d(hidden, 2, 3, padding=1))
    return first, second


def decode(first: nn.Sequential, second: nn.Sequential, squeezed: Tensor) -> Tensor:
    """Return the logits (B, 2, 2w, 2w) of a squeezed tensor (B, C, h, w)."""
    x: Tensor = first(squeezed)
    side = 2 * x.shape[-1]  # quirk of both releases: the width decides both axes
    logits: Tensor = second(F.interpolate(x, (side, side), mode="bilinear", align_corners=True))
    return logits


def resize_query_positions(x: Tensor, like: Tensor) -> Tensor:
    """Return x (B, C, h, w, h', w') with as many query positions as `like`, bilinear with aligned corners."""
    batch, channels, height, width, rows, columns = x.shape
    images = x.permute(0, 4, 5, 1, 2, 3).reshape(-1, channels, height, width)
    resized = F.interpolate(images, like.shape[2:4], mode="bilinear", align_corners=True)
    return resized.view(batch, rows, columns, channels, *like.shape[2:4]).permute(0, 3, 4, 5, 1, 2)
