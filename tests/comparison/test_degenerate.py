"""Comparisons of which nothing can be known: they say so in every format, instead of an interval of no width."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fssbench.comparison import Comparison, compare, holm
from fssbench.comparison.permutation import undecided
from fssbench.comparison.render import render
from fssbench.results import Results, load_run
from tests.tables.runs import run_of, write_run

ALIKE = "it is the same in all draws of the query images"
UNCHANGED = "no swap of predictions changes a number"


def stored(folder: Path, *right: int, name: str = "hsnet", queries: int | None = None) -> Results:
    """A run of one fold with so many of 1000 pixels right in its episodes."""
    found = load_run(write_run(folder / name, run_of(name, (0,), episodes=len(right))))
    frame = found.frame.assign(intersection=[(1000, n) for n in right])
    if queries is not None:
        frame = frame.assign(query=[f"q{n % queries}" for n in range(len(right))])
    return replace(found, frame=frame)


def pair(folder: Path, mine: tuple[int, ...], theirs: tuple[int, ...], queries: int | None = None) -> Comparison:
    runs = [stored(folder, *mine, queries=queries), stored(folder, *theirs, name="asnet", queries=queries)]
    return compare(runs, draws=60)


@pytest.fixture
def equal(tmp_path: Path) -> Comparison:
    right = (100, 200, 300, 400, 500, 600)
    return pair(tmp_path, right, right)


def test_two_equal_runs_have_neither_interval_nor_p(equal: Comparison) -> None:
    for its in equal.duels[0].differences:
        assert (its.difference, its.interval.reason, its.no_p) == (0.0, ALIKE, UNCHANGED)
        assert all(map(math.isnan, (its.interval.low, its.interval.high, its.p_value, its.p_holm)))


def test_runs_of_one_query_have_neither(tmp_path: Path) -> None:
    its = pair(tmp_path, (500,), (700,)).duels[0].differences[0]
    assert its.difference == pytest.approx(20.0)
    assert its.interval.reason == "there is one query image"
    assert its.no_p == "every swap of predictions leaves a difference of the same size"


def test_of_several_episodes_of_one_query_nothing_is_known_either(tmp_path: Path) -> None:
    its = pair(tmp_path, (500, 400, 300, 200), (700, 600, 500, 450), queries=1).duels[0].differences[0]
    assert not its.interval.given
    assert its.no_p


def test_one_query_that_differs_gives_an_interval_and_no_p(tmp_path: Path) -> None:
    its = pair(tmp_path, (500,) * 8, (700, *(500,) * 7)).duels[0].differences[0]
    assert its.interval.given
    assert its.no_p == "every swap of predictions leaves a difference of the same size"


def test_every_format_says_so(equal: Comparison) -> None:
    for form in ("terminal", "markdown"):
        text = " ".join(render(equal, form).split())
        assert f"interval can't be given for fold 0 mIoU, fold 0 FB-IoU: {ALIKE}" in text
        assert f"p can't be given for fold 0 mIoU, fold 0 FB-IoU: {UNCHANGED}" in text
        assert "nan" not in text
        assert "0.00 to" not in text
    record = json.loads(render(equal, "json"))["duels"][0]["differences"][0]
    assert record["interval"] == {"low": None, "high": None, "reason": ALIKE}
    assert (record["p_value"], record["p_holm"], record["no_p"]) == (None, None, UNCHANGED)
    row = next(csv.DictReader(io.StringIO(render(equal, "csv"))))
    assert [row[name] for name in ("low", "high", "p_value", "p_holm")] == [""] * 4
    assert (row["no_interval"], row["no_p"], row["difference"]) == (ALIKE, UNCHANGED, "0.0000")


def test_a_p_that_is_not_given_counts_as_the_largest_in_holms_correction() -> None:
    corrected = holm([0.02, math.nan, 0.01])
    assert corrected[0] == pytest.approx(0.04)
    assert corrected[2] == pytest.approx(0.03)
    assert math.isnan(corrected[1])
    assert [math.isnan(value) for value in holm([math.nan, math.nan])] == [True, True]


def test_what_swaps_decide() -> None:
    assert undecided(np.zeros(9)) == UNCHANGED
    assert undecided(np.array([2.0, -2.0, 2.0])) == "every swap of predictions leaves a difference of the same size"
    assert undecided(np.array([2.0, -2.0, 0.0])) == ""
