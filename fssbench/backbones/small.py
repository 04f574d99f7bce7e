"""A small residual network for the embedded data set, trained from scratch on the base classes of a fold.

Bottlenecks as in He et al. (CVPR 2016), but narrow and few. The middle level is dilated instead of strided, so that an
image of 192 pixels gives maps of 24, 24 and 12 positions, enough for the squeezing layers of HSNet and ASNet.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones import Pyramid
from fssbench.backbones.finer import FinerBackbone
from fssbench.backbones.resnet import Bottleneck, Bottlenecks

_STEM = (16, 32, 48)
_WIDTHS = (32, 48, 64)
_EXPANSION = 2
_MAPS = 2
_FINER = 6
"""How many layers of the stem have the finer map behind them."""


class Small(FinerBackbone):
    """Three strided convolutions and six bottlenecks, two for each level: strides 8, 8 and 16."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = (_MAPS, _MAPS, _MAPS)
        self.channels = tuple(width * _EXPANSION for width in _WIDTHS for _ in range(_MAPS))
        *_, self.finer_channels, _ = _STEM
        stem: list[nn.Module] = []
        inputs = 3
        for outputs in _STEM:
            stem += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
            inputs = outputs
        self.stem = nn.Sequential(*stem)
        self.layer2 = _level(_STEM[-1], _WIDTHS[0], stride=1, dilation=1)
        self.layer3 = _level(_WIDTHS[0] * _EXPANSION, _WIDTHS[1], stride=1, dilation=2)
        self.layer4 = _level(_WIDTHS[1] * _EXPANSION, _WIDTHS[2], stride=2, dilation=1)

    def with_finer(self, image: Tensor) -> tuple[Tensor, Pyramid]:
        """Return the stem's map before its last convolution, and two maps of each level.

        Those of the levels are taken after the addition and before the ReLU.
        """
        finer = self.stem[:_FINER](image)
        x = self.stem[_FINER:](finer)
        maps = []
        for level in (self.layer2, self.layer3, self.layer4):
            for block in level:
                x = block(x)
                maps.append(x)
                x = F.relu(x)
        return finer, tuple(maps)


def _level(inputs: int, width: int, stride: int, dilation: int) -> Bottlenecks:
    first = Bottleneck(inputs, width, stride, dilation=dilation, expansion=_EXPANSION)
    rest = (Bottleneck(width * _EXPANSION, width, 1, dilation=dilation, expansion=_EXPANSION) for _ in range(_MAPS - 1))
    return Bottlenecks(first, *rest)


def small() -> Small:
    """Build the small backbone with random weights: a pyramid of 2, 2 and 2 maps."""
    return Small()
