"""A whole image: what lies in it, the ground it lies on, its label map, and what the camera makes of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fssbench.datasets.shapes20i.classes import CLASSES, CLASSES_PER_FOLD
from fssbench.datasets.shapes20i.fixed import SINE_BITS, TURN, Ints, cosine, sine
from fssbench.datasets.shapes20i.items import Item, Light, contours, covered, paint, palette, window_of
from fssbench.datasets.shapes20i.noise import SIDE, Tiles, look_up, tiles
from fssbench.datasets.shapes20i.random_stream import Stream
from fssbench.datasets.shapes20i.raster import FULL
from fssbench.label_values import IGNORE

_FOLD_PAIRS = ((0, 1), (2, 3), (0, 2), (1, 3), (0, 3), (1, 2))


@dataclass(frozen=True)
class Scene:
    """The content of an image.

    Attributes:
        height: Rows.
        width: Columns.
        items: Objects and blobs, the farthest first.
        light: Its light.
        seed: Seed of the noise.
        key: Seed of the ground and the camera.
    """

    height: int
    width: int
    items: tuple[Item, ...]
    light: Light
    seed: int
    key: int


def _classes(stream: Stream, number: int, held_out: bool) -> list[int]:
    """Return the classes of an image's objects, the main one first.

    The main classes take turns, so that every class is met about equally often. With `held_out`, all come from two
    of the four folds, and the pairs of folds take turns too.
    """
    if held_out:
        turn, pair = divmod(number, len(_FOLD_PAIRS))
        pool = [f * CLASSES_PER_FOLD + k + 1 for f in _FOLD_PAIRS[pair] for k in range(CLASSES_PER_FOLD)]
    else:
        turn, pool = number, list(range(1, len(CLASSES) + 1))
    chosen = [pool[turn % len(pool)]]
    for _ in range(stream.pick((0, 0, 1, 1, 1, 2, 2, 3))):
        chosen.append(chosen[0] if stream.chance(20) else stream.pick(pool))
    return chosen


def _placed(stream: Stream, height: int, width: int, radius: int, taken: list[tuple[int, int, int]]) -> tuple[int, int]:
    """Return a place for an item: of a few random places, the one that overlaps least with the items placed so far."""
    best, least = (0, 0), 1 << 60
    margin = radius * 6 // 10
    for _ in range(6):
        x = stream.between(min(margin, width * 128), max(width * 256 - margin, width * 128))
        y = stream.between(min(margin, height * 128), max(height * 256 - margin, height * 128))
        overlap = 0
        for other_x, other_y, other in taken:
            apart = max(abs(x - other_x), abs(y - other_y))
            overlap += max(0, (radius + other) * 8 // 10 - apart)
        if overlap < least:
            best, least = (x, y), overlap
    taken.append((*best, radius))
    return best


def plan(seed: int, split: int, number: int, held_out: bool) -> Scene:
    """Return the scene of an image.

    Args:
        seed: The data set's seed.
        split: Which split, as a number.
        number: Which image of the split, from 0.
        held_out: Whether its classes come from two folds alone, so that two folds never see it.
    """
    stream = Stream(seed, split, number)
    longer, shorter = stream.between(208, 240), stream.between(176, 200)
    height, width = (shorter, longer) if stream.chance(62) else (longer, shorter)
    taken: list[tuple[int, int, int]] = []
    items: list[tuple[int, Item]] = []

    def put(class_id: int, side: int, depth: int) -> None:
        radius = shorter * 256 * side // 200
        x, y = _placed(stream, height, width, radius, taken)
        lean = TURN // 7 if stream.chance(65) else TURN // 2
        angle = stream.between(-lean, lean)
        items.append((depth, Item(class_id, x, y, radius, angle, stream.sign(), stream.bits())))

    for place, class_id in enumerate(_classes(stream, number, held_out)):
        side = stream.between(32, 70) if place == 0 else stream.between(15, 48)
        put(class_id, side, 100 - side + stream.between(0, 25))
    for _ in range(stream.between(2, 7)):
        side = stream.between(6, 30)
        put(0, side, stream.between(0, 75))
    items.sort(key=lambda entry: entry[0])
    light = Light(stream.below(TURN), stream.between(30, 110), stream.between(20, 110))
    return Scene(height, width, tuple(item for _, item in items), light, seed, stream.bits())


def _labelled(instances: Ints, scene: Scene) -> npt.NDArray[np.uint8]:
    """Return the label map; a pixel whose neighbour belongs to another object is in the ignore region."""
    classes = np.array([0, *(item.class_id for item in scene.items)], dtype=np.uint8)
    label = classes[instances]
    for axis in (0, 1):
        differs = np.diff(instances, axis=axis) != 0
        for side in (slice(None, -1), slice(1, None)):
            at = (side, slice(None)) if axis == 0 else (slice(None), side)
            label[at][differs] = IGNORE
    return label


def _instance(item: Item, place: int) -> int:
    return place if item.class_id else 0


def render_label(scene: Scene) -> npt.NDArray[np.uint8]:
    """Return only the label map: uint8 (H, W), 0, 1..20 and 255 along the borders of objects."""
    instances = np.zeros((scene.height, scene.width), dtype=np.int32)
    for place, item in enumerate(scene.items, start=1):
        parts = contours(item)
        window = window_of(parts, 0, scene.height, scene.width)
        if min(window.shape) > 0:
            instances[window.slices][covered(parts, window) >= FULL // 2] = _instance(item, place)
    return _labelled(instances, scene)


def _material(stream: Stream, noise: Tiles, x: Ints, y: Ints) -> Ints:
    """Return a ground of one material: int32 (H, W, 3)."""
    tile = stream.pick((noise.cloud, noise.cloud, noise.soft, noise.cells, noise.cracks, noise.fibres, noise.fibres))
    angle, scale = stream.below(TURN), stream.between(180, 520)
    along, across = cosine(angle) * scale >> SINE_BITS, sine(angle) * scale >> SINE_BITS
    left, top = stream.below(SIDE * 256), stream.below(SIDE * 256)
    tone = look_up(tile, x * along + y * across + left, y * along - x * across + top)
    tone = (tone * 3 + look_up(noise.cloud, x * 300 + top, y * 300 + left)) >> 2
    return palette(stream, stream.between(25, 130), stream.between(40, 170))[tone]


def _ground(scene: Scene, stream: Stream, noise: Tiles) -> Ints:
    """Return the background: one to three materials, divided by noise or by a horizon."""
    x = np.arange(scene.width, dtype=np.int32)[None, :]
    y = np.arange(scene.height, dtype=np.int32)[:, None]
    ground = _material(stream, noise, x, y)
    for _ in range(stream.pick((0, 1, 1, 2))):
        other = _material(stream, noise, x, y)
        ragged = look_up(noise.soft, x * 256 + stream.below(1 << 17), y * 256 + stream.below(1 << 17))
        if stream.chance(50):
            slope = stream.between(-60, 60)
            level = scene.height * stream.between(25, 75) // 100
            over = (y - level) * 8 + (x - scene.width // 2) * slope // 12 + ragged // 3
        else:
            over = (ragged - stream.between(110, 190)) * 6
        ground = ground + ((other - ground) * np.clip(over + 128, 0, 256)[:, :, None] >> 8)
    return ground


def _exposed(canvas: Ints, scene: Scene, stream: Stream, noise: Tiles) -> npt.NDArray[np.uint8]:
    """Return the photo: uneven light, tint, blur and sensor noise."""
    x = np.arange(scene.width, dtype=np.int32)[None, :] - scene.width // 2
    y = np.arange(scene.height, dtype=np.int32)[:, None] - scene.height // 2
    fall = stream.between(0, 110)
    level = stream.between(200, 290) + (
        (x * cosine(scene.light.angle) + y * sine(scene.light.angle)) // scene.width * fall >> SINE_BITS
    )
    tint = np.array([stream.between(226, 286) for _ in range(3)], dtype=np.int32)
    photo = canvas * level[:, :, None] // 256 * tint >> 8
    if stream.chance(60):
        photo[:, 1:-1] = (photo[:, :-2] + 2 * photo[:, 1:-1] + photo[:, 2:]) >> 2
        photo[1:-1] = (photo[:-2] + 2 * photo[1:-1] + photo[2:]) >> 2
    strength = stream.between(4, 28)
    for channel in range(3):
        shift_x, shift_y = stream.below(1 << 17), stream.below(1 << 17)
        grain = look_up(noise.grain, x * 256 + shift_x, y * 256 + shift_y)
        photo[:, :, channel] += (grain - 128) * strength >> 8
    exposed: npt.NDArray[np.uint8] = np.clip(photo, 0, 255).astype(np.uint8)
    return exposed


def render(scene: Scene) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return the image, RGB uint8 (H, W, 3), and its label map as `render_label` returns it."""
    noise, stream = tiles(scene.seed), Stream(scene.key)
    canvas = _ground(scene, stream, noise)
    instances = np.zeros((scene.height, scene.width), dtype=np.int32)
    for place, item in enumerate(scene.items, start=1):
        window, cover = paint(canvas, item, scene.light, noise)
        if min(window.shape) > 0:
            instances[window.slices][cover >= FULL // 2] = _instance(item, place)
    return _exposed(canvas, scene, stream, noise), _labelled(instances, scene)
