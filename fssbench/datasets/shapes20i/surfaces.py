"""The pattern of each class: a tone from 0 to 255 at every point of a surface, varied within the class.

A pattern is a function of the surface's own coordinates (u, v), int32, 1024 from the middle to the rim. Tones become
colours later, by a palette that knows no class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fssbench.datasets.shapes20i.fixed import SINE_BITS, TURN, Ints, arc_tangent, length, sines
from fssbench.datasets.shapes20i.noise import Tile, Tiles, look_up
from fssbench.datasets.shapes20i.random_stream import Stream


@dataclass(frozen=True)
class Cloth:
    """The input of a pattern.

    Attributes:
        u: int32 (h, w), coordinate along the surface.
        v: int32 (h, w), coordinate across it.
        finest: The smallest period that can still be seen at the item's size.
        tiles: Noise.
        stream: Random numbers of this surface.
    """

    u: Ints
    v: Ints
    finest: int
    tiles: Tiles
    stream: Stream

    def period(self, low: int, high: int) -> int:
        """Return a random period between two bounds, or the finest that can be seen."""
        return max(self.stream.between(low, high), self.finest)

    def noise(self, tile: Tile, scale: int, stretch: int = 1) -> Ints:
        """Return noise of 0 to 255; `scale` in 1/256 texel per unit, along v `stretch` times that."""
        x, y = self.stream.below(1 << 17), self.stream.below(1 << 17)
        return look_up(tile, self.u * scale + x, self.v * (scale * stretch) + y)

    def table(self, column: Ints, row: Ints) -> Ints:
        """Return a random number from 0 to 255 for each cell of a grid."""
        shift = self.stream.below(512)
        values: Ints = self.tiles.grain[(row + shift) & 511, column & 511].astype(np.int32)
        return values


Surface = Callable[[Cloth], Ints]


def _wave(value: Ints, period: int) -> Ints:
    """Return a triangle wave from 0 to 255."""
    return np.abs(2 * (value % period) - period) * 255 // period


def _sharp(tone: Ints, gain: int, middle: int = 128) -> Ints:
    """Return the tone with its contrast multiplied by `gain`, 0 to 255."""
    return np.clip((tone - middle) * gain + 128, 0, 255)


def rings(cloth: Cloth) -> Ints:
    """Rings about the middle."""
    distance = length(cloth.u, cloth.v) + cloth.noise(cloth.tiles.soft, 10) // 4
    return _sharp(_wave(distance, cloth.period(260, 360)), 3)


def scales(cloth: Cloth) -> Ints:
    """Overlapping rows of round scales."""
    pitch = cloth.period(260, 360)
    depth = pitch * 3 // 5
    row, down = cloth.v // depth, cloth.v % depth
    across = (cloth.u + (row & 1) * (pitch // 2)) % pitch - pitch // 2
    behind = (cloth.u + ((row + 1) & 1) * (pitch // 2)) % pitch - pitch // 2
    front = length(across, down)
    other = length(behind, down + depth)
    reach = pitch * 11 // 20
    distance = np.where(front < reach, front, np.minimum(other, 2 * reach) * 3 // 5)
    tone: Ints = np.clip(distance * distance // reach * 255 // reach, 0, 255)
    return tone


def bricks(cloth: Cloth) -> Ints:
    """Courses of bricks with light joints."""
    high = cloth.period(210, 290)
    wide = high * cloth.stream.between(18, 26) // 10
    row, down = cloth.v // high, cloth.v % high
    along = cloth.u + (row & 1) * (wide // 2)
    column, right = along // wide, along % wide
    joint = max(high // 6, cloth.finest // 5)
    inside = (down > joint) & (right > joint)
    return np.where(inside, cloth.table(column, row) * 110 // 255 + cloth.noise(cloth.tiles.cloud, 60) // 6, 250)


def veins(cloth: Cloth) -> Ints:
    """A midrib with side veins that leave it slantwise."""
    slant = cloth.stream.between(50, 90)
    side = _sharp(_wave(cloth.u + np.abs(cloth.v) * slant // 100, cloth.period(300, 400)), 3, 185)
    rib = np.clip(300 - np.abs(cloth.v) * 4, 0, 255)
    tone: Ints = np.maximum(np.maximum(side, rib), cloth.noise(cloth.tiles.cloud, 40) // 4)
    return tone


def glow(cloth: Cloth) -> Ints:
    """Bright in the middle, dark at the tips, with sparks."""
    distance = length(cloth.u, cloth.v)
    sparks = cloth.noise(cloth.tiles.cells, 18)
    return np.maximum(np.clip(255 - distance * 260 // 900, 0, 255), np.where(sparks < 22, 255, 0))


def marble(cloth: Cloth) -> Ints:
    """Veined stone: a wave bent by noise."""
    bent = cloth.u // 2 + cloth.v + cloth.noise(cloth.tiles.soft, 14) * 4 + cloth.noise(cloth.tiles.cloud, 24)
    tone = _wave(bent, cloth.period(480, 700))
    return 255 - (255 - tone) * (255 - tone) // 255


def stripes(cloth: Cloth) -> Ints:
    """Straight slanting stripes."""
    slant = cloth.stream.between(60, 160) * cloth.stream.sign()
    return _sharp(_wave(cloth.u + cloth.v * slant // 100, cloth.period(330, 460)), 5)


def dots(cloth: Cloth) -> Ints:
    """Round dots in staggered rows."""
    pitch = cloth.period(360, 480)
    row = cloth.v // pitch
    x = (cloth.u + (row & 1) * (pitch // 2)) % pitch - pitch // 2
    y = cloth.v % pitch - pitch // 2
    radius = pitch * cloth.stream.between(26, 36) // 100
    return np.clip((radius - length(x, y)) * 1200 // pitch + 128, 0, 255)


def brushed(cloth: Cloth) -> Ints:
    """Fine streaks, as on brushed metal."""
    streaks = cloth.noise(cloth.tiles.fibres, max(10, 9000 // cloth.finest) // 2, 4)
    tone: Ints = np.clip((streaks * 3 + _wave(cloth.v + cloth.u // 5, 1700)) // 4, 0, 255)
    return tone


def lozenges(cloth: Cloth) -> Ints:
    """Lozenges of two tones with a thin line through them."""
    pitch = max(cloth.period(460, 600), 2 * cloth.finest)
    right, left = cloth.u * 3 // 2 + cloth.v, cloth.u * 3 // 2 - cloth.v
    fields = (((right // pitch) ^ (left // pitch)) & 1) * 190
    line = np.minimum(np.abs(right % pitch - pitch // 2), np.abs(left % pitch - pitch // 2)) < pitch // 11
    return np.where(line, 255 - fields, fields + 20)


def craters(cloth: Cloth) -> Ints:
    """Round pits with bright rims, of many sizes."""
    fine = max(6, 2600 // cloth.finest)
    pits = cloth.noise(cloth.tiles.cells, min(fine, 13))
    small = cloth.noise(cloth.tiles.cells, min(2 * fine, 26))
    tone = np.where(pits < 60, 20 + pits, np.where(pits < 100, 250, 150))
    return np.where((small < 45) & (pits >= 100), 60, tone) + cloth.noise(cloth.tiles.cloud, 40) // 8


def checks(cloth: Cloth) -> Ints:
    """A chessboard."""
    pitch = cloth.period(210, 290)
    return ((cloth.u // pitch ^ cloth.v // pitch) & 1) * 215 + 20


def wood(cloth: Cloth) -> Ints:
    """Grain of boards, with drawn-out rings."""
    knots = cloth.noise(cloth.tiles.soft, 7) * 5
    grain = _wave(cloth.u + knots + cloth.v // 8, cloth.period(240, 340))
    return grain // 2 + cloth.noise(cloth.tiles.cloud, 60) // 2


def zigzag(cloth: Cloth) -> Ints:
    """Bands that run in zigzag."""
    pitch = cloth.period(300, 400)
    return _sharp(_wave(cloth.v + _wave(cloth.u, pitch) * pitch // 420, pitch), 5)


def plaid(cloth: Cloth) -> Ints:
    """Broad and narrow bands that cross, as on a tartan."""
    pitch = cloth.period(460, 600)
    total = np.zeros_like(cloth.u)
    for value in (cloth.u, cloth.v):
        part = value % pitch
        total = total + np.where(part < pitch * 45 // 100, 85, 0)
        total = total + np.where(np.abs(part - pitch * 72 // 100) < pitch // 18, 85, 0)
    return np.minimum(total, 255)


def panels(cloth: Cloth) -> Ints:
    """Wedges of alternate tone that leave one point below the middle."""
    angle = arc_tangent(cloth.v - 900, cloth.u)
    count = cloth.stream.between(9, 13)
    tone: Ints = (angle * 2 * count // TURN & 1) * 190 + np.clip(np.abs(cloth.v) // 16, 0, 60)
    return tone


def bands(cloth: Cloth) -> Ints:
    """Broad level bands that grow lighter step by step."""
    steps = cloth.stream.between(6, 9)
    height = np.clip(cloth.v + 1024 + cloth.noise(cloth.tiles.soft, 8) // 3, 0, 2300)
    tone: Ints = np.clip(height * steps // 2300 * 255 // (steps - 1), 0, 255)
    return tone


def eyespots(cloth: Cloth) -> Ints:
    """Scattered spots, each of a core and rings."""
    pitch = cloth.period(560, 720)
    row, column = cloth.v // pitch, cloth.u // pitch
    x = cloth.u % pitch - pitch // 2 + (cloth.table(column, row) - 128) * pitch // 900
    y = cloth.v % pitch - pitch // 2 + (cloth.table(column, row) - 128) * pitch // 900
    distance = length(x, y) * 100 // pitch
    tone = np.where(distance < 11, 255, np.where(distance < 22, 10, np.where(distance < 33, 220, 90)))
    return tone + cloth.noise(cloth.tiles.cloud, 30) // 8


def weave(cloth: Cloth) -> Ints:
    """Strips that run over and under one another."""
    pitch = cloth.period(270, 350)
    upright = ((cloth.u // pitch) + (cloth.v // pitch)) & 1
    along = np.where(upright == 1, cloth.v, cloth.u) % pitch
    across = np.where(upright == 1, cloth.u, cloth.v) % pitch
    round_off = (pitch - np.abs(2 * along - pitch)) * 220 // pitch
    gap = np.abs(2 * across - pitch) > pitch * 80 // 100
    return np.where(gap, 0, np.minimum(round_off + 35 + 30 * upright, 255))


def sprinkles(cloth: Cloth) -> Ints:
    """Short dashes strewn in all directions."""
    pitch = cloth.period(300, 380)
    row, column = cloth.v // pitch, cloth.u // pitch
    turn = cloth.table(column, row) * (TURN // 256)
    x, y = cloth.u % pitch - pitch // 2, cloth.v % pitch - pitch // 2
    cosines, turned = sines(turn + TURN // 4), sines(turn)
    along = (x * cosines + y * turned) >> SINE_BITS
    across = (y * cosines - x * turned) >> SINE_BITS
    inside = (np.abs(along) < pitch * 36 // 100) & (np.abs(across) < pitch * 15 // 100)
    return np.where(inside, 255 - cloth.table(row, column) // 4, 30)


def plain(cloth: Cloth) -> Ints:
    """No pattern: faint noise."""
    return 90 + cloth.noise(cloth.tiles.cloud, 30) // 3


def mottled(cloth: Cloth) -> Ints:
    """Fractal blotches."""
    return cloth.noise(cloth.tiles.cloud, cloth.stream.between(12, 30))


def cracked(cloth: Cloth) -> Ints:
    """Cells with dark borders."""
    return _sharp(cloth.noise(cloth.tiles.cracks, cloth.stream.between(8, 16)), 2, 60)


def streaked(cloth: Cloth) -> Ints:
    """Coarse fibres."""
    return cloth.noise(cloth.tiles.fibres, cloth.stream.between(10, 24))
