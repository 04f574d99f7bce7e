"""Tiles of procedural noise, 512 by 512 and seamless, from which every texture is looked up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from fssbench.datasets.shapes20i.fixed import Ints
from fssbench.datasets.shapes20i.random_stream import Stream

Tile = npt.NDArray[np.uint8]

SIDE = 512
_CELLS = 32


@dataclass(frozen=True)
class Tiles:
    """The noise of one seed; each a uint8 (512, 512) tile with an even histogram.

    Attributes:
        cloud: Fractal noise over all scales.
        soft: Its coarse scales alone.
        grain: White noise; also a table of random numbers.
        cells: Distance to the nearest of scattered points.
        cracks: How much farther the second nearest is: low along the borders between cells.
        fibres: Noise drawn out along x.
    """

    cloud: Tile
    soft: Tile
    grain: Tile
    cells: Tile
    cracks: Tile
    fibres: Tile


def _random(stream: Stream, rows: int, columns: int) -> npt.NDArray[np.int64]:
    """Return int64 (rows, columns) in [0, 65536): SplitMix64 over a counter."""
    value = np.arange(rows * columns, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(stream.bits())
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (value >> np.uint64(48)).astype(np.int64).reshape(rows, columns)


def _stretch(lattice: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the rows of a lattice interpolated smoothly to 512 rows, the last joining the first."""
    place = np.arange(SIDE, dtype=np.int64) * lattice.shape[0]
    low, part = place // SIDE, place % SIDE
    weight = (part * part * (3 * SIDE - 2 * part) >> 18)[:, None]
    high = (low + 1) % lattice.shape[0]
    rows: npt.NDArray[np.int64] = (lattice[low] * (SIDE - weight) + lattice[high] * weight) >> 9
    return rows


def _octave(stream: Stream, rows: int, columns: int) -> npt.NDArray[np.int64]:
    return _stretch(_stretch(_random(stream, rows, columns)).T).T


def _even(values: npt.NDArray[np.int64]) -> Tile:
    """Return the rank of each value, 0 to 255."""
    order = np.argsort(values, axis=None, kind="stable")
    ranks = np.empty(values.size, dtype=np.uint8)
    ranks[order] = (np.arange(values.size, dtype=np.int64) * 256 // values.size).astype(np.uint8)
    return ranks.reshape(values.shape)


def _distances(stream: Stream) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the squared distances to the nearest and the second nearest point, in 1/16 texel."""
    pitch = SIDE // _CELLS * 16
    points_x = _random(stream, _CELLS, _CELLS) * pitch >> 16
    points_y = _random(stream, _CELLS, _CELLS) * pitch >> 16
    place = np.arange(SIDE, dtype=np.int64) * 16
    cell, part = place // pitch, place % pitch
    first = second = np.full((SIDE, SIDE), 1 << 40, dtype=np.int64)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            at = np.ix_((cell + down) % _CELLS, (cell + right) % _CELLS)
            x = points_x[at] + right * pitch - part[None, :]
            y = points_y[at] + down * pitch - part[:, None]
            square = x * x + y * y
            second = np.minimum(second, np.maximum(first, square))
            first = np.minimum(first, square)
    return first, second


@lru_cache(maxsize=2)
def tiles(seed: int) -> Tiles:
    """Return the tiles of a seed."""
    stream = Stream(seed, 0x6E6F697365)
    soft = sum((_octave(stream, 8 << k, 8 << k) >> k for k in range(3)), np.zeros((SIDE, SIDE), dtype=np.int64))
    cloud = soft + sum(
        (_octave(stream, 64 << k, 64 << k) >> (k + 3) for k in range(3)), np.zeros((SIDE, SIDE), dtype=np.int64)
    )
    fibres = sum((_octave(stream, 64 << k, 8 << k) >> k for k in range(3)), np.zeros((SIDE, SIDE), dtype=np.int64))
    first, second = _distances(stream)
    near, far = np.sqrt(first.astype(np.float64)), np.sqrt(second.astype(np.float64))
    return Tiles(
        cloud=_even(cloud),
        soft=_even(soft),
        grain=(_random(stream, SIDE, SIDE) >> 8).astype(np.uint8),
        cells=_even(near.astype(np.int64)),
        cracks=_even(far.astype(np.int64) - near.astype(np.int64)),
        fibres=_even(fibres),
    )


def look_up(tile: Tile, x: Ints, y: Ints) -> Ints:
    """Return the tile's values at (x, y), which are in 1/256 texel, as int32 0 to 255."""
    values: Ints = tile[(y >> 8) & (SIDE - 1), (x >> 8) & (SIDE - 1)].astype(np.int32)
    return values
