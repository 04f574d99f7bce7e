"""The permutation test: exact values of small cases, scipy's, and how often it errs."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from fssbench.comparison.permutation import holm, permutation_p, swaps, undecided
from fssbench.metrics.fold_counts import FoldCounts
from tests.comparison.simulation import simulate


def test_p_values_are_those_of_scipy() -> None:
    # Nine images: scipy goes through all 2⁹ ways to swap them.
    generator = np.random.default_rng(5)
    asked = simulate.images(generator, 1, 9)
    mine, theirs = (simulate.counts_of(simulate.answers(generator, asked, skill=skill)) for skill in (0.0, 0.3))
    counts = np.concatenate([mine.sums[:, :2], theirs.sums[:, :2]])

    def difference(one: np.ndarray, other: np.ndarray, axis: int) -> np.ndarray:
        sums = [
            counts[places.astype(int)].sum(axis=-2)
            for places in (np.moveaxis(one, axis, -1), np.moveaxis(other, axis, -1))
        ]
        return 100 * (sums[1][..., 0] / sums[1][..., 1] - sums[0][..., 0] / sums[0][..., 1])

    exact = scipy.stats.permutation_test(
        (np.arange(9), np.arange(9, 18)), difference, permutation_type="samples", vectorized=True, n_resamples=np.inf
    )
    (chance,) = swaps([(FoldCounts(mine), FoldCounts(theirs))], 40_000, generator)
    assert 0.01 < exact.pvalue < 0.9
    # scipy doubles the smaller tail; ours counts both as they are. Both are symmetric here.
    assert permutation_p(float(exact.statistic), chance["miou"]) == pytest.approx(exact.pvalue, abs=0.01)


def test_the_test_errs_as_seldom_as_it_says() -> None:
    repetitions = 300
    called, left_out = simulate.errors(5, 15, repetitions, draws=99)
    high = scipy.stats.binom.ppf(0.999, repetitions, 0.05) / repetitions
    low = scipy.stats.binom.ppf(0.001, repetitions, 0.05) / repetitions
    assert low <= called <= high
    assert left_out <= high


def test_a_better_method_is_found() -> None:
    called, _ = simulate.errors(
        5, 15, 20, draws=99, other=lambda generator, asked: simulate.answers(generator, asked, skill=2.0)
    )
    assert called >= 0.9


def test_p_is_never_0_and_1_where_nothing_differs() -> None:
    assert permutation_p(50.0, np.array([1.0, -2.0, 3.0])) == 0.25
    assert permutation_p(0.0, np.zeros(3)) == 1.0
    assert permutation_p(3.0, np.array([1.0, -3.0, 3.0])) == 0.75


def test_differences_of_less_than_a_percentage_point_are_told_apart() -> None:
    chance = np.array([0.5, -0.2, 0.99, 1.0 - 1e-12, -1.0 + 1e-12])
    assert permutation_p(1.0, chance) == (1 + 2) / (1 + 5), "but not those of rounding"
    assert undecided(np.array([0.5, -0.6])) == ""
    assert undecided(np.array([0.5, -0.5 - 1e-12])) == "every swap of predictions leaves a difference of the same size"
    assert undecided(np.array([1e-12, 0.0])) == "no swap of predictions changes a number"


def test_one_coin_serves_all_episodes_of_an_image() -> None:
    # The same image in two folds: never is one swapped without the other.
    counts = [np.array([[[50, 100, 10, 10, 1, 1]]]), np.array([[[90, 100, 10, 10, 1, 1]]])]
    pair = tuple(FoldCounts(simulate.counts_of(its)) for its in counts)
    first, second = swaps([pair, pair], 200, np.random.default_rng(0))
    assert first["miou"].tolist() == second["miou"].tolist()
    assert set(first["miou"].round(9).tolist()) == {40.0, -40.0}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.01], [0.01]),
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.02, 0.02], [0.04, 0.04]),
        ([0.6, 0.9], [1.0, 1.0]),
        ([], []),
    ],
)
def test_holm(values: list[float], expected: list[float]) -> None:
    assert holm(values) == pytest.approx(expected)


def test_what_only_the_order_of_additions_makes_is_as_large() -> None:
    assert permutation_p(0.1 + 0.2, np.array([0.3, -0.3, 0.2, 0.0])) == 0.6
