"""Where there is nothing to find: rates, areas and mIoU by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from fssbench.metrics.absence import absence_sums, absences

PIXELS = 100


def row(query: str, truth: int, hit: int, extra: int, class_id: int = 1, fold: int = 0) -> dict[str, object]:
    """A 1-way episode: pixels of the class, of them predicted, and predicted besides; of a query of 100 pixels."""
    background = PIXELS - truth - extra
    return {
        "fold": fold,
        "query": query,
        "classes": (class_id,),
        "intersection": (background, hit),
        "union": (PIXELS - hit, truth + extra),
        "present": (hit + extra > 0,),
        "truth": (truth > 0,),
        "predicted": (hit + extra,),
    }


ROWS = pd.DataFrame(
    [
        *(row("a", 40, 20, 10), row("b", 20, 0, 0), row("c", 10, 0, 5)),
        *(row("d", 0, 0, 0), row("e", 0, 0, 30), row("f", 0, 0, 60), row("g", 0, 0, 0)),
    ]
)


def test_rates_areas_and_both_mious() -> None:
    (found,) = absences(ROWS)
    assert (found.fold, found.absent, found.present) == (0, 4, 3)
    assert found.empty == 50.0
    assert found.false_area == pytest.approx(22.5)
    assert found.false_area_median == 15.0
    assert found.wrongly_empty == pytest.approx(100 / 3)
    assert found.miou == pytest.approx(100 * 20 / (50 + 20 + 15 + 30 + 60))
    assert found.miou_present == pytest.approx(100 * 20 / (50 + 20 + 15))


def test_a_rule_that_leaves_absent_classes_out_of_the_union_does_not_hide_their_false_area() -> None:
    left_out = ROWS.assign(
        union=[(u[0], u[1] if there[0] else 0) for u, there in zip(ROWS["union"], ROWS["truth"], strict=True)]
    )
    (found,) = absences(left_out)
    assert (found.empty, found.false_area) == (50.0, pytest.approx(22.5))
    assert found.miou == found.miou_present


def test_a_lost_object_is_not_wrongly_empty() -> None:
    (found,) = absences(ROWS.assign(lost_query=[None, (True,), None, None, None, None, None]))
    assert (found.present, found.wrongly_empty) == (2, 0.0)


def test_folds_are_averaged_and_what_is_not_there_is_no_number() -> None:
    other = pd.DataFrame([row("x", 50, 50, 0, 2, fold=1), row("y", 0, 0, 100, 2, fold=1)])
    first, second, mean = absences(pd.concat([ROWS, other], ignore_index=True))
    assert (second.empty, second.false_area, second.wrongly_empty) == (0.0, 100.0, 0.0)
    assert mean.fold is None
    assert (mean.absent, mean.empty, mean.false_area) == (5, 25.0, pytest.approx((22.5 + 100) / 2))
    assert mean.miou == pytest.approx((first.miou + second.miou) / 2)
    (present,) = absences(ROWS[:3])
    assert present.absent == 0
    assert math.isnan(present.empty)
    assert math.isnan(present.false_area_median)
    (absent,) = absences(ROWS[3:])
    assert math.isnan(absent.miou_present)
    assert math.isnan(absent.wrongly_empty)


def test_sums_are_by_query_image() -> None:
    twice = pd.concat([ROWS, ROWS[:5]], ignore_index=True)
    sums = absence_sums(twice)
    assert len(sums.clusters) == 7
    assert sums.sums[:, 0].tolist() == [0, 0, 0, 2, 2, 1, 1]
    several = pd.DataFrame(
        [
            {
                "fold": 0,
                "query": "a",
                "classes": (1, 2),
                "intersection": (40, 10, 0),
                "union": (80, 30, 40),
                "present": (True, True),
                "truth": (True, False),
                "predicted": (20, 40),
            }
        ]
    )
    assert absence_sums(several).sums.tolist() == [[0, 0, 0, 1, 0]], (
        "a query that holds one of two classes is not absent"
    )
    assert np.isnan(absence_sums(several).rates(absence_sums(several).sums.sum(axis=0))[0])
