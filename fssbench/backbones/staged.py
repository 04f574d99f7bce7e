"""Backbones in stages, for methods that run the last stage on masked maps (PFENet and later methods).

In the releases the children of a `StagedBackbone` are children of the model itself, and they have these names there. So
a method that adopts them (`fssbench.methods.base.staged`) has the release's parameter names.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from itertools import pairwise

from torch import Tensor, nn

from fssbench.backbones.resnet import EXPANSION, Bottleneck, Bottlenecks
from fssbench.backbones.small import small
from fssbench.errors import UsageError

_BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}
_VGG_WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class StagedBackbone(nn.Module, ABC):
    """A feature extractor in two parts: up to layer3, and layer4.

    Attributes:
        channels: Channels of the maps of layer2, layer3 and layer4.
    """

    channels: tuple[int, int, int]

    @abstractmethod
    def shallow(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the maps of layer2 and layer3, each after its ReLU, of images float32 (B, 3, H, W)."""

    @abstractmethod
    def deep(self, layer3: Tensor) -> Tensor:
        """Return the map of layer4, after its ReLU, of a map of layer3 (B, C, h, w)."""

    @abstractmethod
    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ImageNet weights, with the names of their file, under the names that they have here.

        Unused weights (the classifier) are left out.
        """


class DeepStemResNet(StagedBackbone):
    """The dilated ResNet of PFENet, NTRENet, BAM, ASGNet and SCL: layer0 to layer4.

    The stem has three 3x3 convolutions (64, 64, 128). Every 3x3 convolution of layer3 has dilation 2 and of layer4
    dilation 4, both at stride 1, so 473 x 473 gives maps of 60 (dvlab-research/PFENet at a505675, model/resnet.py).

    Args:
        blocks: Number of bottlenecks in layer1 to layer4.
    """

    channels = (512, 1024, 2048)

    def __init__(self, blocks: tuple[int, int, int, int]) -> None:
        super().__init__()
        stem: list[nn.Module] = []
        for inputs, outputs, stride in ((3, 64, 2), (64, 64, 1), (64, 128, 1)):
            stem += [nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        self.layer0 = nn.Sequential(*stem, nn.MaxPool2d(3, stride=2, padding=1))
        self.layer1, self.layer2, self.layer3, self.layer4 = _dilated_layers(128, blocks)

    def shallow(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return layer2 (B, 512, h, w) and layer3 (B, 1024, h, w), both at an eighth of the image's size."""
        layer2 = self.layer2(self.layer1(self.layer0(image)))
        return layer2, self.layer3(layer2)

    def deep(self, layer3: Tensor) -> Tensor:
        """Return layer4 (B, 2048, h, w)."""
        layer4: Tensor = self.layer4(layer3)
        return layer4

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename the release's resnet50_v2.pth: conv1, bn1, ... conv3, bn3 are the stem."""
        stem = {
            f"{kind}{n + 1}": f"layer0.{3 * n + place}" for n in range(3) for kind, place in (("conv", 0), ("bn", 1))
        }
        return _renamed(state, stem | {f"layer{n}": f"layer{n}" for n in range(1, 5)})


class DilatedResNet(StagedBackbone):
    """torchvision's ResNet, dilated as `DeepStemResNet` is: backbone0 to backbone4 of iFSL's PFENet.

    dahyun-kang/ifsl at d0b0c0d, fs-cs/model/pfenet.py.

    Args:
        blocks: Number of bottlenecks in backbone1 to backbone4.
    """

    channels = (512, 1024, 2048)

    def __init__(self, blocks: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.backbone0 = nn.Sequential(
            nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        self.backbone1, self.backbone2, self.backbone3, self.backbone4 = _dilated_layers(64, blocks)

    def shallow(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return layer2 (B, 512, h, w) and layer3 (B, 1024, h, w), both at an eighth of the image's size."""
        layer2 = self.backbone2(self.backbone1(self.backbone0(image)))
        return layer2, self.backbone3(layer2)

    def deep(self, layer3: Tensor) -> Tensor:
        """Return layer4 (B, 2048, h, w)."""
        layer4: Tensor = self.backbone4(layer3)
        return layer4

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename torchvision's file."""
        names = {"conv1": "backbone0.0", "bn1": "backbone0.1"} | {f"layer{n}": f"backbone{n}" for n in range(1, 5)}
        return _renamed(state, names)


class CaffeResNet(StagedBackbone):
    """CANet's ResNet: conv1 to layer3 under torchvision's names, with the stride where Caffe's network has it.

    The max-pool rounds up. In layer2 the first 1x1 convolution has the stride, not the 3x3 one; every 3x3 convolution
    of layer3 has dilation 2 at stride 1, so 321 x 321 gives maps of 41. There is no layer4 (icoz69/CaNet at fdce946,
    one_shot_network.py).

    Args:
        blocks: Number of bottlenecks in layer1 to layer4, of which the last is not looked at.
    """

    channels = (512, 1024, 0)

    def __init__(self, blocks: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True)
        self.layer1, self.layer2, self.layer3, _ = _dilated_layers(64, blocks, stride_first=True)

    def shallow(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return layer2 (B, 512, h, w) and layer3 (B, 1024, h, w), both at an eighth of the image's size."""
        layer2 = self.layer2(self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(image))))))
        return layer2, self.layer3(layer2)

    def deep(self, layer3: Tensor) -> Tensor:
        """Refuse: there is no layer4.

        Raises:
            TypeError: Always.
        """
        raise TypeError("CANet's ResNet ends with layer3")

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Keep torchvision's names."""
        return _renamed(state, {name: name for name in ("conv1", "bn1", "layer1", "layer2", "layer3")})


class StagedVGG(StagedBackbone):
    """VGG-16 with batch norm, divided as in PFENet, NTRENet and BAM: layer0 to layer3 end with their max-pool.

    Nothing is dilated: layer2 is at an eighth of the image's size, layer3 and layer4 at a sixteenth, rounded up
    (ceil_mode). Layer4 has no pool.
    """

    channels = (256, 512, 512)

    def __init__(self) -> None:
        super().__init__()
        inputs = 3
        for number, widths in enumerate(_VGG_WIDTHS):
            modules: list[nn.Module] = []
            for outputs in widths:
                modules += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
                inputs = outputs
            if number < 4:
                modules.append(nn.MaxPool2d(2, 2, ceil_mode=True))
            self.add_module(f"layer{number}", nn.Sequential(*modules))

    def shallow(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return layer2 (B, 256, h, w) and layer3 (B, 512, ceil(h / 2), ceil(w / 2))."""
        layer2 = image
        for number in range(3):
            layer2 = self.get_submodule(f"layer{number}")(layer2)
        return layer2, self.get_submodule("layer3")(layer2)

    def deep(self, layer3: Tensor) -> Tensor:
        """Return layer4 (B, 512, h, w)."""
        layer4: Tensor = self.get_submodule("layer4")(layer3)
        return layer4

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename torchvision's vgg16_bn: features.7 is layer1.0."""
        starts = (0, 7, 14, 24, 34, 44)
        names = {
            f"features.{place}": f"layer{number}.{place - start}"
            for number, (start, stop) in enumerate(pairwise(starts))
            for place in range(start, stop)
        }
        return _renamed(state, names)


class StagedSmall(StagedBackbone):
    """The small backbone in stages; its weights have their names under `backbone`."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = small()
        _, layer2, _, layer3, _, layer4 = self.backbone.channels
        self.channels = (layer2, layer3, layer4)

    def shallow(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return layer2 and layer3, both at an eighth of the image's size."""
        layer2 = self.backbone.layer2(self.backbone.stem(image))
        return layer2, self.backbone.layer3(layer2)

    def deep(self, layer3: Tensor) -> Tensor:
        """Return layer4, at half the size of layer3."""
        layer4: Tensor = self.backbone.layer4(layer3)
        return layer4

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights with their names under `backbone`."""
        return {f"backbone.{key}": value for key, value in state.items()}


def staged(name: str, *, stem: str = "deep") -> StagedBackbone:
    """Build a backbone in stages with random weights.

    Args:
        name: "resnet50", "resnet101", "vgg16" (with batch norm) or "small".
        stem: Of a ResNet "deep" (PFENet's), "torchvision", or "caffe" (CANet's).

    Raises:
        UsageError: If there is no such backbone.
    """
    if name in _BLOCKS:
        kinds: dict[str, Callable[[tuple[int, int, int, int]], StagedBackbone]] = {
            "deep": DeepStemResNet,
            "torchvision": DilatedResNet,
            "caffe": CaffeResNet,
        }
        return kinds[stem](_BLOCKS[name])
    if name == "vgg16":
        return StagedVGG()
    if name == "small":
        return StagedSmall()
    raise UsageError(f"backbone '{name}' can't be run in stages; resnet50, resnet101, vgg16 and small can")


def _dilated_layers(
    inputs: int, blocks: tuple[int, int, int, int], *, stride_first: bool = False
) -> tuple[Bottlenecks, Bottlenecks, Bottlenecks, Bottlenecks]:
    layers = []
    for count, width, stride, dilation in zip(blocks, (64, 128, 256, 512), (1, 2, 1, 1), (1, 1, 2, 4), strict=True):
        first = Bottleneck(inputs, width, stride, dilation=dilation, stride_first=stride_first)
        inputs = width * EXPANSION
        rest = (Bottleneck(inputs, width, 1, dilation=dilation) for _ in range(count - 1))
        layers.append(Bottlenecks(first, *rest))
    one, two, three, four = layers
    return one, two, three, four


def _renamed(state: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """Return the tensors whose module has a new name, by that name; the longest matching name decides."""
    renamed = {}
    for key, value in state.items():
        old = max((name for name in names if key.startswith(f"{name}.")), key=len, default=None)
        if old is not None:
            renamed[f"{names[old]}{key.removeprefix(old)}"] = value
    return renamed
