"""Fast form of SCL: what `fssbench.fast.staged` does for PFENet, and folded convolutions for CANet."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from fssbench.fast.staged import FastStaged, SharedMaps
from fssbench.methods.canet import PhotoMaps
from fssbench.methods.scl import SCL


@dataclass(frozen=True, eq=False)
class SharedPhotoMaps(SharedMaps, PhotoMaps):
    """The maps of B images, the images, and what was computed of them."""


class FastSCL(FastStaged, SCL):
    """See `SCL`."""

    def encode(self, image: Tensor) -> SharedPhotoMaps:
        """Return the maps of images, the images, and room for what is computed of them."""
        maps = SCL.encode(self, image)
        return SharedPhotoMaps(layer2=maps.layer2, layer3=maps.layer3, size=maps.size, image=maps.image)
