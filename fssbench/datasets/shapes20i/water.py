"""An image as a camera sees it under water: the second rendering of every scene, in integers like the first.

The image formation is the usual one of underwater imaging (Akkaynak and Treibitz, CVPR 2018, in its plain form):
what reaches the camera is the scene dimmed by the water between them, red the most, plus the light that the
water itself scatters towards the camera: I_c = J_c t_c(d) + B_c (1 - t_c(d)) with t_c(d) = exp(-beta_c d).
Forward scattering blurs, floating specks glow, and the gain that dim light needs lifts the sensor's noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fssbench.datasets.shapes20i.fixed import Ints
from fssbench.datasets.shapes20i.noise import SIDE, Tiles, look_up
from fssbench.datasets.shapes20i.random_stream import Stream
from fssbench.datasets.shapes20i.raster import blur

Photo = npt.NDArray[np.uint8]

_STREAM = 0x7761746572
"""Parts the water's random numbers from those of the ground and the camera."""
_OPAQUE = 1024
"""Optical depths are in 1/256; exp(-4) is little enough to be none."""


def _transmission_table() -> Ints:
    """Return exp(-k / 256) in 1/256 for k in 0..1024, by repeated multiplication of whole numbers."""
    step = (1 << 32) - (1 << 24) + (1 << 15)  # exp(-1/256) to second order, in 2**-32
    value, table = 1 << 32, []
    for _ in range(_OPAQUE + 1):
        table.append((value + (1 << 23)) >> 24)
        value = value * step >> 32
    return np.array(table, dtype=np.int32)


_TRANSMISSION = _transmission_table()


@dataclass(frozen=True)
class Water:
    """The water between the scene and the camera.

    Attributes:
        near: Optical depth of red at the bottom of the image, in 1/256.
        far: The optical depth that is added towards the top.
        attenuation: Of red, green, blue, in 1/256 of red's.
        glow: The light that deep water scatters towards the camera: red, green, blue, 0 to 255.
        haze: Radius of the blur, in pixels.
        specks: How bright floating specks are, 0 to 255.
        noise: Amplitude of the sensor's noise, 0 to 255.
    """

    near: int
    far: int
    attenuation: tuple[int, int, int]
    glow: tuple[int, int, int]
    haze: int
    specks: int
    noise: int


def _water(stream: Stream) -> Water:
    greenish = stream.between(0, 60)
    light = stream.between(90, 150)
    return Water(
        near=stream.between(140, 250),
        far=stream.between(90, 250),
        attenuation=(256, stream.between(100, 140) - greenish // 2, stream.between(70, 100) + greenish // 2),
        glow=(light * 15 // 100, light * (75 + greenish // 3) // 100, light * (110 - greenish // 2) // 100),
        haze=stream.between(1, 2),
        specks=stream.between(40, 100),
        noise=stream.between(20, 48),
    )


def submerge(photo: Photo, noise: Tiles, key: int) -> Photo:
    """Return a photo as it looks under water.

    Args:
        photo: RGB uint8 (H, W, 3).
        noise: The data set's tiles of noise.
        key: Seed of the water.

    Returns:
        RGB uint8 (H, W, 3); every thing stays where it was.
    """
    stream = Stream(key, _STREAM)
    water = _water(stream)
    height, width = photo.shape[:2]
    x = np.arange(width, dtype=np.int32)[None, :]
    y = np.arange(height, dtype=np.int32)[:, None]

    def tile(values: npt.NDArray[np.uint8], scale: int) -> Ints:
        return look_up(values, x * scale + stream.below(SIDE * 256), y * scale + stream.below(SIDE * 256))

    billows = tile(noise.soft, 96)
    depth = water.near + water.far * (height - y) // height * (128 + billows) // 256
    specks = blur((blur(tile(noise.grain, 256), 1) > 190) * np.int32(water.specks), 1)
    seen = np.empty(photo.shape, dtype=np.uint8)
    for channel in range(3):
        passed = _TRANSMISSION[np.minimum(depth * water.attenuation[channel] >> 8, _OPAQUE)]
        scattered = blur(blur(photo[:, :, channel].astype(np.int32), water.haze), 1)
        value = (scattered * passed + water.glow[channel] * (256 - passed)) >> 8
        value += specks * (64 + water.glow[channel]) >> 8
        value += (tile(noise.grain, 256) - 128) * water.noise >> 8
        seen[:, :, channel] = np.clip(value, 0, 255)
    return seen
