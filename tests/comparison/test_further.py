"""Differences of references and of absent queries: clustered by query, refused for lists that are not alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fssbench.comparison import compare
from fssbench.comparison.render import render
from fssbench.errors import UsageError
from fssbench.results import Results, Run, load_run
from tests.tables.runs import run_of, write_run

QUERIES, REFERENCES = 12, 4


def with_lists(run: Run, **changes: object) -> Run:
    return replace(run, folds=tuple(replace(fold, **changes) for fold in run.folds))  # type: ignore[arg-type]


@pytest.fixture
def stored(tmp_path: Path) -> Callable[..., Results]:
    def store(name: str, run: Run) -> Results:
        return load_run(write_run(tmp_path / name, run, 0.5))

    return store


def noisy(results: Results, shift: float, seed: int) -> Results:
    """The run with other predictions, which depend on the query but not on the reference."""
    frame = results.frame
    noise = np.random.default_rng(seed).normal(500 + shift, 150, (len(results.run.folds), QUERIES))
    hits = [
        int(np.clip(noise[fold, e % QUERIES], 1, 999)) for fold, e in zip(frame["fold"], frame["episode"], strict=True)
    ]
    queries = [f"f{fold}q{e % QUERIES}" for fold, e in zip(frame["fold"], frame["episode"], strict=True)]
    return replace(results, frame=frame.assign(intersection=[(1000, n) for n in hits], query=queries))


def test_many_references_of_a_query_are_one_cluster(stored: Callable[..., Results]) -> None:
    whole = with_lists(run_of(episodes=QUERIES * REFERENCES), references=REFERENCES, run_length=QUERIES, base_hash="b")
    once = run_of(episodes=QUERIES)
    many = compare([noisy(stored("a", whole), 0, 1), noisy(stored("b", whole), 60, 2)], draws=400)
    few = compare([noisy(stored("c", once), 0, 1), noisy(stored("d", once), 60, 2)], draws=400)
    assert {"miou_worst", "miou_best"} <= set(many.measures)
    assert "miou_worst" not in few.measures
    find = {(one.measure, one.fold): one for one in many.duels[0].differences}
    for one in few.duels[0].differences:
        same = find[one.measure, one.fold]
        # Copies of an episode say nothing new: neither the interval nor the p-value may gain by them.
        assert same.difference == pytest.approx(one.difference)
        assert (same.interval.low, same.interval.high) == pytest.approx((one.interval.low, one.interval.high))
        assert same.p_value == one.p_value
    for measure in ("miou_worst", "miou_best"):
        assert find[measure, None].difference == pytest.approx(find["miou", None].difference)
    text = render(many, "terminal")
    assert "paired by query and reference" in text
    assert "not the episodes of shapes" in text.replace("\n", " ")
    assert render(many, "csv").count("miou_best") == 5


def test_rates_of_absent_queries(stored: Callable[..., Results]) -> None:
    run = with_lists(run_of(episodes=48), absent=16, base_hash="b")

    def made(name: str, area: int, missed: bool) -> Results:
        results = stored(name, run)
        absent = results.frame["episode"] % 3 == 0
        union = [(1000, area) if a else (1000, 800) for a in absent]
        both = [(1000 - area, 0) if a else (600, 0 if missed else 400) for a in absent]
        predicted = [(area,) if a else (0 if missed else 500,) for a in absent]
        columns = {"union": union, "intersection": both, "predicted": predicted, "truth": [(not a,) for a in absent]}
        return replace(results, frame=results.frame.assign(**columns, query=[f"q{n}" for n in range(len(absent))]))

    one, other = made("a", 0, missed=True), made("b", 250, missed=False)
    comparison = compare([one, other], draws=300)
    found = {d.measure: d for d in comparison.duels[0].differences if d.fold is None}
    assert (found["empty"].reference, found["empty"].value) == (100.0, 0.0)
    assert found["false_area"].difference == pytest.approx(25.0)
    assert found["wrongly_empty"].difference == -100.0
    assert found["miou_present"].value == pytest.approx(50.0)
    assert found["miou"].value < found["miou_present"].value
    # Two methods that differ in all absent queries, 16 of each fold.
    assert found["empty"].p_value < 0.02
    assert found["false_area"].interval.reason, "the same difference in every absent query"
    same = compare([one, made("c", 0, missed=True)], draws=300)
    assert all(d.difference == 0 and d.no_p for d in same.duels[0].differences)
    assert "false area" in render(comparison, "markdown")


def test_lists_that_are_not_alike_are_not_paired(stored: Callable[..., Results]) -> None:
    plain = stored("a", run_of(episodes=12))
    references = stored("b", with_lists(run_of(episodes=12), references=3, run_length=4, base_hash="b"))
    absent = stored("c", with_lists(run_of(episodes=12), absent=4, base_hash="b"))
    with pytest.raises(UsageError, match="differ in the number of references of each query: the protocol's own in"):
        compare([plain, references])
    with pytest.raises(UsageError, match="differ in the absent queries: none drawn in"):
        compare([plain, absent])
    assert isinstance(plain.frame, pd.DataFrame)
