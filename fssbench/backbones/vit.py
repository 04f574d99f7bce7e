"""The vision transformers ViT and DeiT with the parameter names of their PyTorch releases.

Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021; Touvron et al., "Training Data-efficient Image
Transformers", ICML 2021. Facts from FPTrans's copy of timm's (Jarvis73/FPTrans at 4a52926, networks/vit.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones.networks import resized
from fssbench.backbones.windows import Perceptron, initialise
from fssbench.errors import unknown_name

PATCH = 16
_EPS = 1e-6
_STD = 0.02


@dataclass(frozen=True)
class Shape:
    """The sizes of a network.

    Attributes:
        width: Number of channels.
        heads: Number of heads of its attention.
        blocks: Number of its blocks.
        distilled: Whether a distillation token follows the class token, as in DeiT.
    """

    width: int
    heads: int
    blocks: int
    distilled: bool


SHAPES = {
    "vit-b16-384": Shape(768, 12, 12, distilled=False),
    "deit-b16-384": Shape(768, 12, 12, distilled=True),
    "deit-s16": Shape(384, 6, 12, distilled=True),
    "deit-t16": Shape(192, 3, 12, distilled=True),
    "small": Shape(48, 2, 2, distilled=False),  # not one that was released
}
"""The networks by name."""


def shape_of(name: str) -> Shape:
    """Return the sizes of a network.

    Raises:
        UsageError: If there is none of this name.
    """
    if name not in SHAPES:
        raise unknown_name("network", name, SHAPES)
    return SHAPES[name]


class VisionTransformer(nn.Module):
    """A vision transformer, or its first blocks, with a norm behind.

    Args:
        shape: Its sizes.
        blocks: How many of its blocks are kept.
        side: Side of the images whose patches have a learnt position, in pixels.
    """

    def __init__(self, shape: Shape, blocks: int, side: int) -> None:
        super().__init__()
        self.prefix = 2 if shape.distilled else 1
        self.grid = (side // PATCH, side // PATCH)
        self.patch_embed = PatchEmbedding(shape.width)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, shape.width))
        self.dist_token = nn.Parameter(torch.zeros(1, 1, shape.width)) if shape.distilled else None
        self.pos_embed = nn.Parameter(torch.zeros(1, self.prefix + self.grid[0] * self.grid[1], shape.width))
        self.blocks = nn.ModuleList(Block(shape.width, shape.heads) for _ in range(blocks))
        self.norm = nn.LayerNorm(shape.width, eps=_EPS)
        initialise(self)
        for token in (self.cls_token, self.dist_token, self.pos_embed):
            if token is not None:
                nn.init.trunc_normal_(token, std=_STD)

    def embedded(self, image: Tensor) -> Tensor:
        """Return what enters the first block: class and distillation token, then patches, (B, prefix + h * w, C).

        Positions of a map of another size than the learnt ones are resized to it.

        Args:
            image: float32 (B, 3, H, W); resized to whole patches if it has others.
        """
        fitted = in_patches(image)
        patches = self.patch_embed(fitted)
        first = [token.expand(len(image), -1, -1) for token in (self.cls_token, self.dist_token) if token is not None]
        grid = (fitted.shape[-2] // PATCH, fitted.shape[-1] // PATCH)
        positions: Tensor = self.pos_embed
        if grid != self.grid:
            positions = resized_positions(positions, self.prefix, self.grid, grid)
        return torch.cat([*first, patches], dim=1) + positions

    def as_map(self, tokens: Tensor, image: Tensor) -> Tensor:
        """Return the tokens of patches (B, h * w, C) as a map (B, C, h, w).

        Args:
            tokens: Without class and distillation token.
            image: The images, which have the map's shape.
        """
        height, width = whole_patches(image)
        return tokens.transpose(1, 2).reshape(len(tokens), -1, height, width)

    def forward(self, image: Tensor) -> Tensor:
        """Return the normed patches of the last block as a map (B, C, h, w)."""
        x = self.embedded(image)
        for block in self.blocks:
            x = block(x)
        return self.as_map(self.norm(x)[:, self.prefix :], image)


class PatchEmbedding(nn.Module):
    """Patches of 16 x 16 pixels, projected."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, stride=PATCH)

    def forward(self, image: Tensor) -> Tensor:
        """Return patches row by row, (B, h * w, C)."""
        x: Tensor = self.proj(image).flatten(2).transpose(1, 2)
        return x


class Block(nn.Module):
    """Self-attention and a perceptron, each after a norm and with a shortcut."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=_EPS)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=_EPS)
        self.mlp = Perceptron(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens (B, n, C)."""
        x = x + self.attn(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class Attention(nn.Module):
    """Self-attention of all tokens."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens (B, n, C)."""
        batch, count, width = x.shape
        query, key, value = self.qkv(x).view(batch, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        taken = F.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.proj(taken.transpose(1, 2).reshape(batch, count, width))
        return out


def whole_patches(image: Tensor) -> tuple[int, int]:
    """Return how many patches images (B, C, H, W) have from top to bottom and from left to right."""
    height, width = (max(1, round(side / PATCH)) for side in image.shape[-2:])
    return height, width


def in_patches(image: Tensor) -> Tensor:
    """Return images (B, C, H, W) whose sides are multiples of a patch's, resized to the nearest ones if they are not.

    The release takes images of one size, of whole patches.
    """
    height, width = whole_patches(image)
    return resized(image, PATCH * height, PATCH * width)


def resized_positions(positions: Tensor, prefix: int, grid: tuple[int, int], wanted: tuple[int, int]) -> Tensor:
    """Return learnt positions for a map of another size: those of patches are resized bicubically.

    Args:
        positions: (1, prefix + h * w, C).
        prefix: Number of tokens before those of patches; their positions stay as they are.
        grid: h and w.
        wanted: The other size.
    """
    patches = positions[:, prefix:].transpose(1, 2).reshape(1, -1, *grid)
    patches = F.interpolate(patches, wanted, mode="bicubic", align_corners=False)
    return torch.cat([positions[:, :prefix], patches.flatten(2).transpose(1, 2)], dim=1)


def fitting(state: Mapping[str, Tensor], network: VisionTransformer) -> dict[str, Tensor]:
    """Return of the weights of a file what a network has: without classifiers and later blocks, positions resized.

    Args:
        state: The weights of the whole network, trained on images of any size.
        network: It, or its first blocks.
    """
    kept = {
        key: value
        for key, value in state.items()
        if not key.startswith(("head.", "head_dist.", "pre_logits."))
        and not (key.startswith("blocks.") and int(key.split(".")[1]) >= len(network.blocks))
    }
    positions = kept.get("pos_embed")
    if positions is not None and positions.ndim == 3 and positions.shape != network.pos_embed.shape:
        side = round((positions.shape[1] - network.prefix) ** 0.5)
        if side * side == positions.shape[1] - network.prefix > 0:
            kept["pos_embed"] = resized_positions(positions.float(), network.prefix, (side, side), network.grid)
    return kept
