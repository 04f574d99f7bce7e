"""The deep-stem ResNet with frozen batch norms that CyCTR and SCCAN have in `backbone.body`.

Facts from YanFangCS/CyCTR-Pytorch at 1a06183, model/resnet.py and model/backbone_utils.py; SCCAN's files are the same.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones.atrous import BLOCKS
from fssbench.backbones.resnet import EXPANSION, Bottleneck, Bottlenecks
from fssbench.backbones.staged import StagedBackbone, StagedSmall
from fssbench.errors import UsageError

_WIDTHS, _STRIDES = (64, 128, 256, 512), (1, 2, 1, 1)
_DILATIONS = ((1, 1), (1, 1), (1, 2), (2, 4))
"""Of each layer the dilation of its first bottleneck, which is that of the layer before, and of the others."""


class FrozenBatchNorm2d(nn.Module):
    """Batch norm whose statistics, weight and bias are buffers: nothing of it is ever trained or moved.

    Args:
        channels: C.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor
    eps = 1e-5

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised map (B, C, h, w), in training too by the running statistics."""
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


class _Body(nn.Module):
    def __init__(self, blocks: tuple[int, int, int, int]) -> None:
        super().__init__()
        for number, (inputs, outputs, stride) in enumerate(((3, 64, 2), (64, 64, 1), (64, 128, 1)), start=1):
            self.add_module(f"conv{number}", nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False))
            self.add_module(f"bn{number}", nn.BatchNorm2d(outputs))
        inputs = 128
        for number, (count, width, stride, (first, others)) in enumerate(
            zip(blocks, _WIDTHS, _STRIDES, _DILATIONS, strict=True), start=1
        ):
            made = [Bottleneck(inputs, width, stride, dilation=first)]
            inputs = width * EXPANSION
            made += [Bottleneck(inputs, width, 1, dilation=others) for _ in range(count - 1)]
            self.add_module(f"layer{number}", Bottlenecks(*made))

    def stem(self, image: Tensor) -> Tensor:
        x = image
        for number in (1, 2, 3):
            x = F.relu(self.get_submodule(f"bn{number}")(self.get_submodule(f"conv{number}")(x)))
        return F.max_pool2d(x, 3, stride=2, padding=1)


class _Holder(nn.Module):
    def __init__(self, blocks: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.body = _Body(blocks)
        _freeze_norms(self.body)


class FrozenResNet(StagedBackbone):
    """A ResNet with a stem of three 3x3 convolutions (64, 64, 128), dilated by torchvision's rule.

    layer2 and what follows are at an eighth of the image's size; 473 x 473 gives maps of 60.

    Args:
        blocks: Number of bottlenecks in layer1 to layer4.
    """

    channels = (512, 1024, 2048)

    def __init__(self, blocks: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.backbone = _Holder(blocks)

    def shallow(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return layer2 (B, 512, h, w) and layer3 (B, 1024, h, w), both at an eighth of the image's size."""
        body = self.backbone.body
        layer1 = body.get_submodule("layer1")(body.stem(image))
        layer2 = body.get_submodule("layer2")(layer1)
        return layer2, body.get_submodule("layer3")(layer2)

    def deep(self, layer3: Tensor) -> Tensor:
        """Return layer4 (B, 2048, h, w)."""
        layer4: Tensor = self.backbone.body.get_submodule("layer4")(layer3)
        return layer4

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename the releases' resnet50_v2.pth; the classifier and the counts of batches are left out."""
        return {
            f"backbone.body.{key}": value
            for key, value in state.items()
            if not key.startswith("fc.") and not key.endswith("num_batches_tracked")
        }


def frozen(name: str) -> StagedBackbone:
    """Build a backbone of CyCTR and SCCAN with random weights.

    Args:
        name: "resnet50", "resnet101" or "small", whose batch norms are not of the frozen kind.

    Raises:
        UsageError: If there is no such backbone.
    """
    if name in BLOCKS:
        one, two, three, four = BLOCKS[name]
        return FrozenResNet((one, two, three, four))
    if name == "small":
        return StagedSmall()
    raise UsageError(f"backbone '{name}' has no form with frozen batch norms; resnet50, resnet101 and small have")


def _freeze_norms(network: nn.Module) -> None:
    for part in list(network.modules()):
        for name, child in list(part.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(part, name, FrozenBatchNorm2d(child.num_features))
