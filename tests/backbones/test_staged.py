"""Backbones in stages: their sizes, and that ImageNet weights find their places by the names of their files."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor, nn

from fssbench.backbones.resnet import resnet50
from fssbench.backbones.small import small
from fssbench.backbones.staged import StagedBackbone, staged
from fssbench.errors import UsageError


def _numbered(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give every tensor its own values, so that one in a wrong place is found."""
    return {key: torch.full_like(value, n % 128) for n, (key, value) in enumerate(state.items())}


def _loaded(stages: StagedBackbone, file: dict[str, Tensor]) -> dict[str, Tensor]:
    renamed = stages.from_imagenet(file)
    stages.load_state_dict(renamed, strict=True)
    return renamed


def test_torchvision_names_of_a_resnet() -> None:
    file = _numbered(resnet50().state_dict())
    renamed = _loaded(staged("resnet50", stem="torchvision"), file)
    assert renamed.keys() == staged("resnet50", stem="torchvision").state_dict().keys()
    for ours, theirs in (
        ("backbone0.0.weight", "conv1.weight"),
        ("backbone0.1.running_var", "bn1.running_var"),
        ("backbone1.0.downsample.0.weight", "layer1.0.downsample.0.weight"),
        ("backbone4.2.bn3.bias", "layer4.2.bn3.bias"),
    ):
        assert renamed[ours] is file[theirs]


def test_names_of_the_deep_stem() -> None:
    stages = staged("resnet50")
    # The file of the releases: conv1, bn1, conv2, bn2, conv3, bn3, layer1 to layer4, fc.
    place = {"0": "conv1", "1": "bn1", "3": "conv2", "4": "bn2", "6": "conv3", "7": "bn3"}
    names = {key: re.sub(r"^layer0\.(\d)", lambda match: place[match[1]], key) for key in stages.state_dict()}
    file = _numbered({names[key]: value for key, value in stages.state_dict().items()})
    renamed = _loaded(stages, file | {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)})
    assert all(renamed[key] is file[names[key]] for key in stages.state_dict())
    assert file["conv2.weight"].shape == (64, 64, 3, 3)
    assert file["conv3.weight"].shape == (128, 64, 3, 3)


def test_torchvision_names_of_vgg16_with_batch_norm() -> None:
    stages = staged("vgg16")
    parts = [module for layer in stages.children() for module in layer.children()]
    # torchvision counts all modules of the convolutional part through, pools included.
    file = {f"features.{key}": value for key, value in _numbered(nn.Sequential(*parts).state_dict()).items()}
    renamed = _loaded(stages, file | {"classifier.0.weight": torch.zeros(4096, 25088)})
    assert renamed["layer1.0.weight"] is file["features.7.weight"]
    assert renamed["layer4.7.running_mean"] is file["features.41.running_mean"]
    assert len(renamed) == len(file)


def test_names_of_the_small_backbone() -> None:
    file = _numbered(small().state_dict())
    renamed = _loaded(staged("small"), file)
    assert renamed["backbone.layer4.1.conv1.weight"] is file["layer4.1.conv1.weight"]


@pytest.mark.parametrize(
    ("name", "stem", "sizes"),
    [
        ("resnet50", "deep", [(13, 9), (13, 9), (13, 9)]),
        ("resnet50", "torchvision", [(13, 9), (13, 9), (13, 9)]),
        ("vgg16", "deep", [(13, 9), (7, 5), (7, 5)]),
        ("small", "deep", [(13, 9), (13, 9), (7, 5)]),
    ],
)
def test_sizes_and_channels_of_the_maps(name: str, stem: str, sizes: list[tuple[int, int]]) -> None:
    stages = staged(name, stem=stem).eval()
    with torch.inference_mode():
        layer2, layer3 = stages.shallow(torch.randn(1, 3, 97, 65, generator=torch.Generator().manual_seed(0)))
        layer4 = stages.deep(layer3)
    assert tuple(layer.shape[1] for layer in (layer2, layer3, layer4)) == stages.channels
    assert [tuple(layer.shape[-2:]) for layer in (layer2, layer3, layer4)] == sizes
    assert all(layer.min() >= 0 for layer in (layer2, layer3, layer4)), "after the ReLU"


@pytest.mark.parametrize(("stem", "prefix"), [("deep", "layer"), ("torchvision", "backbone")])
def test_every_block_of_the_last_two_stages_is_dilated(stem: str, prefix: str) -> None:
    stages = staged("resnet50", stem=stem)
    for number, dilation in ((2, 1), (3, 2), (4, 4)):
        layer = stages.get_submodule(f"{prefix}{number}")
        middle = [module for name, module in layer.named_modules() if name.endswith("conv2")]
        assert [module.dilation for module in middle if isinstance(module, nn.Conv2d)] == [(dilation,) * 2] * len(
            middle
        )


def test_a_backbone_that_can_not_be_cut_is_refused() -> None:
    with pytest.raises(UsageError, match=r"resnet18.*vgg16 and small can"):
        staged("resnet18")
