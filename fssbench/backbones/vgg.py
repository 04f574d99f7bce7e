"""VGG-16 with torchvision's parameter names, giving the raw outputs of its last convolutions.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015, Table 1 D.
"""

from __future__ import annotations

from torch import Tensor, nn

from fssbench.backbones import Backbone, Pyramid, UnusedLinear

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
        """Return the seven maps; the last one, a pool output, is the only one after a ReLU."""
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
