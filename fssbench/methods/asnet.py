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
from fssbench.layers.pairwise import PairwiseMethod


@dataclass(frozen=True)
class MaskedSupport:
    """The pooled maps of support images, and their foreground float32 (B, H, W); None with weak labels."""

    features: Pyramid
    mask: Tensor | None


class ASNet(PairwiseMethod[MaskedSupport]):
    """Attentive squeeze network.

    Args:
        backbone: Name of the frozen backbone.
        variant: "fss" (the folder fs-s) or "fscs" (the folder fs-cs).
        way: N; more than 1 in FS-CS only.
        shot: K.
        weak: Whether this is ASNet_w, trained with image-level labels: support masks are not looked at.
        channels: Widths of the squeezing layers; the release has (32, 128).
    """

    def __init__(
        self,
        backbone: str,
        variant: Literal["fss", "fscs"],
        way: int,
        shot: int,
        weak: bool = False,
        channels: tuple[int, int] = (32, 128),
    ) -> None:
        super().__init__(build_backbone(backbone), variant, way, shot)
        self.weak = weak
        self.learner = AttentionLearner(self.backbone.levels, channels)

    def condition(self, features: Pyramid, mask: Tensor) -> MaskedSupport:
        """Return the support maps, wide ones halved, and the foreground; 255 counts as background.

        The maps are not masked: the mask acts inside the attention alone.
        """
        return MaskedSupport(tuple(pool_wide_maps(f) for f in features), None if self.weak else foreground(mask))

    def score(self, query: Pyramid, support: MaskedSupport) -> Tensor:
        """Return raw logits (B, 2, h, w) of B pairs: correlate, squeeze by attention, mix, decode.

        Raises:
            UsageError: If the images have a size at which the support positions do not shrink to one.
        """
        pyramid = hypercorrelation(query, support.features, self.backbone.levels)
        logits: Tensor = self.learner(pyramid, support.mask)
        return logits


class AttentionLearner(nn.Module):
    """Pyramid of attentive squeeze layers and 2D decoder (section 4.2, Figure 3).

    Args:
        levels: Number of correlation maps in the shallow, middle and deep level.
        channels: Widths of the two layers of a squeezing block.
    """

    def __init__(self, levels: tuple[int, int, int], channels: tuple[int, int]) -> None:
        super().__init__()
        shallow, middle, deep = levels
        first, out = channels
        self.encoder_layer4 = _block((deep, first, out), kernels=(5, 3), strides=(4, 2), pool_keys=False)
        self.encoder_layer3 = _block((middle, first, out), kernels=(5, 5), strides=(4, 4), pool_keys=True)
        self.encoder_layer2 = _block((shallow, first, out), kernels=(5, 5), strides=(4, 4), pool_keys=True)
        self.encoder_layer4to3 = _block((out, out, out), kernels=(1, 2), strides=(1, 1), pool_keys=False)
        self.encoder_layer3to2 = _block((out, out, out), kernels=(1, 2), strides=(1, 1), pool_keys=False)
        self.decoder1, self.decoder2 = decoder(out, out // 2)

    def forward(self, pyramid: list[Tensor], mask: Tensor | None) -> Tensor:
        """Return logits (B, 2, 2w, 2w) for the correlation pyramid, deepest level first, and the foreground."""
        squeezed4 = _run(self.encoder_layer4, pyramid[0], mask).mean(dim=(-1, -2), keepdim=True)
        squeezed3 = _run(self.encoder_layer3, pyramid[1], mask)
        squeezed2 = _run(self.encoder_layer2, pyramid[2], mask)
        _check_grids(pyramid, squeezed3, squeezed2)

        # The deepest level has one support position left, which is added to every one of the middle level.
        mixed = resize_query_positions(squeezed4, squeezed3) + squeezed3
        mixed = _run(self.encoder_layer4to3, mixed, mask)
        mixed = resize_query_positions(mixed, squeezed2) + squeezed2
        mixed = _run(self.encoder_layer3to2, mixed, mask)
        return decode(self.decoder1, self.decoder2, mixed[..., 0, 0])


def _block(
    channels: tuple[int, int, int], kernels: tuple[int, int], strides: tuple[int, int], *, pool_keys: bool
) -> nn.ModuleList:
    return nn.ModuleList(
        AttentiveSqueezeLayer(channels[i], channels[i + 1], kernels[i], strides[i], pool_keys=pool_keys)
        for i in range(2)
    )


def _run(block: nn.ModuleList, x: Tensor, mask: Tensor | None) -> Tensor:
    for layer in block:
        x = layer(x, mask)
    return x


def _check_grids(pyramid: list[Tensor], middle: Tensor, shallow: Tensor) -> None:
    # The mixing layers take one position off each axis, so both must have arrived at 2 x 2.
    grids = [tuple(t.shape[-2:]) for t in (middle, shallow)]
    if grids != [(2, 2), (2, 2)]:
        sides = [tuple(t.shape[-2:]) for t in pyramid]
        raise UsageError(
            f"asnet can't take images of this size: its support maps of {sides[2]}, {sides[1]}, {sides[0]} positions "
            f"squeeze to {grids[1]} and {grids[0]} instead of (2, 2); with a ResNet, sides of 400 to 512 pixels work"
        )
