"""What holds of the metrics of any rows: order, parts and names of classes change nothing."""

from __future__ import annotations

import dataclasses
import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fssbench.metrics.summary import Summary, summarise
from fssbench.results import Row
from fssbench.results.rows import frame_of
from tests.properties import examples

CLASSES = (1, 2, 3)


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    """One to eight rows of two folds, with empty and full masks among them."""
    found = []
    for number in range(draw(st.integers(1, 8))):
        unions = draw(st.tuples(st.integers(1, 10**9), st.sampled_from((0, 1, 10**9))))
        shares = draw(st.tuples(st.sampled_from((0.0, 0.3, 1.0)), st.sampled_from((0.0, 0.5, 1.0))))
        both = tuple(int(share * union) for share, union in zip(shares, unions, strict=True))
        fold, name = draw(st.integers(0, 1)), f"q{draw(st.integers(0, 3))}"
        class_id = draw(st.sampled_from(CLASSES)) + 3 * fold
        found.append(Row(number, fold, name, (class_id,), (("s",),), both, unions, (True,), (True,), 0.1))
    return found


def numbers(frame: pd.DataFrame) -> Summary:
    return summarise(frame, draws=0)


def same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=1e-12)


@examples(12)
@given(rows(), st.randoms(use_true_random=False))
def test_order_and_names_of_classes_change_nothing(found: list[Row], random: object) -> None:
    first = numbers(frame_of(found))
    mixed = list(found)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    renamed = [dataclasses.replace(row, classes=tuple(7 - value for value in row.classes)) for row in mixed]
    for other in (numbers(frame_of(mixed)), numbers(frame_of(renamed))):
        assert same(first.miou, other.miou)
        assert same(first.fb_iou, other.fb_iou)
    assert math.isnan(first.miou) or 0 <= first.miou <= 100


def test_sums_of_a_million_episodes_of_the_largest_images_are_exact() -> None:
    row = Row(0, 0, "q", (1,), (("s",),), (10**9 - 1, 1), (10**9, 3), (True,), (True,), 0.1)
    frame = pd.concat([frame_of([row])] * 1000, ignore_index=True)
    frame["episode"] = range(len(frame))
    frame["union"] = [(10**12, 3 * 10**3)] * 1000  # each row as a thousand
    frame["intersection"] = [(10**12 - 10**3, 10**3)] * 1000
    assert numbers(frame).miou == pytest.approx(100 / 3, abs=0, rel=1e-15)


@pytest.mark.parametrize("count", [1, 2])
def test_one_query_leaves_everything_open(count: int) -> None:
    one = [Row(n, 0, "q", (1,), (("s",),), (5, 3), (9, 6), (True,), (True,), 0.1) for n in range(count)]
    found = summarise(frame_of(one), draws=100).intervals["miou"]
    assert (found.given, found.reason) == (False, "there is one query image")
