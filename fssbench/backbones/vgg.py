"""VGG-16 with torchvision's parameter names; returns the raw outputs of its last convolutions.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015, Table 1 D.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from fssbench.backbones import Backbone, Pyramid, UnusedLinear
from fssbench.imagenet import IMAGENET_MEAN, IMAGENET_STD

_WIDTHS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
# conv4_1 to conv4_3, conv5_1 to conv5_3 before their ReLU, and the last max-pool: HSNet's model/hsnet.py at 6b1bc12.
TAKEN = (17, 19, 21, 24, 26, 28, 30)


class VGG(Backbone):
    """VGG-16 without batch norm; the pyramid is conv4_x, conv5_x and the last pool."""

    levels = (3, 3, 1)
    channels = (512,) * 7

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for width, count in _WIDTHS:
            for _ in range(count):
                layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
                inputs = width
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            UnusedLinear(512 * 7 * 7, 4096),
            nn.ReLU(),
            nn.Dropout(),
            UnusedLinear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(),
            UnusedLinear(4096, 1000),
        )

    def forward(self, image: Tensor) -> Pyramid:
        """Return the seven maps; only the last one, a pool output, is after a ReLU."""
        x = image
        maps = []
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place in TAKEN:
                maps.append(x)
        return tuple(maps)


def vgg16() -> VGG:
    """Build VGG-16 with random weights: a pyramid of 3, 3 and 1 maps."""
    return VGG()


def convolutions(widths: Sequence[int], padding: int) -> nn.Sequential:
    """Return the convolutions and pools of VGG-16 as Caffe has them, under torchvision's names; its pools round up.

    Args:
        widths: Channels of conv1 to conv5.
        padding: Of the first convolution.
    """
    layers: list[nn.Module] = []
    inputs = 3
    for width, (_, count) in zip(widths, _WIDTHS, strict=True):
        for _ in range(count):
            layers += [nn.Conv2d(inputs, width, 3, padding=1 if layers else padding), nn.ReLU()]
            inputs = width
        layers.append(nn.MaxPool2d(2, ceil_mode=True))
    return nn.Sequential(*layers)


def for_caffe_input(state: Mapping[str, Tensor], mean: Sequence[float]) -> dict[str, Tensor]:
    """Return weights that give for Caffe's input what torchvision's give for theirs, away from borders.

    Caffe's input is blue, green and red in 0..255, less a mean; torchvision's is red, green and blue in 0..1, less
    ImageNet's mean, divided by its standard deviation. Only the first convolution differs.

    Args:
        state: Weights in torchvision's names; without a first convolution of three channels they stay as they are.
        mean: That of Caffe's input: of blue, green and red, in 0..1.
    """
    weight, bias = state.get("features.0.weight"), state.get("features.0.bias")
    if weight is None or bias is None or weight.ndim != 4 or weight.shape[1] != 3 or bias.shape != weight.shape[:1]:
        return dict(state)
    std, theirs, own = (weight.new_tensor(values) for values in (IMAGENET_STD, IMAGENET_MEAN, mean[::-1]))
    moved = bias + torch.einsum("ocij,c->o", weight, (own - theirs) / std)
    scaled = (weight / (255 * std).view(3, 1, 1)).flip(1)
    return dict(state) | {"features.0.weight": scaled, "features.0.bias": moved}
