"""ResNet-50 and ResNet-101 with torchvision's parameter names; returns the map of every bottleneck.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, Table 1. As in torchvision, the 3x3 convolution
has the stride, and nothing is dilated: 400 x 400 gives maps of 50, 25 and 13 pixels.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones import Pyramid, UnusedLinear
from fssbench.backbones.finer import FinerBackbone

EXPANSION = 4


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions with a shortcut; the last ReLU is left to the caller.

    Args:
        inputs: Channels of the input.
        width: Channels of the 3x3 convolution.
        stride: The stride of the bottleneck.
        dilation: Its dilation.
        expansion: Channels of the output, in widths.
        stride_first: Whether the first 1x1 convolution has the stride, as in the paper; else the 3x3 one.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        stride: int,
        *,
        dilation: int = 1,
        expansion: int = EXPANSION,
        stride_first: bool = False,
    ) -> None:
        super().__init__()
        outputs = width * expansion
        first, middle = (stride, 1) if stride_first else (1, stride)
        self.conv1 = nn.Conv2d(inputs, width, 1, stride=first, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=middle, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of branch and shortcut, before the ReLU: (B, expansion * width, h, w)."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        shortcut = x if self.downsample is None else self.downsample(x)
        total: Tensor = out + shortcut
        return total


class Bottlenecks(nn.Sequential):
    """A sequence of bottlenecks, each followed by a ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the map of the last one, after its ReLU."""
        return F.relu(self.without_last_relu(x))

    def without_last_relu(self, x: Tensor) -> Tensor:
        """Return the map of the last one, before its ReLU."""
        *others, last = self
        for block in others:
            x = F.relu(block(x))
        out: Tensor = last(x)
        return out


class ResNet(FinerBackbone):
    """A bottleneck ResNet; the pyramid has the maps of the bottlenecks of layer2, layer3 and layer4.

    Args:
        blocks: Number of bottlenecks in layer1 to layer4.
    """

    def __init__(self, blocks: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.levels = blocks[1:]
        self.channels = (512,) * blocks[1] + (1024,) * blocks[2] + (2048,) * blocks[3]
        self.finer_channels = 256
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = _layer(64, 64, blocks[0], stride=1)
        self.layer2 = _layer(256, 128, blocks[1], stride=2)
        self.layer3 = _layer(512, 256, blocks[2], stride=2)
        self.layer4 = _layer(1024, 512, blocks[3], stride=2)
        self.fc = UnusedLinear(2048, 1000)

    def forward(self, image: Tensor) -> Pyramid:
        """Return the maps of layer2, layer3 and layer4, each after the addition and before the ReLU."""
        return self._levels(self.layer1(self._stem(image)))

    def with_finer(self, image: Tensor) -> tuple[Tensor, Pyramid]:
        """Return the last map of layer1, after the addition and before the ReLU, and the maps of `forward`."""
        finer = self.layer1.without_last_relu(self._stem(image))
        return finer, self._levels(F.relu(finer))

    def _stem(self, image: Tensor) -> Tensor:
        return F.max_pool2d(F.relu(self.bn1(self.conv1(image))), 3, stride=2, padding=1)

    def _levels(self, x: Tensor) -> Pyramid:
        maps = []
        for layer in (self.layer2, self.layer3, self.layer4):
            for block in layer:
                x = block(x)
                maps.append(x)
                x = F.relu(x)
        return tuple(maps)


def _layer(inputs: int, width: int, count: int, stride: int) -> Bottlenecks:
    first = Bottleneck(inputs, width, stride)
    return Bottlenecks(first, *(Bottleneck(width * EXPANSION, width, 1) for _ in range(count - 1)))


def resnet50() -> ResNet:
    """Build ResNet-50 with random weights: a pyramid of 4, 6 and 3 maps."""
    return ResNet((3, 4, 6, 3))


def resnet101() -> ResNet:
    """Build ResNet-101 with random weights: a pyramid of 4, 23 and 3 maps."""
    return ResNet((3, 4, 23, 3))
