"""The palette seen with every kind of colour vision: colours that stand together stay apart."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest

from fssbench.figures import palette
from fssbench.figures.palette import RGB

VISION = {
    "all cones": np.eye(3),
    # Machado, Oliveira and Fernandes, 2009, severity 1.0, on linear RGB.
    "no long-wave cones": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no middle-wave cones": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "no short-wave cones": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TOGETHER = {
    "methods": palette.SERIES,
    "pixels": (palette.HIT, palette.EXTRA, palette.MISSED),
    "classes": palette.COLOURS,
}
NOTICED = 10.0
"""Distance in CIELAB; about 2.3 can just be seen side by side."""


def linear(colour: RGB) -> npt.NDArray[np.float64]:
    part = np.array(colour) / 255
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def lab(linear_rgb: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ np.clip(linear_rgb, 0, 1) / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def closest(colours: tuple[RGB, ...], vision: npt.NDArray[np.float64]) -> float:
    seen = [lab(vision @ linear(colour)) for colour in colours]
    return min(float(np.linalg.norm(one - other)) for one, other in combinations(seen, 2))


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("colours", TOGETHER)
def test_colours_that_stand_together_stay_apart(colours: str, vision: str) -> None:
    assert closest(TOGETHER[colours], VISION[vision]) >= NOTICED


def test_the_pixels_of_a_prediction_are_far_apart_for_everyone() -> None:
    assert min(closest(TOGETHER["pixels"], vision) for vision in VISION.values()) >= 30


def test_the_simulation_finds_colours_that_are_confused() -> None:
    red_and_green: tuple[RGB, ...] = ((200, 60, 40), (110, 110, 30))
    assert closest(red_and_green, VISION["all cones"]) > 40
    assert closest(red_and_green, VISION["no middle-wave cones"]) < NOTICED
