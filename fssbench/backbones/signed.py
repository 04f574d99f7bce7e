"""A ResNet for metric learning: a deep stem, no fourth stage, and no ReLU at its end (MLC, SSP).

LiheYoung/MiningFSS at 616db51, model/resnet.py; fanq15/SSP at df5bd49 has the same network, in stages.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones.resnet import EXPANSION, Bottleneck, Bottlenecks
from fssbench.backbones.small import small
from fssbench.errors import UsageError

_BLOCKS = {"resnet50": (3, 4, 6), "resnet101": (3, 4, 23)}
_STEM = ("conv1.0", "conv1.1", "conv1.3", "conv1.4", "conv1.6", "bn1")


class SignedResNet(nn.Module):
    """Three 3x3 convolutions (64, 64, 128) and layer1 to layer3; the maps are an eighth of the image's size.

    Layer3 has no stride. Its first block is not dilated, the others are, by 2: torchvision's rule for a stride that a
    dilation replaces, unlike PFENet's.

    Args:
        blocks: Number of bottlenecks in layer1 to layer3.
    """

    def __init__(self, blocks: tuple[int, int, int]) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, padding=1, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.Conv2d(64, 128, 3, padding=1, bias=False),
        )
        self.bn1 = nn.BatchNorm2d(128)
        self.layer1 = _layer(128, 64, blocks[0])
        self.layer2 = _layer(64 * EXPANSION, 128, blocks[1], stride=2)
        self.layer3 = _layer(128 * EXPANSION, 256, blocks[2], dilation=2)

    def forward(self, image: Tensor) -> Tensor:
        """Return the map of layer3 (B, 1024, h, w) before its last ReLU, of images float32 (B, 3, H, W)."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(image))), 3, stride=2, padding=1)
        return self.layer3.without_last_relu(self.layer2(self.layer1(x)))

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ImageNet weights under the names they have here; what is not used is left out.

        The release's file has these names. In PFENet's the stem is conv1, bn1, ... conv3, bn3.
        """
        if "conv3.weight" in state:
            names = [f"{kind}{n}" for n in (1, 2, 3) for kind in ("conv", "bn")]
            stem = {f"{old}.": f"{new}." for old, new in zip(names, _STEM, strict=True)}
            state = {
                next((new + key.removeprefix(old) for old, new in stem.items() if key.startswith(old)), key): value
                for key, value in state.items()
            }
        return {key: value for key, value in state.items() if key in self.state_dict()}


class SmallSigned(nn.Module):
    """The small backbone of the embedded data set up to layer3, before its last ReLU; layer4 is not run."""

    def __init__(self) -> None:
        super().__init__()
        own = small()
        self.stem, self.layer2, self.layer3 = own.stem, own.layer2, own.layer3
        self.layer4 = own.layer4.requires_grad_(requires_grad=False)

    def forward(self, image: Tensor) -> Tensor:
        """Return the map of layer3 (B, C, h, w), at an eighth of the image's size."""
        return self.layer3.without_last_relu(self.layer2(self.stem(image)))

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the backbone's weights as they are."""
        return dict(state)


def signed(name: str) -> SignedResNet | SmallSigned:
    """Build a backbone with random weights.

    Args:
        name: "resnet50", "resnet101" or "small".

    Raises:
        UsageError: If there is no such backbone.
    """
    return SmallSigned() if name == "small" else SignedResNet(_blocks(name))


class SignedStages(nn.Module, ABC):
    """A network of this file whose first stages stay as they are; its children become those of a method (SSP)."""

    @abstractmethod
    def forward(self, image: Tensor) -> Tensor:
        """Return the map of layer3 (B, C, h, w) before its last ReLU; no gradient reaches the frozen parts."""

    @abstractmethod
    def frozen_parts(self) -> Sequence[nn.Module]:
        """Return the parts that are never trained."""

    @abstractmethod
    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ImageNet weights under the names they have here; what is not used is left out."""


class SignedResNetStages(SignedStages):
    """`SignedResNet` as layer0, which is its stem, to layer3; layer0 and layer1 are frozen.

    Args:
        blocks: Number of bottlenecks in layer1 to layer3.
    """

    def __init__(self, blocks: tuple[int, int, int]) -> None:
        super().__init__()
        whole = SignedResNet(blocks)
        self.layer0 = nn.Sequential(whole.conv1, whole.bn1, nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1))
        self.layer1, self.layer2, self.layer3 = whole.layer1, whole.layer2, whole.layer3
        # In a tuple, which keeps torch from registering its parameters a second time.
        self._whole = (whole,)

    def forward(self, image: Tensor) -> Tensor:
        """Return the map of layer3 (B, 1024, h, w); see `SignedStages.forward`."""
        with torch.no_grad():
            layer1 = self.layer1(self.layer0(image))
        return self.layer3.without_last_relu(self.layer2(layer1))

    def frozen_parts(self) -> Sequence[nn.Module]:
        """Return layer0 and layer1."""
        return self.layer0, self.layer1

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ImageNet weights under the names they have here; see `SignedResNet.from_imagenet`."""
        stem = {"conv1.": "layer0.0.", "bn1.": "layer0.1."}
        return {
            next((new + key.removeprefix(old) for old, new in stem.items() if key.startswith(old)), key): value
            for key, value in self._whole[0].from_imagenet(state).items()
        }


class SmallSignedStages(SignedStages):
    """The small backbone as `SmallSigned` has it, with its names under `backbone`; its stem is frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = SmallSigned()

    def forward(self, image: Tensor) -> Tensor:
        """Return the map of layer3 (B, C, h, w); see `SignedStages.forward`."""
        with torch.no_grad():
            stem = self.backbone.stem(image)
        return self.backbone.layer3.without_last_relu(self.backbone.layer2(stem))

    def frozen_parts(self) -> Sequence[nn.Module]:
        """Return the stem; layer4 is not run."""
        return (self.backbone.stem,)

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights with their names under `backbone`."""
        return {f"backbone.{key}": value for key, value in state.items()}


def signed_stages(name: str) -> SignedStages:
    """Build a backbone with random weights, its first stages apart from those that are trained.

    Args:
        name: "resnet50", "resnet101" or "small".

    Raises:
        UsageError: If there is no such backbone.
    """
    return SmallSignedStages() if name == "small" else SignedResNetStages(_blocks(name))


def _blocks(name: str) -> tuple[int, int, int]:
    """Return the number of bottlenecks in layer1 to layer3 of a ResNet."""
    if name not in _BLOCKS:
        raise UsageError(f"backbone '{name}' can't be built without its last ReLU; resnet50, resnet101 and small can")
    return _BLOCKS[name]


def _layer(inputs: int, width: int, count: int, *, stride: int = 1, dilation: int = 1) -> Bottlenecks:
    rest = (Bottleneck(width * EXPANSION, width, 1, dilation=dilation) for _ in range(count - 1))
    return Bottlenecks(Bottleneck(inputs, width, stride), *rest)
