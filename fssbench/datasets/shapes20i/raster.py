"""Closed polygons to pixel coverage, and the filters that shading needs, on integers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fssbench.datasets.shapes20i.fixed import Ints

Points = npt.NDArray[np.int64]

FULL = 256
"""The coverage of a pixel that lies wholly inside."""
_LINES = 4
"""Scan lines per pixel row."""


def coverage(contour: Points, height: int, width: int) -> Ints:
    """Return how much of each pixel a polygon covers, 0 to `FULL`.

    Args:
        contour: int64 (n, 2), the corners (x, y) in 1/256 pixel; closed by itself, must not cross itself.
        height: Rows of the window.
        width: Columns of the window.
    """
    x0, y0 = contour[:, 0], contour[:, 1]
    x1, y1 = np.append(x0[1:], x0[0]), np.append(y0[1:], y0[0])
    first, last = max(int(y0.min()) >> 8, 0), min((int(y0.max()) >> 8) + 1, height)
    if first >= last:
        return np.zeros((height, width), dtype=np.int32)
    lines = np.arange(first * _LINES, last * _LINES, dtype=np.int64) * (256 // _LINES) + 128 // _LINES
    edge, line = np.nonzero((np.minimum(y0, y1)[:, None] <= lines) & (lines < np.maximum(y0, y1)[:, None]))
    rise = (y1 - y0)[edge]
    x = x0[edge] + (lines[line] - y0[edge]) * (x1 - x0)[edge] // rise
    x = np.clip(x, 0, width * 256)
    turn = np.sign(rise)
    steps = np.zeros((last - first) * (width + 2), dtype=np.int64)
    at = line // _LINES * (width + 2) + (x >> 8)
    np.add.at(steps, at, turn * (256 - (x & 255)))
    np.add.at(steps, at + 1, turn * (x & 255))
    covered = np.abs(np.cumsum(steps.reshape(last - first, width + 2), axis=1)[:, :width]) // _LINES
    whole = np.zeros((height, width), dtype=np.int32)
    whole[first:last] = np.minimum(covered, FULL)
    return whole


def _blur_rows(values: Ints, radius: int) -> Ints:
    padded = np.pad(values, ((radius + 1, radius), (0, 0)), mode="edge")
    total = np.cumsum(padded, axis=0, dtype=np.int32)
    return (total[2 * radius + 1 :] - total[: -2 * radius - 1]) // (2 * radius + 1)


def blur(values: Ints, radius: int) -> Ints:
    """Return the mean over squares of 2 * `radius` + 1 pixels; the border repeats. The values stay below 2**20."""
    if radius < 1:
        return values
    return _blur_rows(_blur_rows(values, radius).T, radius).T


def shifted(values: Ints, down: int, right: int) -> Ints:
    """Return the array moved by whole pixels, with zeros moving in."""
    height, width = values.shape
    moved = np.zeros_like(values)
    moved[max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = values[
        max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)
    ]
    return moved
