"""One object, or one blob of no class: its outline in the image, its colours, its light and its shadow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fssbench.datasets.shapes20i import outlines
from fssbench.datasets.shapes20i.classes import CLASSES, NO_CLASS_SURFACES
from fssbench.datasets.shapes20i.fixed import SINE_BITS, TURN, Ints, cosine, sine, sines
from fssbench.datasets.shapes20i.noise import Tiles
from fssbench.datasets.shapes20i.polygons import Part
from fssbench.datasets.shapes20i.random_stream import Stream
from fssbench.datasets.shapes20i.raster import FULL, Points, blur, coverage, shifted
from fssbench.datasets.shapes20i.surfaces import Cloth

Palette = npt.NDArray[np.int32]
"""int32 (256, 3): a colour for each tone."""

_SMALLEST_PERIOD = 5
"""Pixels; a finer pattern could not be seen."""


@dataclass(frozen=True)
class Item:
    """An object or a blob in an image.

    Attributes:
        class_id: Its class, 1..20; 0 for a blob of no class.
        x: Column of its middle, in 1/256 pixel.
        y: Row of its middle, in 1/256 pixel.
        radius: Half of its longer side, in 1/256 pixel.
        angle: Its rotation, in 1/4096 turn.
        mirror: -1 if it is mirrored, else 1.
        key: Seed of its form and colours.
    """

    class_id: int
    x: int
    y: int
    radius: int
    angle: int
    mirror: int
    key: int


@dataclass(frozen=True)
class Light:
    """The light of a scene.

    Attributes:
        angle: Its direction, in 1/4096 turn.
        relief: How strongly edges catch it, in percent.
        shadow: How dark shadows are, in percent.
    """

    angle: int
    relief: int
    shadow: int


@dataclass(frozen=True)
class Window:
    """A rectangle of the image: rows `top` to `bottom`, columns `left` to `right`, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """The rectangle as an index."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width; zero or less where it lies outside."""
        return self.bottom - self.top, self.right - self.left


def _divided(points: Points, pieces: int) -> Points:
    """Return the polygon with each edge cut into pieces, so that it can be bent."""
    if pieces == 1:
        return points
    following = np.concatenate([points[1:], points[:1]])
    cuts = [(points * (pieces - k) + following * k) // pieces for k in range(pieces)]
    return np.stack(cuts, axis=1).reshape(-1, 2)


def _deformed(parts: list[Part], stream: Stream) -> list[Part]:
    """Return the shape squeezed, sheared, bent and rippled, and scaled to 1024 from the middle to the edge."""
    squeeze, shear = stream.between(82, 120), stream.between(-18, 18)
    bend, ripple = stream.between(-160, 160), stream.between(0, 45)
    waves, phase = stream.between(1, 3), stream.below(TURN)
    points = [_divided(part.points, 4 if len(part.points) < 24 else 1) for part in parts]
    every = np.concatenate(points)
    x = every[:, 0] * squeeze // 100 + every[:, 1] * shear // 100
    y = every[:, 1] + bend * x * x // 1_000_000
    sway = sines((y * (2 * waves) + phase).astype(np.int32)).astype(np.int64)
    every = np.stack([x + (ripple * sway >> SINE_BITS), y], axis=1)
    low, high = every.min(axis=0), every.max(axis=0)
    every = (every - (low + high) // 2) * 2048 // int((high - low).max())
    ends = np.cumsum([len(corners) for corners in points])[:-1]
    return [Part(moved, part.hole) for moved, part in zip(np.split(every, ends), parts, strict=True)]


def contours(item: Item) -> list[Part]:
    """Return the item's polygons in the image, in 1/256 pixel."""
    outline = CLASSES[item.class_id - 1].outline if item.class_id else outlines.blob
    stream = Stream(item.key, 1)
    turn_x, turn_y = cosine(item.angle), sine(item.angle)
    placed = []
    for part in _deformed(outline(stream), stream):
        x, y = part.points[:, 0] * item.mirror, part.points[:, 1]
        across = (x * turn_x - y * turn_y) * item.radius >> (SINE_BITS + 10)
        down = (x * turn_y + y * turn_x) * item.radius >> (SINE_BITS + 10)
        placed.append(Part(np.stack([item.x + across, item.y + down], axis=1), part.hole))
    return placed


def window_of(parts: list[Part], margin: int, height: int, width: int) -> Window:
    """Return the rectangle around an item, `margin` pixels wider, within an image of the given size."""
    every = np.concatenate([part.points for part in parts])
    left, top = (int(value) for value in (every.min(axis=0) >> 8) - margin)
    right, bottom = (int(value) for value in (every.max(axis=0) >> 8) + 1 + margin)
    return Window(max(top, 0), min(bottom, height), max(left, 0), min(right, width))


def covered(parts: list[Part], window: Window) -> Ints:
    """Return how much of each pixel of a window the item covers, 0 to 256; a later part goes over earlier holes."""
    height, width = window.shape
    corner = np.array([window.left * 256, window.top * 256], dtype=np.int64)
    total = np.zeros((height, width), dtype=np.int32)
    for part in parts:
        here = coverage(part.points - corner, height, width)
        total = np.minimum(total, FULL - here) if part.hole else np.maximum(total, here)
    return total


def colour(hue: int, saturation: int, value: int) -> tuple[int, int, int]:
    """Return red, green, blue (0 to 255) for a hue of 0 to 1535, saturation and value of 0 to 255."""
    sector, part = hue % 1536 // 256, hue % 256
    low = value * (255 - saturation) // 255
    rising, falling = low + (value - low) * part // 255, value - (value - low) * part // 255
    return (
        (value, rising, low),
        (falling, value, low),
        (low, value, rising),
        (low, falling, value),
        (rising, low, value),
        (value, low, falling),
    )[sector]


def palette(stream: Stream, contrast: int, vivid: int) -> Palette:
    """Return random colours for the tones.

    Args:
        stream: Where they are drawn from.
        contrast: By how much of 255 the second is lighter than the first.
        vivid: The highest saturation, of 255.
    """
    hue = stream.below(1536)
    second = hue + (stream.between(-160, 160) if stream.chance(55) else stream.between(300, 1236))
    dark_value = stream.between(20, max(21, 250 - contrast))
    light_value = min(255, dark_value + contrast)
    dark = np.array(colour(hue, stream.between(10, vivid), dark_value), dtype=np.int32)
    light = np.array(colour(second, stream.between(0, vivid * 4 // 5), light_value), dtype=np.int32)
    if stream.chance(40):
        dark, light = light, dark
    tone = np.arange(256, dtype=np.int32)[:, None]
    return dark + (light - dark) * tone // 255


def _cloth(item: Item, window: Window, tiles: Tiles, stream: Stream) -> Cloth:
    """Return the surface's coordinates over a window: the item's own axes, undeformed."""
    along = cosine(item.angle) * 1024 // item.radius
    across = sine(item.angle) * 1024 // item.radius
    x = np.arange(window.left, window.right, dtype=np.int32)[None, :] * 256 + (128 - item.x)
    y = np.arange(window.top, window.bottom, dtype=np.int32)[:, None] * 256 + (128 - item.y)
    u = ((x * along + y * across) >> SINE_BITS) * item.mirror
    v = (y * along - x * across) >> SINE_BITS
    return Cloth(u, v, _SMALLEST_PERIOD * 256 * 1024 // item.radius, tiles, stream)


def paint(canvas: Ints, item: Item, light: Light, tiles: Tiles) -> tuple[Window, Ints]:
    """Draw an item with its shadow.

    Args:
        canvas: int32 (H, W, 3), drawn upon; about 0 to 255, not clipped.
        item: What to draw.
        light: The image's light.
        tiles: Noise.

    Returns:
        The window that was drawn upon and the item's coverage of it.
    """
    stream = Stream(item.key, 2)
    pixels = item.radius >> 8
    parts = contours(item)
    window = window_of(parts, 2 + pixels // 5, canvas.shape[0], canvas.shape[1])
    if min(window.shape) <= 0:
        return window, np.zeros((0, 0), dtype=np.int32)
    cover = covered(parts, window)
    surface = CLASSES[item.class_id - 1].surface if item.class_id else stream.pick(NO_CLASS_SURFACES)
    contrast = stream.between(80, 200) if item.class_id else stream.between(30, 150)
    tone = np.clip(surface(_cloth(item, window, tiles, stream)), 0, 255)

    away_x, away_y = -cosine(light.angle), -sine(light.angle)
    soft = blur(cover, max(1, pixels // 9))
    cast = 1 + pixels // 8
    shade = shifted(soft, away_y * cast >> SINE_BITS, away_x * cast >> SINE_BITS) * light.shadow // 100
    step = max(1, pixels // 12)
    down, right = (away_y * step) >> SINE_BITS, (away_x * step) >> SINE_BITS
    relief = (shifted(soft, -down, -right) - shifted(soft, down, right)) * -light.relief // 100

    area = canvas[window.slices]
    area -= area * shade[:, :, None] >> 9
    painted = palette(stream, contrast, 220)[tone]
    painted = painted * np.clip(FULL + relief, 96, 420)[:, :, None] >> 8
    area += (painted - area) * cover[:, :, None] >> 8
    return window, cover
