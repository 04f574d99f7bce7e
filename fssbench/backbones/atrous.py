"""torchvision's ResNet with dilations in place of its last strides, whole in one child of a method.

Two forms of it are in releases: PPNet's (torchvision's own rule) and that of CaNet and PMMs (from DeepLab's).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones.resnet import EXPANSION, Bottleneck, Bottlenecks

BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}
"""Number of bottlenecks in layer1 to layer4."""
_WIDTHS, _STRIDES = (64, 128, 256, 512), (1, 2, 1, 1)


class AtrousResNet(nn.Module):
    """A bottleneck ResNet at an eighth of the image's size from layer2 on.

    Args:
        blocks: Number of bottlenecks in layer1 and what follows; what is not named is not built.
        dilations: Of each layer the dilation of its first bottleneck and of the others.
        stride_first: Whether strides are on the first 1x1 convolution of a bottleneck; else on the 3x3 one.
        ceil_mode: Whether the max-pool rounds the size up.
        last_relu: Whether the last bottleneck of all ends with a ReLU.
    """

    def __init__(
        self,
        blocks: Sequence[int],
        dilations: Sequence[tuple[int, int]],
        *,
        stride_first: bool = False,
        ceil_mode: bool = False,
        last_relu: bool = True,
    ) -> None:
        super().__init__()
        self.ceil_mode, self.last_relu = ceil_mode, last_relu
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self._layers = [f"layer{number}" for number in range(1, len(blocks) + 1)]
        inputs = 64
        for name, count, width, stride, (first, others) in zip(
            self._layers, blocks, _WIDTHS, _STRIDES, dilations, strict=False
        ):
            made = [Bottleneck(inputs, width, stride, dilation=first, stride_first=stride_first)]
            inputs = width * EXPANSION
            made += [Bottleneck(inputs, width, 1, dilation=others) for _ in range(count - 1)]
            self.add_module(name, Bottlenecks(*made))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the maps of layer1 and what follows, (B, C, h, w), each after its ReLU, of images (B, 3, H, W)."""
        x = F.relu(self.bn1(self.conv1(image)))
        x = F.max_pool2d(x, 3, stride=2, padding=1, ceil_mode=self.ceil_mode)
        maps = []
        for name in self._layers:
            blocks = cast("Bottlenecks", self.get_submodule(name))
            bare = name == self._layers[-1] and not self.last_relu
            x = blocks.without_last_relu(x) if bare else blocks(x)
            maps.append(x)
        return tuple(maps)


def torchvision_dilated(name: str) -> AtrousResNet:
    """Return PPNet's encoder: layer3 and layer4 dilated by torchvision's rule, layer4 without its last ReLU.

    Xiangyi1996/PPNet-PyTorch at c23985f, models/ResNetBackbone.py.

    Args:
        name: "resnet50" or "resnet101".
    """
    # The first bottleneck of a dilated layer keeps the dilation of the layer before.
    return AtrousResNet(BLOCKS[name], ((1, 1), (1, 1), (1, 2), (2, 4)), last_relu=False)


def deeplab_dilated(name: str) -> AtrousResNet:
    """Return the backbone of CaNet and PMMs: layer1 to layer3, strides on the first convolution, the pool rounded up.

    Its batch norms' weights are not trained (Yang-Bob/PMMs at 100d66b, models/backbone/resnet_dialated.py).

    Args:
        name: "resnet50" or "resnet101".
    """
    made = AtrousResNet(BLOCKS[name][:3], ((1, 1), (1, 1), (2, 2)), stride_first=True, ceil_mode=True)
    for part in made.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.requires_grad_(requires_grad=False)
    return made
