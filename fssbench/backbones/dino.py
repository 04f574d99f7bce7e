"""The self-supervised vision transformers DINOv2 and DINOv3, as transformers builds them, with patch tokens as a map.

Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", TMLR 2024; Simeoni et al., "DINOv3", 2025.
Weights load under the names of transformers (of today, and of the files on the hub) and of the authors
(facebookresearch/dinov2; facebookresearch/dinov3 at 6876159).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from fssbench.backbones.networks import Network, built, network, renamed, resized
from fssbench.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from typing import Any

_THIRDS = ("q_proj", "k_proj", "v_proj")
_QKV = re.compile(r"^blocks\.(\d+)\.attn\.qkv\.(weight|bias)$")


class Dino(nn.Module, ABC):
    """A vision transformer whose patch tokens are a feature map. Its children have transformers' names.

    Attributes:
        patch: Side of a patch in pixels.
        channels: Number of channels of the map.
        mean: Mean of the images that it was trained on: ImageNet's.
        std: Their standard deviation.
        prefix: Number of tokens before those of the patches: the class token and the registers.
    """

    renamed: tuple[tuple[str, str], ...]
    """Names of the authors and of older files, as regular expressions, and what replaces them; in this order."""

    def __init__(self, chosen: Network, prefix: int) -> None:
        super().__init__()
        self.patch: int = chosen.config["patch_size"]
        self.channels: int = chosen.config["hidden_size"]
        self.mean, self.std = chosen.mean, chosen.std
        self.prefix = prefix

    @abstractmethod
    def tokens(self, image: Tensor, *, normed: bool) -> Tensor:
        """Return all tokens (B, prefix + h * w, C) of the last block of images whose sides are multiples of the patch.

        Args:
            image: float32 (B, 3, H, W), normalised by `mean` and `std`.
            normed: Whether the final layer norm is applied.
        """

    def forward(self, image: Tensor, *, normed: bool = True) -> Tensor:
        """Return the patch tokens of the last block as a map (B, C, h, w), float32 or more precise.

        Args:
            image: float32 (B, 3, H, W), normalised by `mean` and `std`. It is resized to whole patches first.
            normed: Whether the final layer norm is applied.
        """
        fitted = in_patches(image, self.patch)
        height, width = (side // self.patch for side in fitted.shape[-2:])
        patches = self.tokens(fitted, normed=normed)[:, self.prefix :]
        at_least_float32 = patches.to(torch.promote_types(patches.dtype, torch.float32))
        return at_least_float32.transpose(1, 2).reshape(len(image), self.channels, height, width)

    def names_here(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return weights under their names here.

        Args:
            state: Weights under the names of the authors, of transformers, or of its older versions, which the files on
                the hub have. Other names stay as they are.
        """
        named: dict[str, Tensor] = {}
        for key, value in state.items():
            if match := _QKV.match(key):
                for part, third in zip(_THIRDS, value.chunk(3), strict=True):
                    named[f"blocks.{match[1]}.attn.{part}.{match[2]}"] = third
            else:
                named[key] = value
        return {renamed(key, self.renamed): value for key, value in named.items()}


class Dinov3(Dino):
    """DINOv3: a class token and registers before the patches, rotary positions."""

    renamed = (
        (r"^(cls_token|mask_token)$", r"embeddings.\1"),
        (r"^storage_tokens$", "embeddings.register_tokens"),
        (r"^patch_embed\.proj\.", "embeddings.patch_embeddings."),
        (r"^(blocks|layer)\.", "model.layer."),  # files on the hub have layer.N., from transformers before 5
        (r"(\.\d+)\.attn\.proj\.", r"\1.attention.o_proj."),
        (r"(\.\d+)\.attn\.", r"\1.attention."),
        (r"(\.\d+)\.ls([12])\.gamma$", r"\1.layer_scale\2.lambda1"),
        (r"(\.\d+)\.mlp\.fc1\.", r"\1.mlp.up_proj."),
        (r"(\.\d+)\.mlp\.fc2\.", r"\1.mlp.down_proj."),
    )

    def __init__(self, chosen: Network) -> None:
        super().__init__(chosen, prefix=1 + chosen.config["num_register_tokens"])
        made = cast("Any", built(chosen))
        self.embeddings: nn.Module = made.embeddings
        self.rope_embeddings: nn.Module = made.rope_embeddings
        self.model: nn.Module = made.model
        self.norm: nn.Module = made.norm
        # The authors' files hold the periods in bfloat16, and their network computes with these.
        frequencies = made.rope_embeddings.inv_freq
        frequencies.copy_(1.0 / (1.0 / frequencies).bfloat16().float())

    def tokens(self, image: Tensor, *, normed: bool) -> Tensor:
        """Return all tokens; see `Dino.tokens`."""
        placed = self.rope_embeddings(image)
        found: Tensor = self.model(self.embeddings(image), position_embeddings=placed).last_hidden_state
        return cast("Tensor", self.norm(found)) if normed else found

    def names_here(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return weights under their names here; see `Dino.names_here`.

        The authors' keys have a bias, which a mask of their file removes, and the periods, which are not weights.

        Raises:
            CheckpointError: If the file has other periods than this network.
        """
        kept = {key: value for key, value in state.items() if not key.endswith(".attn.qkv.bias_mask")}
        periods = kept.pop("rope_embed.periods", None)
        frequencies = cast("Tensor", self.rope_embeddings.inv_freq)
        if periods is not None and not _same(periods, 1.0 / frequencies):
            raise CheckpointError(
                "rope_embed.periods are not those of DINOv3", "use the weights of the authors' release"
            )
        named = super().names_here(kept)
        if (mask := named.get("embeddings.mask_token")) is not None and mask.ndim == 2:
            named["embeddings.mask_token"] = mask[None]
        return {key: value for key, value in named.items() if not key.endswith(".attention.k_proj.bias")}


class Dinov2(Dino):
    """DINOv2 without registers: a class token before the patches, learned positions, resized to the image."""

    renamed = (
        (r"^(cls_token|mask_token)$", r"embeddings.\1"),
        (r"^pos_embed$", "embeddings.position_embeddings"),
        (r"^patch_embed\.proj\.", "embeddings.patch_embeddings.projection."),
        (r"^blocks\.", "encoder.layer."),
        (r"(\.\d+)\.attn\.proj\.", r"\1.attention.o_proj."),
        (r"(\.\d+)\.attn\.", r"\1.attention."),
        (r"(\.\d+)\.ls([12])\.gamma$", r"\1.layer_scale\2.lambda1"),
        (r"^norm\.", "layernorm."),
        # The files on the hub have the names of transformers before 5.
        (r"(\.\d+)\.attention\.attention\.query\.", r"\1.attention.q_proj."),
        (r"(\.\d+)\.attention\.attention\.key\.", r"\1.attention.k_proj."),
        (r"(\.\d+)\.attention\.attention\.value\.", r"\1.attention.v_proj."),
        (r"(\.\d+)\.attention\.output\.dense\.", r"\1.attention.o_proj."),
    )

    def __init__(self, chosen: Network) -> None:
        super().__init__(chosen, prefix=1)
        made = cast("Any", built(chosen))
        self.embeddings: nn.Module = made.embeddings
        self.encoder: nn.Module = made.encoder
        self.layernorm: nn.Module = made.layernorm

    def tokens(self, image: Tensor, *, normed: bool) -> Tensor:
        """Return all tokens; see `Dino.tokens`."""
        found: Tensor = self.encoder(self.embeddings(image)).last_hidden_state
        return cast("Tensor", self.layernorm(found)) if normed else found


_FAMILIES: dict[str, type[Dinov2] | type[Dinov3]] = {"dinov2": Dinov2, "dinov3": Dinov3}


def dino(name: str) -> Dino:
    """Build a DINOv2 or DINOv3 with random weights; nothing is downloaded.

    Args:
        name: e.g. "dinov3-vits16" (`transformers_networks.toml`).

    Raises:
        UsageError: If there is no such network, or it is of another family.
        MissingError: If transformers is not installed.
    """
    chosen = network(name)
    if chosen.family not in _FAMILIES:
        raise UsageError(f"{name} is not a DINOv2 or DINOv3")
    return _FAMILIES[chosen.family](chosen)


def in_patches(image: Tensor, patch: int) -> Tensor:
    """Return images (B, C, H, W) whose sides are multiples of the patch, resized to the nearest ones if they are not.

    Bilinear, without antialiasing.
    """
    height, width = (max(1, round(side / patch)) * patch for side in image.shape[-2:])
    return resized(image, height, width)


def _same(periods: Tensor, own: Tensor) -> bool:
    return periods.shape == own.shape and torch.allclose(periods.to(own), own, rtol=1e-5)
