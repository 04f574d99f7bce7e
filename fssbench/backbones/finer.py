"""Backbones that also return a map of twice the side of their shallow level, for decoders with skip connections."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from fssbench.backbones import Backbone, Pyramid, backbone
from fssbench.errors import UsageError


class FinerBackbone(Backbone):
    """A backbone with one more map before its pyramid.

    Attributes:
        finer_channels: Number of channels of that map.
    """

    finer_channels: int

    @abstractmethod
    def with_finer(self, image: Tensor) -> tuple[Tensor, Pyramid]:
        """Return a map of a quarter of the sides of float32 images (B, 3, H, W), and the maps of `forward`."""

    def forward(self, image: Tensor) -> Pyramid:
        """Return the maps of the three levels, shallow level first."""
        return self.with_finer(image)[1]


def finer_backbone(name: str) -> FinerBackbone:
    """Build a backbone with random weights.

    Raises:
        UsageError: If there is no such backbone, or it has no finer map.
    """
    built = backbone(name)
    if not isinstance(built, FinerBackbone):
        raise UsageError(f"backbone '{name}' has no map of a quarter of the image's sides")
    return built
