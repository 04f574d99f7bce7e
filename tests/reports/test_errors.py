"""Kinds of errors: each by the counts that make it, in the order in which they are decided."""

from __future__ import annotations

import numpy as np
import pytest

from fssbench.reports.cases import Case, band_of, distance_to_outline, with_places
from fssbench.reports.errors import Category, Pixels, category_of

KINDS = {
    "both empty": (Pixels(100, 0, 0, 0), Category.RIGHT),
    "IoU 80 %": (Pixels(100, 10, 8, 8), Category.RIGHT),
    "IoU below 80 %": (Pixels(1000, 100, 79, 79), Category.MISSING),
    "predicted and not there": (Pixels(100, 0, 1, 0), Category.NOT_THERE),
    "nothing": (Pixels(100, 10, 0, 0), Category.NOTHING),
    "all of it": (Pixels(100, 10, 100, 10), Category.EVERYTHING),
    "nearly all of it": (Pixels(100, 10, 95, 10), Category.EVERYTHING),
    "not quite all of it": (Pixels(100, 10, 94, 10), Category.TOO_MUCH),
    "all of it, and most is the class": (Pixels(100, 60, 100, 60), Category.TOO_MUCH),
    "another object": (Pixels(100, 10, 20, 2, other=10), Category.WRONG),
    "half of another object": (Pixels(100, 10, 20, 2, other=9), Category.TOO_MUCH),
    "along the outline": (Pixels(1000, 100, 80, 70, other=0, far=4), Category.OUTLINE),
    "too far from the outline": (Pixels(1000, 100, 80, 70, other=0, far=5), Category.MISSING),
    "outline of a bad mask": (Pixels(1000, 100, 60, 50, other=0, far=0), Category.MISSING),
    "as much missing as too much": (Pixels(100, 10, 10, 5), Category.MISSING),
    "more too much": (Pixels(100, 10, 11, 5), Category.TOO_MUCH),
}


@pytest.mark.parametrize(("pixels", "kind"), KINDS.values(), ids=KINDS.keys())
def test_a_kind_follows_from_its_counts(pixels: Pixels, kind: Category) -> None:
    assert category_of(pixels) is kind


def test_wrong_pixels_are_placed_by_the_label_map() -> None:
    truth = np.zeros((100, 100), dtype=np.uint8)
    truth[20:60, 20:60] = 7
    truth[:, 80:] = 9  # another class
    truth[0] = 255
    labels = np.zeros_like(truth)
    labels[19:60, 20:60] = 1  # one row above the object, within the band
    labels[50:52, 78:90] = 1  # two columns of nothing, ten of the other class; far from the outline
    labels[0, :10] = 1  # not counted
    case = Case((0, 0), 0, 7, True, (0.0,))
    found = with_places(Pixels(9900, 1600, 1640 + 24, 1600), labels, truth, case)
    assert band_of(truth.shape) == 3
    assert (found.other, found.far) == (20, 24)


def test_the_distance_is_that_to_the_other_side() -> None:
    mask = np.zeros((1, 8), dtype=bool)
    mask[0, :3] = True
    assert distance_to_outline(mask).round().tolist() == [[3, 2, 1, 1, 2, 3, 4, 5]]
