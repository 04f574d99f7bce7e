"""Deformable attention: Zhu et al., "Deformable DETR", ICLR 2021, section 4.1, Eq. 2, on one map, in plain torch.

The releases have a CUDA kernel for it; fundamentalvision/Deformable-DETR and YanFangCS/CyCTR-Pytorch at 1a06183,
model/ops/modules/ms_deform_attn.py.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DeformableAttention(nn.Module):
    """Each position of a map reads a few points of it, whose places and weights it predicts.

    Args:
        width: Channels C, a multiple of `heads`.
        heads: Number of heads.
        points: Number of points that each head reads.
        dropout: In training, the part of the values, and of the weights, that is zeroed.
    """

    def __init__(self, width: int, heads: int, points: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.heads, self.points, self.dropout = heads, points, dropout
        self.sampling_offsets = nn.Linear(width, heads * points * 2)
        self.attention_weights = nn.Linear(width, heads * points)
        self.value_proj = nn.Linear(width, width, bias=False)
        self.output_proj = nn.Linear(width, width, bias=False)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Let the points of each head begin on a ray of its own, 1, 2, ... positions away, with equal weights."""
        angles = torch.arange(self.heads, dtype=torch.float32) * (2.0 * math.pi / self.heads)
        rays = torch.stack([angles.cos(), angles.sin()], dim=-1)
        rays = rays / rays.abs().amax(dim=-1, keepdim=True)
        steps = torch.arange(1, self.points + 1, dtype=torch.float32)
        nn.init.zeros_(self.sampling_offsets.weight)
        self.sampling_offsets.bias.copy_((rays[:, None] * steps[:, None]).flatten())
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        nn.init.xavier_uniform_(self.value_proj.weight)
        nn.init.xavier_uniform_(self.output_proj.weight)

    def forward(self, query: Tensor, values: Tensor, size: tuple[int, int], padded: Tensor) -> Tensor:
        """Return what each position reads, (B, h * w, C).

        Args:
            query: What decides places and weights, (B, h * w, C).
            values: What is read, (B, h * w, C).
            size: (h, w).
            padded: bool (B, h * w): positions whose value is 0.
        """
        batch, count, width = query.shape
        height, columns = size
        projected = self.value_proj(values)
        kept = F.dropout(projected.new_ones(batch, count), self.dropout, self.training) != 0
        # Quirk: what dropout keeps is not scaled.
        projected = projected.masked_fill(~(kept & ~padded)[..., None], 0.0)
        maps = projected.view(batch, height, columns, self.heads, -1).permute(0, 3, 4, 1, 2).flatten(0, 1)

        weights = self.attention_weights(query).view(batch, count, self.heads, self.points).softmax(dim=-1)
        weights = F.dropout(weights, self.dropout, self.training)
        offsets = self.sampling_offsets(query).view(batch, count, self.heads, self.points, 2)
        places = _centres(size, query.device)[:, None, None] + offsets / offsets.new_tensor([columns, height])
        grid = (2 * places - 1).transpose(1, 2).flatten(0, 1)
        read = F.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        summed = (read * weights.transpose(1, 2).flatten(0, 1)[:, None]).sum(dim=-1)
        mixed: Tensor = self.output_proj(summed.view(batch, width, count).transpose(1, 2))
        return mixed


def _centres(size: tuple[int, int], device: torch.device) -> Tensor:
    """Return the centres (x, y) of the positions of a map, (h * w, 2), in [0, 1]; in float32, as released."""
    rows, columns = (torch.linspace(0.5, side - 0.5, side, device=device) / side for side in size)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=-1)
