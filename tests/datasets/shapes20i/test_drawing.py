"""The renderer's integer arithmetic against the real thing, and its classes against one another."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fssbench.datasets.shapes20i.classes import CLASSES, ShapeClass
from fssbench.datasets.shapes20i.fixed import SINE, TURN, arc_tangent, root
from fssbench.datasets.shapes20i.items import Item, contours, covered, window_of
from fssbench.datasets.shapes20i.noise import SIDE, tiles
from fssbench.datasets.shapes20i.polygons import ellipse
from fssbench.datasets.shapes20i.random_stream import Stream
from fssbench.datasets.shapes20i.raster import FULL, blur, coverage, shifted
from fssbench.datasets.shapes20i.surfaces import Cloth


def test_stream_is_splitmix64() -> None:
    # The generator's published sequence for state 1234567.
    stream = Stream()
    stream._state = 1234567
    assert [stream.bits() for _ in range(3)] == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_stream_keeps_to_its_bounds_and_reaches_them() -> None:
    stream = Stream(3, 1)
    assert {stream.between(-2, 2) for _ in range(200)} == {-2, -1, 0, 1, 2}
    assert {stream.sign() for _ in range(50)} == {-1, 1}
    assert 20 < sum(stream.chance(30) for _ in range(100)) < 40
    assert Stream(1, 2).bits() != Stream(2, 1).bits() != Stream(1, 2, 0).bits()


def test_sine_table_is_the_sine_rounded() -> None:
    expected = [math.sin(2 * math.pi * k / TURN) * 16384 for k in range(TURN)]
    assert np.abs(SINE - np.array(expected)).max() <= 0.5001


def test_arc_tangent_is_off_by_at_most_one_step() -> None:
    angles = np.arange(0, TURN, 7)
    x = np.array([round(1000 * math.cos(2 * math.pi * a / TURN)) for a in angles], dtype=np.int32)
    y = np.array([round(1000 * math.sin(2 * math.pi * a / TURN)) for a in angles], dtype=np.int32)
    off = (arc_tangent(y, x) - angles + TURN // 2) % TURN - TURN // 2
    assert np.abs(off).max() <= 3


def test_root_is_the_integer_root() -> None:
    values = np.array([0, 1, 3, 4, 99, 100, 2**31 - 1], dtype=np.int32)
    assert root(values).tolist() == [math.isqrt(int(value)) for value in values]


def test_coverage_of_a_rectangle_is_its_area_pixel_by_pixel() -> None:
    corners = np.array([(128, 256), (640, 256), (640, 704), (128, 704)], dtype=np.int64)
    expected = np.zeros((4, 4), dtype=np.int32)
    expected[1] = [128, 256, 128, 0]
    expected[2] = expected[1] * 3 // 4
    np.testing.assert_array_equal(coverage(corners, 4, 4), expected)
    np.testing.assert_array_equal(coverage(corners[::-1], 4, 4), expected)


def test_coverage_beyond_the_window_is_cut_off() -> None:
    corners = np.array([(-900, -900), (5000, -900), (5000, 5000), (-900, 5000)], dtype=np.int64)
    assert (coverage(corners, 3, 5) == FULL).all()
    assert not coverage(corners + 10_000, 3, 5).any()
    assert not coverage(corners - 10_000, 3, 5).any()


def test_coverage_of_a_disc_is_near_its_area() -> None:
    disc = ellipse(50 * 256, 50 * 256, 40 * 256, 30 * 256).points
    assert coverage(disc, 100, 100).sum() / FULL == pytest.approx(math.pi * 40 * 30, rel=0.01)


def test_blur_is_the_mean_of_the_neighbourhood() -> None:
    values = np.zeros((7, 7), dtype=np.int32)
    values[3, 3] = 900
    blurred = blur(values, 1)
    assert (blurred[2:5, 2:5] == 100).all()
    assert blurred.sum() == 900


def test_shift_moves_zeros_in() -> None:
    values = np.arange(1, 10, dtype=np.int32).reshape(3, 3)
    assert shifted(values, 1, -1).tolist() == [[0, 0, 0], [2, 3, 0], [5, 6, 0]]


@pytest.mark.parametrize("name", ["cloud", "soft", "cells", "cracks", "fibres", "grain"])
def test_noise_is_seamless_and_uses_all_tones(name: str) -> None:
    tile = getattr(tiles(0), name).astype(int)
    assert tile.shape == (SIDE, SIDE)
    assert np.bincount(tile.ravel(), minlength=256).min() > 0
    for axis in (0, 1):
        inside = np.abs(np.diff(tile, axis=axis)).mean()
        seam = np.abs(np.take(tile, 0, axis) - np.take(tile, -1, axis)).mean()
        assert seam < 1.5 * inside + 2


@pytest.mark.parametrize("number", range(1, len(CLASSES) + 1), ids=[shape.name for shape in CLASSES])
def test_a_class_fills_its_size_and_varies(number: int) -> None:
    masks = []
    for key in range(6):
        parts = contours(Item(number, 64 * 256, 64 * 256, 50 * 256, 0, 1, key))
        window = window_of(parts, 0, 128, 128)
        assert 99 <= max(window.shape) <= 102
        mask = np.zeros((128, 128), dtype=bool)
        mask[window.slices] = covered(parts, window) >= FULL // 2
        assert 0.05 < mask.sum() / 100**2 < 0.9
        masks.append(mask)
    assert len({mask.tobytes() for mask in masks}) == len(masks)


@pytest.mark.parametrize("shape", CLASSES, ids=[shape.name for shape in CLASSES])
def test_a_surface_has_tones_that_can_be_told_apart(shape: ShapeClass) -> None:
    v, u = np.mgrid[-1000:1000:20, -1000:1000:20].astype(np.int32)
    for key in range(4):
        tone = shape.surface(Cloth(u, v, 150, tiles(0), Stream(key)))
        assert tone.shape == u.shape
        assert np.clip(tone, 0, 255).std() > 25
        assert -50 < tone.min() <= tone.max() < 300


def test_classes_share_neither_shape_nor_surface() -> None:
    for part in ("name", "outline", "surface"):
        assert len({getattr(shape, part) for shape in CLASSES}) == len(CLASSES) == 20
