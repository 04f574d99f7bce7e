"""What holds of any comparison and any interval."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fssbench.comparison import compare, holm
from fssbench.comparison.permutation import permutation_p, undecided
from fssbench.metrics.intervals import interval
from fssbench.metrics.summary import Summary, summarise
from fssbench.results import Results, load_run
from tests.properties import examples
from tests.tables.runs import run_of, write_run

COUNTS = st.lists(st.integers(0, 1000), min_size=8, max_size=8)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, Results]:
    folder = tmp_path_factory.mktemp("two")
    one, other = (load_run(write_run(folder / name, run_of(name, (0,), episodes=8))) for name in ("hsnet", "asnet"))
    return one, other


def with_counts(results: Results, right: list[int]) -> Results:
    return replace(results, frame=results.frame.assign(intersection=[(1000, n) for n in right]))


@examples(8)
@given(COUNTS, COUNTS)
def test_whichever_run_is_the_reference_only_signs_change(
    two: tuple[Results, Results], mine: list[int], theirs: list[int]
) -> None:
    one, other = with_counts(two[0], mine), with_counts(two[1], theirs)
    forth, back = (compare(pair, draws=40).duels[0] for pair in ((one, other), (other, one)))
    for there, here in zip(forth.differences, back.differences, strict=True):
        assert there.difference == -here.difference
        assert (there.interval.reason, there.no_p) == (here.interval.reason, here.no_p)
        if there.interval.given:
            assert there.interval.low == pytest.approx(-here.interval.high, abs=1e-9)
            assert there.interval.low <= there.difference <= there.interval.high
        if not there.no_p:
            assert 0 < there.p_value <= 1
            assert there.p_value == here.p_value
    assert [(one.won, one.lost, one.tied) for one in forth.episodes] == [
        (one.lost, one.won, one.tied) for one in back.episodes
    ]


def rows(
    right: list[int], *, factor: int = 1, queries: int = 8, times: int = 1, names: tuple[int, int] = (1, 2)
) -> pd.DataFrame:
    count = len(right) * times
    return pd.DataFrame(
        {
            "fold": 0,
            "query": [f"q{n % len(right) % queries}" for n in range(count)],
            "classes": [(names[n % 2],) for n in range(count)],
            "intersection": [(500 * factor, right[n % len(right)] * factor) for n in range(count)],
            "union": [(1000 * factor, 1000 * factor)] * count,
            "present": [(True,)] * count,
            "truth": [(True,)] * count,
        }
    )


def same(one: Summary, other: Summary) -> None:
    assert one.miou == pytest.approx(other.miou, rel=1e-12, abs=1e-12)
    for name, bounds in one.intervals.items():
        assert bounds.reason == other.intervals[name].reason
        if bounds.given:
            assert (bounds.low, bounds.high) == pytest.approx((other.intervals[name].low, other.intervals[name].high))


@examples(10)
@given(COUNTS)
def test_neither_scale_nor_repeated_episodes_of_a_query_make_a_number_surer(right: list[int]) -> None:
    first = summarise(rows(right), draws=60)
    same(first, summarise(rows(right, factor=10**6), draws=60))
    # Episodes of one query are one cluster: twice the same ones are no more queries.
    same(first, summarise(rows(right, times=2), draws=60))


@examples(6)
@given(COUNTS)
def test_names_and_order_of_classes_change_no_mean(right: list[int]) -> None:
    first, second = (summarise(rows(right, names=names), draws=0) for names in ((1, 2), (9, 4)))
    assert first.miou == pytest.approx(second.miou, rel=1e-12, abs=1e-12)
    assert first.fb_iou == pytest.approx(second.fb_iou, rel=1e-12, abs=1e-12)


@examples(20)
@given(st.floats(0, 100), st.floats(0.01, 30), st.integers(1, 500), st.floats(0.5, 0.98))
def test_an_interval_of_a_higher_level_holds_that_of_a_lower_one(
    value: float, spread: float, freedom: int, level: float
) -> None:
    drawn = value + spread * np.linspace(-1, 1, 40)
    narrow, wide = (interval(value, drawn, freedom, one) for one in (level, level + 0.01))
    assert narrow.given or not wide.given
    if wide.given:
        assert wide.low <= narrow.low <= value <= narrow.high <= wide.high


@examples(20)
@given(st.lists(st.floats(0.0001, 1) | st.just(math.nan), min_size=1, max_size=6))
def test_holms_correction_keeps_the_order_and_never_lowers_a_p(p_values: list[float]) -> None:
    corrected = holm(p_values)
    assert [math.isnan(p) for p in corrected] == [math.isnan(p) for p in p_values]
    pairs = sorted((p, c) for p, c in zip(p_values, corrected, strict=True) if not math.isnan(p))
    assert all(p <= c <= 1 for p, c in pairs)
    assert [c for _, c in pairs] == sorted(c for _, c in pairs)


@examples(20)
@given(st.lists(st.floats(-50, 50), min_size=2, max_size=30), st.floats(-50, 50), st.floats(0, 5))
def test_a_larger_difference_never_has_a_larger_p(chance: list[float], difference: float, more: float) -> None:
    drawn = np.array(chance)
    further = difference + math.copysign(more, difference)
    assert permutation_p(further, drawn) <= permutation_p(difference, drawn)
    assert 0 < permutation_p(difference, drawn) <= 1
    assert undecided(drawn) == undecided(-drawn)
