"""Ratios of counts, computed by hand: of novel and base classes, with what is not there."""

from __future__ import annotations

from dataclasses import replace
from math import isclose

import numpy as np
import pandas as pd
import pytest

from fssbench.errors import UsageError
from fssbench.metrics.counts import MAX_SUM, BaseClasses, ClusterCounts, Ratios, cluster_counts, mean_ratios

# Two novel classes, the background, exact and all episodes; then two base classes: intersections, unions, true pixels.
ROW = np.array([30, 1, 60, 1, 500, 1000, 3, 4, 5, 7, 20, 10, 9, 0])
"""The second base class has a union, as it was predicted, but no true pixel: without zeros it counts nowhere."""


def counts(base: BaseClasses | None, sums: np.ndarray = ROW) -> ClusterCounts:
    without = sums[: len(sums) if base else 8]
    return ClusterCounts(0, (1, 2), ((1, "a"),), without[None], np.array([2, 2]), base)


def test_ratios_without_base_classes() -> None:
    found = counts(None).ratios(ROW[:8])
    assert found.per_class is not None
    assert found.per_class.tolist() == [50.0, 100.0]
    assert (float(found.miou), float(found.exact_ratio)) == (75.0, 75.0)
    assert isclose(float(found.fb_iou), 50 * (31 / 61 + 0.5))
    assert (found.base_miou, found.total_miou) == (None, None)


@pytest.mark.parametrize(("absent_as_zero", "number"), [(False, 1), (True, 2)])
@pytest.mark.parametrize("generalised", [False, True])
def test_ratios_with_base_classes(absent_as_zero: bool, number: int, generalised: bool) -> None:
    found = counts(BaseClasses((7, 9), absent_as_zero, generalised)).ratios(ROW)
    iou = 100 * 5 / 20 + 100 * 7 / 10
    assert isclose(float(found.base_miou), iou / number)  # type: ignore[arg-type]
    assert float(found.miou) == 75.0, "of the novel classes alone"
    if generalised:
        assert isclose(float(found.total_miou), (150 + iou) / (2 + number))  # type: ignore[arg-type]
        assert isclose(float(found.fb_iou), 50 * ((31 + 12) / (61 + 30) + 0.5))
    else:
        assert found.total_miou is None
        assert isclose(float(found.fb_iou), 50 * (31 / 61 + 0.5))


def test_base_classes_are_neither_zero_nor_predicted_together_unless_it_is_said() -> None:
    assert BaseClasses((7,)) == BaseClasses((7,), absent_as_zero=False, generalised=False)


def test_one_true_pixel_of_a_base_class_counts() -> None:
    row = ROW.copy()
    row[-1] = 1
    found = counts(BaseClasses((7, 9))).ratios(row)
    assert isclose(float(found.base_miou), (25 + 70) / 2)  # type: ignore[arg-type]


def test_what_was_nowhere_is_zero_per_cent() -> None:
    found = counts(BaseClasses((7, 9), generalised=True)).ratios(np.zeros(14, int))
    assert found.per_class is not None
    assert found.per_class.tolist() == [0.0, 0.0]
    values = (found.miou, found.fb_iou, found.exact_ratio, found.base_miou, found.total_miou)
    assert [float(value) for value in values if value is not None] == [0.0] * 5


def test_a_union_of_one_pixel_is_not_rounded_up() -> None:
    row = np.array([1, 0, 1, 0, 1, 1, 1, 1, 1, 0, 1, 0, 1, 0])
    found = counts(BaseClasses((7, 9), generalised=True)).ratios(row)
    assert (float(found.fb_iou), float(found.exact_ratio)) == (100.0, 100.0)
    assert (float(found.miou), float(found.base_miou)) == (50.0, 100.0)  # type: ignore[arg-type]


def test_draws_are_computed_like_one_row_each() -> None:
    draws = np.stack([ROW, 2 * ROW[::-1], ROW + 3])
    cluster = counts(BaseClasses((7, 9), generalised=True))
    together, alone = cluster.ratios(draws), [cluster.ratios(row) for row in draws]
    for name in ("miou", "fb_iou", "exact_ratio", "base_miou", "total_miou", "per_class"):
        np.testing.assert_array_equal(getattr(together, name), [getattr(one, name) for one in alone])


def test_a_mean_has_what_all_have() -> None:
    one = Ratios(np.array(10.0), np.array(20.0), np.array(30.0), np.array(40.0))
    other = Ratios(np.array(20.0), np.array(40.0), np.array(60.0))
    mean = mean_ratios([one, other])
    assert (float(mean.miou), float(mean.fb_iou), float(mean.exact_ratio)) == (15.0, 30.0, 45.0)
    assert (mean.base_miou, mean.total_miou) == (None, None)
    assert mean_ratios([one]) == replace(one, per_class=None)


def test_episodes_are_the_last_of_the_fixed_columns() -> None:
    assert counts(None).episodes == 4
    assert counts(BaseClasses((7, 9))).episodes == 4


def test_a_foreground_of_one_pixel_is_not_rounded_up() -> None:
    assert float(counts(None).ratios(np.array([1, 0, 1, 0, 1, 1, 1, 1])).fb_iou) == 100.0


def test_degrees_of_freedom_of_a_class_are_its_clusters_less_one() -> None:
    sums = np.zeros((3, 8), int)
    sums[:, 1], sums[:, 2], sums[0, 3] = 1, 5, 1
    cluster = ClusterCounts(0, (1, 2), ((1, "a"), (1, "b"), (2, "c")), sums, np.array([2, 1]), None)
    assert [cluster.class_degrees_of_freedom(place) for place in (0, 1)] == [2, 0]
    assert replace(cluster, sums=0 * sums).class_degrees_of_freedom(0) == 0


def rows(classes: tuple[int, ...], **columns: object) -> pd.DataFrame:
    """Return a row of an episode for each of two queries, "b" and "a"."""
    labels = len(classes) + 1
    row = {"intersection": (1,) * labels, "union": (2,) * labels, "present": (True,) * (labels - 1)} | columns
    one = {"classes": classes, "truth": (True,) * (labels - 1)} | row
    return pd.DataFrame([one | {"query": "b"}, one | {"query": "a"}])


def test_episodes_of_a_class_are_a_stratum_and_those_of_several_ways_together() -> None:
    assert cluster_counts(rows((7,)), 0, None, None).clusters == ((7, "a"), (7, "b"))
    several = cluster_counts(rows((7, 1)), 0, None, None)
    assert several.clusters == ((0, "a"), (0, "b"))
    assert several.strata == (2,)


@pytest.mark.parametrize(("entry", "fits"), [((7, 0, MAX_SUM // 2, 0), False), ((7, MAX_SUM, 0, MAX_SUM), True)])
def test_unions_of_base_classes_fit_into_64_bits(entry: tuple[int, ...], fits: bool) -> None:
    frame = rows((1,), base=(entry,)).iloc[: 1 if fits else 2]
    if fits:
        assert cluster_counts(frame, 0, None, BaseClasses((7,))).episodes == 1
    else:
        with pytest.raises(UsageError, match="more than images can have"):
            cluster_counts(frame, 0, None, BaseClasses((7,)))
