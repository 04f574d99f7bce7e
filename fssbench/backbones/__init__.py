"""The backbones by name, with the parameter names of the released ImageNet weights."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from fssbench.errors import unknown_name

Pyramid = tuple[Tensor, ...]
"""Feature maps (B, C, h, w) of an image in forward order, shallow level first."""

BACKBONES = {
    "resnet50": "fssbench.backbones.resnet",
    "resnet101": "fssbench.backbones.resnet",
    "vgg16": "fssbench.backbones.vgg",
    "small": "fssbench.backbones.small",
}
"""The module of each backbone."""


class Backbone(nn.Module, ABC):
    """A feature extractor that returns its intermediate maps.

    Attributes:
        levels: How many maps belong to the shallow, the middle and the deep level of the pyramid; all maps of a level
            have the same size.
        channels: Number of channels of each map.
    """

    levels: tuple[int, int, int]
    channels: tuple[int, ...]

    @abstractmethod
    def forward(self, image: Tensor) -> Pyramid:
        """Return the maps of float32 images (B, 3, H, W), shallow level first, each before its ReLU."""

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
    """Build a backbone with random weights.

    Args:
        name: "resnet50", "resnet101", "vgg16" or "small".

    Raises:
        UsageError: If there is no such backbone.
    """
    if name not in BACKBONES:
        raise unknown_name("backbone", name, BACKBONES)
    built: Backbone = getattr(importlib.import_module(BACKBONES[name]), name)()
    return built
