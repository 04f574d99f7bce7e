"""Intervals against scipy, and against the truth of a simulated population."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from fssbench.metrics.bootstrap import bootstrap, degrees_of_freedom
from fssbench.metrics.counts import ClusterCounts, cluster_counts
from fssbench.metrics.intervals import Interval, Sample, interval, interval_of_mean, not_given, student_quantile
from fssbench.metrics.summary import summarise
from fssbench.metrics.unknown import without_interval
from tests.comparison.simulation import simulate


def rows(**counted: Sequence[tuple[int, ...]]) -> pd.DataFrame:
    """Rows of one fold, a query each, that nothing is said of but their counts."""
    count = len(counted["classes"])
    given = {"present": [(True,)] * count, "truth": [(True,)] * count} | counted
    return pd.DataFrame({"fold": 0, "query": [f"q{n}" for n in range(count)], **given})


def one_class(clusters: int, seed: int = 0) -> ClusterCounts:
    generator = np.random.default_rng(seed)
    counts = simulate.counts_of(simulate.answers(generator, simulate.images(generator, 1, clusters)))
    assert isinstance(counts, ClusterCounts)
    return counts


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 10, 39, 995, 3980])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.975, 0.9995])
def test_quantiles_are_those_of_student(freedom: int, share: float) -> None:
    assert student_quantile(share, freedom) == pytest.approx(scipy.stats.t.ppf(share, freedom), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("freedom", [1.2, 1.5, 1.9, 2.5, 7.3, 61.9])
def test_quantiles_between_whole_degrees_of_freedom(freedom: float) -> None:
    for share in (0.5, 0.9, 0.975):
        tolerance = 0.05 if freedom < 2 else 0.005
        assert student_quantile(share, freedom) == pytest.approx(scipy.stats.t.ppf(share, freedom), rel=tolerance)


@pytest.mark.parametrize("clusters", [8, 60])
def test_draws_spread_as_those_of_scipy(clusters: int) -> None:
    counts = one_class(clusters)
    both, either = counts.sums[:, 0], counts.sums[:, 1]

    def iou(both: np.ndarray, either: np.ndarray, axis: int) -> np.ndarray:
        return 100 * both.sum(axis=axis) / either.sum(axis=axis)

    theirs = scipy.stats.bootstrap(
        (both, either), iou, paired=True, vectorized=True, n_resamples=20_000, method="percentile",
        rng=np.random.default_rng(1),
    )  # fmt: skip
    (drawn,) = bootstrap([counts], 20_000, np.random.default_rng(2))
    # scipy draws n of n clusters, whose spread is too small by √((n - 1) / n).
    expected = theirs.standard_error * np.sqrt(clusters / (clusters - 1))
    assert np.std(drawn.miou) == pytest.approx(expected, rel=0.05 if clusters > 10 else 0.12)
    value = float(counts.ratios(counts.sums.sum(axis=0)).miou)
    ours = interval(value, drawn.miou, degrees_of_freedom([counts]), 0.95)
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    if clusters > 10:
        assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.15 * width)
        assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.15 * width)


def test_the_spread_of_a_mean_is_the_textbook_one() -> None:
    # The exact ratio is a plain mean over episodes where each query is asked once: s / √n, s² with n - 1.
    generator = np.random.default_rng(3)
    asked = simulate.images(generator, 1, 12)
    asked[..., 2] = 1
    counts = simulate.counts_of(simulate.answers(generator, asked))
    right = 100.0 * counts.sums[:, 4]
    (drawn,) = bootstrap([counts], 40_000, generator)
    assert np.std(drawn.exact_ratio) == pytest.approx(np.std(right, ddof=1) / np.sqrt(12), rel=0.02)


def test_nothing_is_known_from_one_query() -> None:
    counts = one_class(1)
    (drawn,) = bootstrap([counts], 100, np.random.default_rng(0))
    for lowest in (0.0, -100.0):
        found = interval(50.0, drawn.miou, degrees_of_freedom([counts]), 0.95, lowest, few="one query")
        assert found == not_given("one query")
        assert (found.given, found.text()) == (False, "-")
        assert np.isnan([found.low, found.high]).all()


def test_one_query_of_a_class_does_not_make_a_number_sure() -> None:
    # Class 1 answered alike twice, class 2 asked once: drawn within classes alone, no draw would differ from another.
    frame = rows(classes=[(1,), (1,), (2,)], intersection=[(0, 5), (0, 5), (0, 0)], union=[(5, 10), (5, 10), (5, 10)])
    drawn = summarise(frame, draws=500).intervals["miou"]
    assert drawn == not_given("so few query images leave every value possible")


@pytest.mark.parametrize("count", [2, 3, 10, 1000])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_the_spread_of_queries_that_agree_is_not_known(count: int, level: float) -> None:
    frame = rows(classes=[(1,)] * count, intersection=[(5, 5)] * count, union=[(10, 10)] * count)
    summary = summarise(frame, draws=50, level=level)
    same = "it is the same in all draws of the query images"
    for name in ("miou", "fb_iou", "exact_ratio"):
        assert summary.intervals[name] == summary.folds[0].intervals[name] == not_given(same)
    (row,) = summary.per_class.to_dict("records")
    assert (row["iou"], row["no_interval"]) == (50.0, same)
    assert np.isnan([row["low"], row["high"]]).all()


def test_an_interval_is_never_every_possible_value() -> None:
    drawn = np.array([-80.0, 180.0] * 50)
    assert interval(50.0, drawn, 1, 0.95).reason == "so few query images leave every value possible"
    assert interval(50.0, drawn, 1, 0.95, -100.0).reason == "so few query images leave every value possible"
    # One end alone may be as far as it goes.
    assert interval(0.5, np.array([0.0, 1.0] * 50), 200, 0.95) == Interval(0.0, pytest.approx(1.486, abs=1e-3))
    assert interval_of_mean([Sample(0.5, np.array([0.0, 1.0] * 50), 200)], 0.95).low == 0.0
    nearly = interval(49.0, np.array([-1.0, 1.0]) * 50.5 / scipy.stats.t.ppf(0.975, 9), 9, 0.95)
    assert (nearly.low, nearly.high) == (0.0, pytest.approx(99.5))


def test_what_is_no_number_is_no_interval() -> None:
    assert not Interval(np.nan, np.nan).given
    assert not Interval(1.0, 2.0, "a reason").given
    assert Interval(1.0, 2.0).given


def test_one_draw_has_no_spread() -> None:
    assert interval(50.0, np.array([40.0]), 1, 0.95) == not_given("a single draw has no spread")


def test_what_is_not_known_of_a_fold_is_not_known_of_the_mean() -> None:
    generator = np.random.default_rng(0)
    known = [Sample(50.0, generator.normal(50.0, 2.0, 4000), 99) for _ in range(2)]
    for drawn in (np.full(4000, 20.0), generator.normal(20.0, 1.0, 4000)):
        single = Sample(20.0, drawn, 0, "fold 2")
        assert interval_of_mean([*known, single], 0.95) == not_given("fold 2: no class has two query images")
        assert interval_of_mean([*known, single], 0.95, -100.0).reason.startswith("fold 2: ")
    agreeing = Sample(20.0, np.full(4000, 20.0), 99, "fold 2")
    assert interval_of_mean([*known, agreeing], 0.95).reason.startswith("fold 2: it is the same in all draws")
    assert interval_of_mean([known[0], agreeing], 0.95).reason.startswith("fold 2: it is the same in all draws")
    assert interval_of_mean([agreeing], 0.95).reason.startswith("it is the same in all draws")
    assert interval_of_mean(known, 0.95).given


def test_two_queries_of_a_fold_decide_how_sure_the_mean_is() -> None:
    generator = np.random.default_rng(0)
    large, small = (generator.normal(50.0, width, 20_000) for width in (1.0, 20.0))
    samples = [Sample(50.0, large, 99), Sample(50.0, small, 1)]
    variances = [np.var(large), np.var(small)]
    welch = sum(variances) ** 2 / (variances[0] ** 2 / 99 + variances[1] ** 2)
    found = interval_of_mean(samples, 0.95, -100.0)
    expected = scipy.stats.t.ppf(0.975, welch) * np.sqrt(sum(variances)) / 2
    assert (found.high - 50.0, 50.0 - found.low) == (50.0, pytest.approx(expected, rel=0.02))
    # Where each fold has many, they add up as if they spread alike.
    many = [Sample(50.0, large, 30), Sample(50.0, generator.normal(50.0, 9.0, 20_000), 31)]
    found = interval_of_mean(many, 0.95)
    spread = np.std(np.mean([its.drawn for its in many], axis=0))
    assert 50.0 - found.low == pytest.approx(scipy.stats.t.ppf(0.975, 61) * spread, rel=1e-9)
    # One degree fewer, and the larger spread decides how many there are in all.
    fewer = interval_of_mean([many[0], replace(many[1], degrees_of_freedom=29)], 0.95)
    assert 50.0 - fewer.low > scipy.stats.t.ppf(0.975, 31) * spread


@pytest.mark.parametrize("sizes", [(100, 1), (1, 40), (100, 2), (3, 30)])
def test_few_queries_in_one_fold_do_not_make_the_mean_sure(sizes: tuple[int, ...]) -> None:
    generator = np.random.default_rng(0)
    held, repetitions = 0, 200
    for _ in range(repetitions):
        samples = []
        for size in sizes:
            seen = np.clip(generator.normal(50.0, 20.0, size), 0.0, 100.0)
            drawn = seen[generator.integers(0, size, (200, max(1, size - 1)))].mean(axis=1)
            samples.append(Sample(float(seen.mean()), drawn, size - 1))
        found = interval_of_mean(samples, 0.95)
        held += not found.given or found.low <= 50.0 <= found.high
        assert found.given or min(sizes) <= 2
    # Degrees of freedom that are added up hold it in 14 to 80 %.
    assert held / repetitions >= 0.85


def test_one_query_in_one_fold_of_several() -> None:
    many = [(int(right),) for right in np.random.default_rng(0).integers(20, 80, 100)]
    folds = [
        rows(classes=[(1,)] * len(right), intersection=[(5, *each) for each in right], union=[(10, 100)] * len(right))
        for right in (many, many[::-1], many[:1])
    ]
    frame = pd.concat([each.assign(fold=number) for number, each in enumerate(folds)])
    summary = summarise(frame, draws=500)
    mean, whole = summary.intervals["miou"], summary.folds[2].intervals["miou"]
    assert whole == not_given("there is one query image")
    assert mean == not_given("fold 2: there is one query image")
    assert summary.folds[0].intervals["miou"].given
    assert without_interval(summary, ["miou", "fb_iou"]) == [
        "the interval of mIoU, FB-IoU can't be given for fold 2: there is one query image",
        "the interval of mIoU, FB-IoU can't be given for the mean: fold 2: there is one query image",
    ]


def test_classes_of_one_query_are_drawn_together() -> None:
    frame = rows(
        classes=[(1,), (1,), (1,), (2,), (3,)],
        intersection=[(0, 1), (0, 2), (0, 3), (0, 4), (0, 4)],
        union=[(5, 9)] * 5,
    )
    (drawn,) = bootstrap([cluster_counts(frame, 0, None, None)], 400, np.random.default_rng(0))
    first, second, third = np.asarray(drawn.per_class).T
    # Of two clusters one is drawn, for both; the others are drawn from their own class, whose IoU is never 0.
    assert first.min() > 0
    assert set(np.round(second + third, 9)) == {round(100 * 4 / 9, 9)}
    assert {0.0} < set(second)


def test_no_share_is_beyond_all_or_nothing() -> None:
    assert interval(99.0, np.array([90.0, 108.0]), 10, 0.95) == Interval(pytest.approx(78.95, abs=0.01), 100.0)


def test_draws_do_not_depend_on_the_parts_they_are_drawn_with() -> None:
    counts = one_class(30)
    (alone,) = bootstrap([counts], 50, np.random.default_rng(4))
    first, second = bootstrap([counts, counts], 50, np.random.default_rng(4))
    assert alone.miou.tolist() == first.miou.tolist() == second.miou.tolist()


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    repetitions = 200
    held, _ = simulate.coverage(5, 40, repetitions, draws=200)
    low, high = scipy.stats.binom.ppf([0.001, 0.999], repetitions, 0.95) / repetitions
    for name in simulate.MEASURES:
        assert low <= held[name] <= high


def test_with_few_queries_they_hold_it_more_often_than_percentiles() -> None:
    ours, percentiles = simulate.coverage(5, 5, 300, draws=200)
    assert all(ours[name] >= percentiles[name] + 0.01 for name in simulate.MEASURES)


def test_one_query_of_a_class_is_drawn_with_the_smallest_class() -> None:
    frame = rows(
        classes=[(1,), (1,), (1,), (1,), (2,), (2,), (3,), (3,), (3,)],
        intersection=[(0, 4), (0, 4), (0, 4), (0, 4), (0, 2), (0, 2), (0, 3), (0, 3), (0, 3)],
        union=[(5, 9)] * 9,
    )
    single = pd.concat([frame, rows(classes=[(4,)], intersection=[(0, 9)], union=[(5, 9)]).assign(query="last")])
    (drawn,) = bootstrap([cluster_counts(single, 0, None, None)], 400, np.random.default_rng(0))
    first, second, third, fourth = np.asarray(drawn.per_class).T
    # Of the three clusters of classes 2 and 4 two are drawn: each is missing now and then. The others never are.
    assert set(first.round(9)) == {round(400 / 9, 9)}
    assert set(third.round(9)) == {round(300 / 9, 9)}
    assert {0.0} < set(second)
    assert {0.0} < set(fourth)


def test_each_class_counts_as_much_in_a_draw_as_in_the_list() -> None:
    # All queries of a class alike: 2 of one, 5 of another. Whatever is drawn, 2 of 7 pixels are right.
    frame = rows(classes=[(1,)] * 2 + [(2,)] * 5, intersection=[(0, 10)] * 2 + [(0, 0)] * 5, union=[(0, 10)] * 7)
    (drawn,) = bootstrap([cluster_counts(frame, 0, None, None)], 50, np.random.default_rng(0))
    assert drawn.fb_iou == pytest.approx(np.full(50, 50 * 2 / 7))
    assert drawn.exact_ratio == pytest.approx(np.full(50, 100.0))


@pytest.mark.parametrize("count", [1 << 16, (1 << 16) + 1, 3 << 16])
def test_lists_of_more_queries_than_16_bits_number(count: int) -> None:
    # The queries at the end are right, all others wrong: they are drawn as often as any.
    sums = np.tile(np.array([[0, 1, 1, 1, 1, 1]], dtype=np.int64), (count, 1))
    sums[-(count // 4) :, 0] = 1
    large = ClusterCounts(0, (1,), tuple((1, f"{number:06}") for number in range(count)), sums, np.array([count]))
    (drawn,) = bootstrap([large], 2, np.random.default_rng(0))
    assert drawn.miou == pytest.approx(np.full(2, 25.0), abs=1.5)


def test_a_class_is_known_by_the_queries_that_hold_it() -> None:
    frame = rows(
        classes=[(1, 2), (2, 1), (1, 2), (2, 1)],
        intersection=[(0, 1, 1), (0, 1, 1), (0, 0, 1), (0, 1, 0)],
        union=[(5, 9, 9), (5, 9, 9), (5, 0, 9), (5, 9, 0)],
        present=[(True, True)] * 4,
        truth=[(True, True)] * 4,
    )
    counts = cluster_counts(frame, 0, None, None)
    assert counts.clusters == ((0, "q0"), (0, "q1"), (0, "q2"), (0, "q3"))
    assert degrees_of_freedom([counts]) == 3
    assert [counts.class_degrees_of_freedom(place) for place in (0, 1)] == [1, 3]
    assert cluster_counts(frame, 0, (1, 2, 3), None).class_degrees_of_freedom(2) == 0


def test_of_two_queries_something_is_known() -> None:
    counts = one_class(2)
    expected = scipy.stats.t.ppf(0.975, 1) * np.array([-0.1, 0.1])
    assert degrees_of_freedom([counts]) == 1
    found = interval(50.0, np.array([49.9, 50.1]), 1, 0.95)
    assert (found.low, found.high) == pytest.approx(tuple(50.0 + expected))


def test_objects_of_one_pixel_count_whole() -> None:
    counts = cluster_counts(rows(classes=[(1,)], intersection=[(1, 1)], union=[(1, 1)]), 0, None, None)
    ratios = counts.ratios(counts.sums.sum(axis=0))
    assert (ratios.miou, ratios.fb_iou) == (100.0, 100.0)
    # Also where another class has none at all.
    frame = rows(classes=[(1,), (2,)], intersection=[(1, 1), (1, 0)], union=[(1, 1), (1, 0)])
    counts = cluster_counts(frame, 0, None, None)
    ratios = counts.ratios(counts.sums.sum(axis=0))
    assert (ratios.miou, ratios.fb_iou) == (50.0, 100.0)
