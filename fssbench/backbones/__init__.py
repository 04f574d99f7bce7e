"""The backbones by name, with the parameter names of the released ImageNet weights."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from fssbench.errors import unknown_name
from fssbench.hub.names import is_hub_name
from fssbench.names import known_name

Pyramid = tuple[Tensor, ...]
"""Feature maps (B, C, h, w) of an image in forward order, shallow level first."""

BACKBONES = {
    "resnet50": "fssbench.backbones.resnet",
    "resnet101": "fssbench.backbones.resnet",
    "vgg16": "fssbench.backbones.vgg",
    "efficientnet-lite0": "fssbench.backbones.efficientnet_lite",
    "efficientnet-lite1": "fssbench.backbones.efficientnet_lite",
    "efficientnet-lite2": "fssbench.backbones.efficientnet_lite",
    "swin-b": "fssbench.backbones.swin",
    "small": "fssbench.backbones.small",
}
"""The module of each backbone."""


class Backbone(nn.Module, ABC):
    """A feature extractor that returns its intermediate maps.

    Attributes:
        levels: How many maps belong to the shallow, the middle and the deep level of the pyramid; all maps of a level
            have the same size.
        channels: Number of channels of each map.
        relu_follows: Whether the network goes on with a ReLU of each map; a method that compares activations applies
            it to the maps.
        preloaded: Whether it is built with its weights, so that a checkpoint need not hold them.
    """

    relu_follows: ClassVar[bool] = True
    preloaded: ClassVar[bool] = False
    levels: tuple[int, int, int]
    channels: tuple[int, ...]

    @property
    def compared(self) -> tuple[int, ...]:
        """The maps, counted from 0, that a comparison of prototypes uses by default: the last of the middle level."""
        shallow, middle, _ = self.levels
        return (shallow + middle - 1,)

    @abstractmethod
    def forward(self, image: Tensor) -> Pyramid:
        """Return the maps of float32 images (B, 3, H, W), shallow level first, each before its ReLU if it has one."""

    def as_pyramid(self) -> Self:
        """Return the backbone with levels of decreasing size, for methods that squeeze them to one size."""
        return self

    def __call__(self, image: Tensor) -> Pyramid:
        """Run `forward` through the module hooks, with its return type kept."""
        maps: Pyramid = super().__call__(image)
        return maps


class UnusedLinear(nn.Linear):
    """A linear layer that a released checkpoint holds but no forward pass uses; its weights are zeros."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, device="meta")
        self.weight = nn.Parameter(torch.zeros(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))


def backbone(name: str) -> Backbone:
    """Build a backbone with random weights; one from the Hugging Face hub with its own.

    Args:
        name: One of `BACKBONES`; or a model of the hub, see `fssbench.hub.networks`.

    Raises:
        UsageError: If there is no such backbone.
    """
    if is_hub_name(name):
        loaded: Backbone = importlib.import_module("fssbench.backbones.hub").hub_backbone(name)
        return loaded
    known = known_name("backbone", name, BACKBONES)
    if known is None:
        raise unknown_name("backbone", name, BACKBONES)
    name = known
    built: Backbone = getattr(importlib.import_module(BACKBONES[name]), name.replace("-", "_"))()
    return built
