"""Closed polygons and how they are made: corners, rounded corners, ellipses, mirror images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fssbench.datasets.shapes20i.fixed import SINE_BITS, TURN, cosine, sine
from fssbench.datasets.shapes20i.raster import Points

Corner = tuple[int, int]


@dataclass(frozen=True)
class Part:
    """A closed polygon that is added to a shape, or cut out of the parts before it.

    Attributes:
        points: int64 (n, 2), its corners (x, y).
        hole: Whether it is cut out.
    """

    points: Points
    hole: bool = False


def polygon(*corners: Corner, hole: bool = False) -> Part:
    """Return the polygon with these corners."""
    return Part(np.array(corners, dtype=np.int64), hole)


def rounded(corners: Sequence[Corner], times: int = 2, hole: bool = False) -> Part:
    """Return the polygon with its corners cut `times` times (Chaikin)."""
    points = np.array(corners, dtype=np.int64)
    for _ in range(times):
        following = np.concatenate([points[1:], points[:1]])
        points = np.stack([(3 * points + following) // 4, (points + 3 * following) // 4], axis=1).reshape(-1, 2)
    return Part(points, hole)


def mirrored(half: Sequence[Corner]) -> list[Corner]:
    """Return a right half, given from top to bottom, with its mirror image to the left."""
    return [*half, *((-x, y) for x, y in reversed(half))]


def point_at(angle: int, radius: int, x: int = 0, y: int = 0) -> Corner:
    """Return the point at that distance and angle (in 1/4096 turn, clockwise from the right) from (x, y)."""
    return x + (radius * cosine(angle) >> SINE_BITS), y + (radius * sine(angle) >> SINE_BITS)


def ellipse(x: int, y: int, across: int, down: int, hole: bool = False, start: int = 0, stop: int = TURN) -> Part:
    """Return an ellipse about (x, y) with the half axes `across` and `down`, or the piece between two angles."""
    steps = 36
    angles = [start + (stop - start) * k // steps for k in range(steps + (stop - start < TURN))]
    corners = [(x + (across * cosine(a) >> SINE_BITS), y + (down * sine(a) >> SINE_BITS)) for a in angles]
    return polygon(*corners, hole=hole)
