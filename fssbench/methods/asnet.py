"""ASNet: Kang and Cho, "Integrative Few-Shot Learning for Classification and Segmentation", CVPR 2022.

Facts from dahyun-kang/ifsl at d0b0c0d: fs-s (segmentation alone) and fs-cs (classification and segmentation).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from fssbench.backbones import Pyramid
from fssbench.backbones import backbone as build_backbone
from fssbench.errors import UsageError
from fssbench.layers.attentive_squeeze import AttentiveSqueezeLayer, pool_wide_maps
from fssbench.layers.decoding import decode, decoder, resize_query_positions
from fssbench.layers.hypercorrelation import hypercorrelation
from fssbench.layers.masks import foreground
from fssbench.methods.base.pairwise import PairwiseMethod

Variant = Literal["fss", "fscs", "fscs-local", "fscs-unmasked", "fscs-single-level"]


@dataclass(frozen=True)
class MaskedSupport:
    """The pooled maps of support images, and their foreground float32 (B, H, W); None if it is not used."""

    features: Pyramid
    mask: Tensor | None


class ASNet(PairwiseMethod[MaskedSupport]):
    """Attentive squeeze network.

    The paper's ablation removes parts of the FS-CS variant. Its code was not released, and the table gives only names,
    so these interpretations are ours:

    - "fscs-local", global to local attention: a query attends to the support positions under its own kernel that are
      inside the mask. Keys and values are taken at every position, so in the two finer levels their kernels are 1 x 1.
      The last two positions of each side are under one kernel; for them local and global attention are the same.
    - "fscs-unmasked", without masked attention: every support position is a key, and nothing replaces the mask. So
      support masks are not used; the loss is that of strong labels.
    - "fscs-single-level", without multi-layer fusion: the levels of the pyramid are not merged. Only the middle level
      is squeezed and decoded; the layers that would mix in the deeper level reduce it to one support position. The
      deepest level has few query positions, and the shallow one contains little about the class, so we chose the middle
      one.

    Args:
        backbone: Name of the frozen backbone.
        variant: "fss" (the folder fs-s), "fscs" (the folder fs-cs), or a variant of the ablation.
        way: N; more than 1 in FS-CS only.
        shot: K.
        weak: Whether this is ASNet_w, trained with image-level labels: support masks are not used.
        channels: Widths of the squeezing layers; the release has (32, 128).
    """

    def __init__(
        self,
        backbone: str,
        variant: Variant,
        way: int,
        shot: int,
        weak: bool = False,
        channels: tuple[int, int] = (32, 128),
    ) -> None:
        super().__init__(build_backbone(backbone), "fss" if variant == "fss" else "fscs", way, shot)
        self.weak = weak
        self.masked = not weak and variant != "fscs-unmasked"
        self.learner: nn.Module
        if variant == "fscs-single-level":
            self.learner = SingleLevelLearner(self.backbone.levels, channels)
        else:
            self.learner = AttentionLearner(self.backbone.levels, channels, local=variant == "fscs-local")

    def condition(self, features: Pyramid, mask: Tensor) -> MaskedSupport:
        """Return the support maps, wide ones halved, and the foreground; 255 counts as background.

        The maps are not masked: the mask is used in the attention only.
        """
        pooled = tuple(pool_wide_maps(feature) for feature in features)
        inside = foreground(mask) if self.masked else None
        return MaskedSupport(pooled, inside)

    def score(self, query: Pyramid, support: MaskedSupport) -> Tensor:
        """Return raw logits (B, 2, h, w) of B pairs: correlate, squeeze by attention, mix, decode.

        Raises:
            UsageError: If the images have a size at which the support positions do not shrink to one.
        """
        logits: Tensor = self.learner(hypercorrelation(query, support.features, self.backbone.levels), support.mask)
        return logits


class AttentionLearner(nn.Module):
    """Pyramid of attentive squeeze layers and 2D decoder (section 4.2, Figure 3).

    Args:
        levels: Number of correlation maps in the shallow, middle and deep level.
        channels: Widths of the two layers of a squeezing block.
        local: Whether attention is local; see `AttentiveSqueezeLayer`.
    """

    def __init__(self, levels: tuple[int, int, int], channels: tuple[int, int], *, local: bool = False) -> None:
        super().__init__()
        self.levels, self.local = levels, local
        shallow, middle, deep = levels
        first, out = channels
        self.encoder_layer4 = _block((deep, first, out), (5, 3), (4, 2), pool_keys=False, local=local)
        self.encoder_layer3 = _block((middle, first, out), (5, 5), (4, 4), pool_keys=True, local=local)
        self.encoder_layer2 = _block((shallow, first, out), (5, 5), (4, 4), pool_keys=True, local=local)
        self.encoder_layer4to3 = _block((out, out, out), (1, 2), (1, 1), pool_keys=False, local=local)
        self.encoder_layer3to2 = _block((out, out, out), (1, 2), (1, 1), pool_keys=False, local=local)
        self.decoder1, self.decoder2 = decoder(out, out // 2)

    def forward(self, pyramid: list[Tensor], mask: Tensor | None) -> Tensor:
        """Return logits (B, 2, 2w, 2w) for the correlation pyramid, deepest level first, and the foreground."""
        squeezed4 = _run(self.encoder_layer4, pyramid[0], mask).mean(dim=(-1, -2), keepdim=True)
        squeezed3 = _run(self.encoder_layer3, pyramid[1], mask)
        squeezed2 = _run(self.encoder_layer2, pyramid[2], mask)
        _check_grids(pyramid[1:], [squeezed3, squeezed2])

        # The deepest level has one support position, which is added to every position of the middle level.
        mixed = resize_query_positions(squeezed4, squeezed3) + squeezed3
        mixed = _run(self.encoder_layer4to3, mixed, mask)
        mixed = resize_query_positions(mixed, squeezed2) + squeezed2
        mixed = _run(self.encoder_layer3to2, mixed, mask)
        return decode(self.decoder1, self.decoder2, mixed[..., 0, 0])


class SingleLevelLearner(nn.Module):
    """The part of `AttentionLearner` for the middle level alone, with the same names.

    Args:
        levels: Number of correlation maps in the shallow, middle and deep level.
        channels: Widths of the two layers of a squeezing block.
    """

    def __init__(self, levels: tuple[int, int, int], channels: tuple[int, int]) -> None:
        super().__init__()
        first, out = channels
        self.encoder_layer3 = _block((levels[1], first, out), (5, 5), (4, 4), pool_keys=True)
        self.encoder_layer4to3 = _block((out, out, out), (1, 2), (1, 1), pool_keys=False)
        self.decoder1, self.decoder2 = decoder(out, out // 2)

    def forward(self, pyramid: list[Tensor], mask: Tensor | None) -> Tensor:
        """Return logits (B, 2, 2w, 2w) for the correlation pyramid, of which only the middle level is used."""
        squeezed = _run(self.encoder_layer3, pyramid[1], mask)
        _check_grids(pyramid[1:2], [squeezed])
        squeezed = _run(self.encoder_layer4to3, squeezed, mask)
        return decode(self.decoder1, self.decoder2, squeezed[..., 0, 0])


def _block(
    channels: tuple[int, int, int],
    kernels: tuple[int, int],
    strides: tuple[int, int],
    *,
    pool_keys: bool,
    local: bool = False,
) -> nn.ModuleList:
    return nn.ModuleList(
        AttentiveSqueezeLayer(channels[i], channels[i + 1], kernels[i], strides[i], pool_keys=pool_keys, local=local)
        for i in range(2)
    )


def _run(block: nn.ModuleList, x: Tensor, mask: Tensor | None) -> Tensor:
    for layer in block:
        x = layer(x, mask)
    return x


def _check_grids(pyramid: list[Tensor], squeezed: list[Tensor]) -> None:
    sizes, squeezed_sizes = ([(level.shape[-2], level.shape[-1]) for level in levels] for levels in (pyramid, squeezed))
    check_sizes(sizes, squeezed_sizes)


def check_sizes(inputs: list[tuple[int, int]], squeezed: list[tuple[int, int]]) -> None:
    """Refuse levels that do not squeeze to 2 x 2 support positions: the mixing layers remove one position on each axis.

    Args:
        inputs: (h', w') of each level.
        squeezed: (h', w') of each level after squeezing.

    Raises:
        UsageError: Naming image sizes that work.
    """
    if any(size != (2, 2) for size in squeezed):
        sides, found = (" and ".join(map(str, sizes)) for sizes in (inputs, squeezed))
        raise UsageError(
            f"asnet can't take images of this size: its support maps of {sides} positions squeeze to {found} instead "
            "of (2, 2); with a ResNet, sides of 400 to 512 pixels work"
        )
