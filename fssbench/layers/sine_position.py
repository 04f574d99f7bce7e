"""The position encoding of DETR: Carion et al., "End-to-End Object Detection with Transformers", ECCV 2020."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_TEMPERATURE = 10000
_EPS = 1e-6


def sine_position(padded: Tensor, width: int) -> Tensor:
    """Return sines and cosines of the place of each position, float32 (B, h * w, width).

    Rows and columns are counted over the positions that are not padding, and scaled to end at 2 pi. The first half of
    the channels is of the row, the second of the column.

    Args:
        padded: bool (B, h, w).
        width: Number of channels, a multiple of 4.
    """
    inside = ~padded
    halves = []
    for axis in (1, 2):
        count = inside.cumsum(axis, dtype=torch.float32)
        last = count[:, -1:] if axis == 1 else count[:, :, -1:]
        place = count / (last + _EPS) * (2 * math.pi)
        channel = torch.arange(width // 2, dtype=torch.float32, device=padded.device)
        period = _TEMPERATURE ** (2 * (channel // 2) / (width // 2))
        angles = place[..., None] / period
        halves.append(torch.stack([angles[..., 0::2].sin(), angles[..., 1::2].cos()], dim=-1).flatten(3))
    return torch.cat(halves, dim=-1).flatten(1, 2)
