"""FPTrans's fast form: what the images of an episode share is computed once, what no logit needs is not computed.

After each block the images have the same prompts. So in the next one these are normed and projected once, and as the
mean over the images commutes with a linear layer, the last layer of the perceptron takes the mean alone. After the last
block no prompt is read. The proxies are means of the supports' maps, which commute with the purifier's last convolution
and its upsampling: no support's purified map is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones.vit import Block, whole_patches
from fssbench.fast.joint import FastJoint
from fssbench.layers.local_background import Draw, partition
from fssbench.methods.base.method import Prediction
from fssbench.methods.base.staged import decide_each
from fssbench.methods.fptrans import PROXY_EPS, FPTrans, S, similarities


@dataclass(frozen=True, eq=False)
class FastQuery:
    """What is kept of B images.

    Attributes:
        tokens: What enters the first block: class and distillation token, then patches, (B, prefix + h * w, C).
        size: h and w.
    """

    tokens: Tensor
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class FastSupport:
    """What is kept of B support images.

    Attributes:
        tokens: As of a query.
        features: The map of the frozen network, (B, C, h, w).
        labels: 1 for the object, 0 for background, 255 for what is neither, at the size of this map; uint8 (B, h, w).
        finer: The same at the size of the purified map, uint8 (B, 2h, 2w).
    """

    tokens: Tensor
    features: Tensor
    labels: Tensor
    finer: Tensor


class FastFPTrans(FastJoint, FPTrans):
    """See `FPTrans`."""

    def prepare(self) -> None:
        """Lay out the purifier's convolutions as products of tokens."""
        first, larger, last = (cast("nn.Conv2d", self.purifier.layers[place]) for place in (0, 3, 6))
        self.of_hidden = first.weight[:, :, 0, 0].detach()
        # (in, out, 2, 2): a position becomes four, row by row.
        self.of_larger = larger.weight.detach().permute(2, 3, 1, 0).flatten(0, 2).contiguous()
        self.larger_bias = cast("Tensor", larger.bias).detach().repeat(4)
        self.of_last = last.weight[:, :, 0, 0].detach()

    def prepare_query(self, features: Tensor | FastQuery) -> FastQuery:
        """Return what enters the first block."""
        if isinstance(features, FastQuery):
            return features
        return FastQuery(self.encoder.backbone.embedded(features), whole_patches(features))

    def condition(self, features: Tensor, mask: Tensor) -> FastSupport:  # type: ignore[override]
        """Return supports."""
        plain = super().condition(features, mask)
        return FastSupport(self.encoder.backbone.embedded(features), plain.features, plain.labels, plain.finer)

    def predict_batch(  # type: ignore[override]
        self, query: FastQuery, supports: Sequence[Sequence[FastSupport]], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the predictions of B episodes."""
        (shots,) = supports
        rows, draws = self.drawn(len(query.tokens), len(shots))
        features = torch.stack([shot.features for shot in shots], dim=1)
        prompts = self.prompts(features, torch.stack([shot.labels for shot in shots], dim=1), rows, draws)
        *kept, target = self._through([*(shot.tokens for shot in shots), query.tokens], prompts)
        # First sites are drawn in the order of the shots, after those of the prompts.
        proxies = [self._proxies(tokens, shot.finer, draws) for tokens, shot in zip(kept, shots, strict=True)]
        objects = torch.stack([one[:, 0] for one in proxies]).mean(dim=0)
        others = torch.cat([one[:, 1:] for one in proxies], dim=1)
        purified = self.purifier(target.transpose(1, 2).reshape(len(target), -1, *query.size))
        logits = similarities(purified, objects, others)
        return decide_each(logits, (logits.shape[-2], logits.shape[-1]), sizes)

    def _through(self, images: Sequence[Tensor], prompts: Tensor) -> list[Tensor]:
        """Return the patches of the images after the last block, normed, each (B, h * w, C).

        Args:
            images: What enters the first block of each, (B, prefix + h * w, C).
            prompts: (B, p, C).
        """
        network = self.encoder.backbone
        prefix, patches = network.prefix, images[0].shape[1] - network.prefix
        # What is shared follows the patches.
        every = [torch.cat([image[:, prefix:], image[:, :prefix], prompts], dim=1) for image in images]
        *blocks, last = (cast("Block", block) for block in network.blocks)
        for block in blocks:
            share(block, every, patches)
        ends: list[Tensor] = []
        shared = last.attn.qkv(last.norm1(every[0][:, patches:]))
        for x in every:
            own = x[:, :patches]
            query, key, value = _heads(last, torch.cat([last.attn.qkv(last.norm1(own)), shared], dim=1))
            own = own + _attended(last, query[:, :, :patches], key, value)
            ends.append(network.norm(own + last.mlp(last.norm2(own))))
        return ends

    def _proxies(self, tokens: Tensor, labels: Tensor, draws: Sequence[Draw]) -> Tensor:
        """Return of a shot the means of the purified map: over the object, then over S parts, (B, 1 + S, C).

        Args:
            tokens: (B, h * w, C).
            labels: (B, 2h, 2w).
            draws: Of each episode.
        """
        shares = torch.stack([_shares(one, draw) for one, draw in zip(labels, draws, strict=True)])
        height, width = (side // 2 for side in shares.shape[-2:])
        hidden = F.relu(F.linear(tokens, self.of_hidden, cast("nn.Conv2d", self.purifier.layers[0]).bias))
        larger = F.relu(F.linear(hidden, self.of_larger, self.larger_bias))
        # The positions in the order of the tokens, the four of each one after the other.
        placed = shares.view(*shares.shape[:2], height, 2, width, 2).transpose(3, 4).flatten(2)
        means = placed @ larger.view(len(tokens), placed.shape[-1], -1).to(placed.dtype)
        smaller = _enlarging(height, shares).T @ shares @ _enlarging(width, shares)
        bias = cast("Tensor", cast("nn.Conv2d", self.purifier.layers[6]).bias)
        learnt = F.linear(means, self.of_last) + bias * placed.sum(dim=2, keepdim=True)
        out: Tensor = learnt + smaller.flatten(2) @ tokens.to(placed.dtype)
        return out


def share(block: Block, every: Sequence[Tensor], patches: int) -> None:
    """Apply a block to the images of B episodes, in place; what follows the patches is averaged over the images.

    Args:
        block: The block.
        every: Of each image (B, n, C), patches first; what follows is the same in all.
        patches: h * w.
    """
    shared = block.attn.qkv(block.norm1(every[0][:, patches:]))
    total, hidden = every[0].new_zeros(()), every[0].new_zeros(())
    for x in every:
        x += _attended(block, *_heads(block, torch.cat([block.attn.qkv(block.norm1(x[:, :patches])), shared], dim=1)))
        inner = F.gelu(block.mlp.fc1(block.norm2(x)))
        total, hidden = total + x[:, patches:], hidden + inner[:, patches:]
        x[:, :patches] += block.mlp.fc2(inner[:, :patches])
    mean = total / len(every) + block.mlp.fc2(hidden / len(every))
    for x in every:
        x[:, patches:] = mean


def _heads(block: Block, projected: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return queries, keys and values, each (B, heads, n, d), of what was projected (B, n, 3 * C)."""
    query, key, value = projected.view(*projected.shape[:2], 3, block.attn.heads, -1).permute(2, 0, 3, 1, 4)
    return query, key, value


def _attended(block: Block, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return what tokens take of all, (B, n, C)."""
    out: Tensor = block.attn.proj(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))
    return out


def _shares(labels: Tensor, draw: Draw) -> Tensor:
    """Return how much each position counts in the mean of the object and in those of S parts, (1 + S, h, w)."""
    inside = (labels == 1).float()
    parts = F.one_hot(partition(labels == 0, S, draw) + 1, 1 + S)[..., 1:].float()
    return torch.cat([(inside / (inside.sum() + PROXY_EPS))[None], (parts / parts.sum(dim=(0, 1))).movedim(2, 0)])


def _enlarging(side: int, like: Tensor) -> Tensor:
    """Return the matrix (2n, n) that makes n values twice as many, linearly, with the corners aligned."""
    ones = torch.eye(side, dtype=like.dtype, device=like.device)
    return F.interpolate(ones[None], 2 * side, mode="linear", align_corners=True)[0].T
