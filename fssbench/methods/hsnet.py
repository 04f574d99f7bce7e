"""HSNet: Min, Kang and Cho, "Hypercorrelation Squeeze for Few-Shot Segmentation", ICCV 2021.

Facts from juhongm999/hsnet at 6b1bc12; the FS-CS variant from dahyun-kang/ifsl at d0b0c0d, fs-cs/model/hsnet.py.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from fssbench.backbones import Pyramid
from fssbench.backbones import backbone as build_backbone
from fssbench.errors import UsageError
from fssbench.layers.centerpivot import CenterPivotConv4d
from fssbench.layers.decoding import decode, decoder, resize_query_positions
from fssbench.layers.hypercorrelation import hypercorrelation
from fssbench.layers.masks import foreground, resize_mask
from fssbench.methods.base.pairwise import PairwiseMethod

Channels = tuple[int, int, int]


class HSNet(PairwiseMethod[Pyramid]):
    """Hypercorrelation squeeze network.

    Args:
        backbone: Name of the frozen backbone.
        variant: "fss" as its authors released it, or "fscs" as iFSL re-implements it.
        way: N; more than 1 in FS-CS only.
        shot: K.
        weak: FS-CS only: trained with image-level labels. Predictions still use the support masks.
        channels: Widths of the squeezing blocks; the release has (16, 64, 128).
    """

    def __init__(
        self,
        backbone: str,
        variant: Literal["fss", "fscs"],
        way: int,
        shot: int,
        weak: bool = False,
        channels: Channels = (16, 64, 128),
    ) -> None:
        super().__init__(build_backbone(backbone), variant, way, shot)
        self.weak = weak
        # The two releases name the same network differently.
        self._learner_name = "hpn_learner" if variant == "fss" else "learner"
        self.add_module(self._learner_name, HPNLearner(self.backbone.levels, channels))

    @property
    def hpn(self) -> nn.Module:
        """The `HPNLearner`, whose name depends on the variant."""
        return self.get_submodule(self._learner_name)

    def condition(self, features: Pyramid, mask: Tensor) -> Pyramid:
        """Return the support maps with the background zeroed (section 4.1); 255 counts as background."""
        object_mask = foreground(mask)
        return tuple(feature * resize_mask(object_mask, feature) for feature in features)

    def score(self, query: Pyramid, support: Pyramid) -> Tensor:
        """Return raw logits (B, 2, h, w) of B pairs: correlate (Eq. 1 and 2), squeeze, mix, decode.

        Raises:
            UsageError: If the images have a size at which the levels do not shrink to the same support positions.
        """
        logits: Tensor = self.hpn(hypercorrelation(query, support, self.backbone.levels))
        return logits


class HPNLearner(nn.Module):
    """Center-pivot 4D pyramid encoder and 2D decoder (sections 4.2 and 4.3, Figure 2).

    Args:
        levels: Number of correlation maps in the shallow, middle and deep level.
        channels: Widths of the three layers of a squeezing block.
    """

    def __init__(self, levels: tuple[int, int, int], channels: Channels) -> None:
        super().__init__()
        self.levels = levels
        shallow, middle, deep = levels
        _, hidden, out = channels
        # Squeezing blocks: the support positions shrink, the query positions stay.
        self.encoder_layer4 = _block((deep, *channels), kernels=(3, 3, 3), strides=(2, 2, 2))
        self.encoder_layer3 = _block((middle, *channels), kernels=(5, 3, 3), strides=(4, 2, 2))
        self.encoder_layer2 = _block((shallow, *channels), kernels=(5, 5, 3), strides=(4, 4, 2))
        # Mixing blocks: what the deeper level found is refined at the next one.
        self.encoder_layer4to3 = _block((out, out, out, out), kernels=(3, 3, 3), strides=(1, 1, 1))
        self.encoder_layer3to2 = _block((out, out, out, out), kernels=(3, 3, 3), strides=(1, 1, 1))
        self.decoder1, self.decoder2 = decoder(out, hidden)

    def forward(self, pyramid: list[Tensor]) -> Tensor:
        """Return logits (B, 2, 2w, 2w) for the hypercorrelation pyramid, deepest level first."""
        squeezed4 = self.encoder_layer4(pyramid[0])
        squeezed3 = self.encoder_layer3(pyramid[1])
        squeezed2 = self.encoder_layer2(pyramid[2])
        check_grids([(level.shape[-2], level.shape[-1]) for level in (squeezed4, squeezed3, squeezed2)])

        mixed = resize_query_positions(squeezed4, squeezed3) + squeezed3
        mixed = self.encoder_layer4to3(mixed)
        mixed = resize_query_positions(mixed, squeezed2) + squeezed2
        mixed = self.encoder_layer3to2(mixed)

        return decode(self.decoder1, self.decoder2, mixed.mean(dim=(-1, -2)))


def check_grids(grids: list[tuple[int, int]]) -> None:
    """Refuse levels whose support positions can't be added; a single position is added to all, as in the release.

    Args:
        grids: (h', w') of each level, deepest first.

    Raises:
        UsageError: Naming image sizes that work.
    """
    if any(len({side for side in sides if side > 1}) > 1 for sides in zip(*grids, strict=True)):
        raise UsageError(
            "hsnet can't take images of this size with this backbone: its levels squeeze to support maps of "
            f"{' and '.join(str(grid) for grid in grids)} positions instead of one size; with a ResNet or VGG sides of "
            "about 400 pixels work, with the small backbone of 192"
        )


def _block(channels: tuple[int, ...], kernels: tuple[int, ...], strides: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for (inputs, outputs), kernel, stride in zip(pairwise(channels), kernels, strides, strict=True):
        layers += [CenterPivotConv4d(inputs, outputs, kernel, stride), nn.GroupNorm(4, outputs), nn.ReLU()]
    return nn.Sequential(*layers)
