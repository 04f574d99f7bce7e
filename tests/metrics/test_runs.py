"""Several runs in one list: their mean, and how far they lie apart."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from fssbench.errors import UsageError
from fssbench.metrics.intervals import not_given
from fssbench.metrics.runs import spread_of
from fssbench.metrics.summary import summarise
from fssbench.results.summary import summary_record


def rows(fold: int, *ratios: int) -> list[dict[str, object]]:
    """Episodes of one class, each with that many of 100 pixels right, and all of the background."""
    return [
        {
            "fold": fold,
            "episode": number,
            "query": f"q{number % 2}",
            "classes": (fold + 1,),
            "intersection": (50, right),
            "union": (50, 100),
            "present": (True,),
            "truth": (True,),
        }
        for number, right in enumerate(ratios)
    ]


@pytest.fixture
def frame() -> pd.DataFrame:
    # Runs of two episodes: fold 0 has 20 and 40 per cent, fold 1 has 70 and 50.
    return pd.DataFrame(rows(0, 10, 30, 40, 40) + rows(1, 70, 70, 40, 60))


def test_the_number_is_the_mean_over_the_runs(frame: pd.DataFrame) -> None:
    summary = summarise(frame, run_length=2, draws=0)
    assert [fold.miou for fold in summary.folds] == [30.0, 60.0]
    assert [[run.miou for run in fold.runs] for fold in summary.folds] == [[20.0, 40.0], [70.0, 50.0]]
    assert [run.miou for run in summary.runs] == [45.0, 45.0]
    assert (summary.miou, summary.fb_iou) == (45.0, 72.5)


def test_runs_lie_apart_by_their_standard_deviation(frame: pd.DataFrame) -> None:
    summary = summarise(frame, run_length=2, draws=0)
    fold = spread_of(summary.folds[0], "miou")
    assert fold is not None
    assert (fold.mean, fold.std) == (30.0, pytest.approx(200**0.5))
    # Over folds a run is the mean of its folds, here 45 in both.
    over = spread_of(summary, "miou")
    assert over is not None
    assert (over.mean, over.std) == (45.0, 0.0)


def test_a_run_may_be_one_episode_long(frame: pd.DataFrame) -> None:
    summary = summarise(frame, run_length=1, draws=0)
    assert [run.miou for run in summary.folds[0].runs] == [10.0, 30.0, 40.0, 40.0]


def test_one_run_has_no_deviation(frame: pd.DataFrame) -> None:
    fold = summarise(frame, run_length=2, draws=0).folds[0]
    assert spread_of(replace(fold, runs=fold.runs[:1]), "miou") is None
    assert spread_of(replace(fold, runs=()), "miou") is None


def test_intervals_are_of_the_mean_over_the_runs() -> None:
    # One query in both runs: what is right in one run is wrong in the other, so that their mean never moves.
    frame = pd.DataFrame(rows(0, 10, 90, 90, 10))
    apart, together = summarise(frame, run_length=2).intervals["miou"], summarise(frame).intervals["miou"]
    assert apart == together == not_given("it is the same in all draws of the query images")
    frame = pd.DataFrame([*rows(0, 10, 10, 90, 90)])
    assert summarise(frame.assign(query=["a", "b", "c", "d"]), run_length=2).intervals["miou"].low < 50.0


def test_a_class_that_only_one_run_asks_counts_in_that_run_alone() -> None:
    other = {**rows(0, 0, 0, 0, 90)[3], "classes": (9,)}
    changed = pd.DataFrame([*rows(0, 10, 30, 40), other])
    summary = summarise(changed, run_length=2, draws=0)
    assert [run.miou for run in summary.folds[0].runs] == [20.0, 65.0]
    strict = summarise(changed, (1, 9), run_length=2, draws=0)
    assert [run.miou for run in strict.folds[0].runs] == [10.0, 65.0]


def test_runs_differ_from_all_episodes_as_one() -> None:
    uneven = pd.DataFrame(rows(0, 0, 50, 100))
    assert summarise(uneven, run_length=2, draws=0).miou == 62.5
    assert summarise(uneven, draws=0).miou == 50.0


def test_the_order_of_the_rows_is_free(frame: pd.DataFrame) -> None:
    in_order = summary_record(summarise(frame, run_length=2))
    mixed = summary_record(summarise(frame.sample(frac=1, random_state=3), run_length={0: 2, 1: 2}))
    assert mixed == in_order
    assert (
        in_order["runs"]
        == [{"miou": 45.0, "fb_iou": 72.5, "exact_ratio": 100.0, "base_miou": None, "total_miou": None}] * 2
    )


@pytest.mark.parametrize("run_length", [None, 4])
def test_one_run_has_no_spread(frame: pd.DataFrame, run_length: int | None) -> None:
    summary = summarise(frame, run_length=run_length, draws=0)
    assert summary.runs == ()
    assert "runs" not in summary_record(summary)


def test_what_can_not_be_put_into_runs_is_refused(frame: pd.DataFrame) -> None:
    with pytest.raises(UsageError, match="without the column 'episode'"):
        summarise(frame.drop(columns="episode"), run_length=2)
    with pytest.raises(UsageError, match="need a length"):
        summarise(frame, run_length={0: 2})


def test_only_runs_of_all_folds_have_a_mean_over_folds() -> None:
    frame = pd.DataFrame(rows(0, 10, 30, 40, 40) + rows(1, 70, 70, 40, 60, 0, 20))
    for mixed in (frame, frame.assign(fold=1 - frame["fold"])):
        summary = summarise(mixed, run_length=2, draws=0)
        assert sorted(len(fold.runs) for fold in summary.folds) == [2, 3]
        assert [run.miou for run in summary.runs] == [45.0, 45.0]


def test_an_interval_is_as_wide_as_the_mean_over_the_runs_moves() -> None:
    # A run of small objects that moves, and one of large objects that does not: of all episodes only the second counts.
    moving = pd.DataFrame(rows(0, 40, 60, 45, 55)).assign(query=["a", "b", "c", "d"])
    still = moving.assign(episode=range(4, 8), intersection=[(50, 500_000)] * 4, union=[(50, 1_000_000)] * 4)
    alone = summarise(moving, draws=300).intervals["miou"]
    both = summarise(pd.concat([moving, still]), run_length=4, draws=300)
    mean = both.intervals["miou"]
    assert mean.high - mean.low == pytest.approx((alone.high - alone.low) / 2)
    assert both.folds[0].intervals["miou"] == mean
