"""Draws of several counts together, and that they do not depend on how they are computed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fssbench.metrics import bootstrap
from fssbench.metrics.bootstrap import blocks, clusters_of, degrees_of_freedom, totals_of
from fssbench.metrics.counts import ClusterCounts

DRAWS, SEED = 200, (7, 0)


def counts_of(*clusters: tuple[int, str], seed: int = 0) -> ClusterCounts:
    """Return counts of two classes in these clusters."""
    sums = np.random.default_rng(seed).integers(1, 50, (len(clusters), 8))
    return ClusterCounts(0, (1, 2), tuple(clusters), sums, np.array([len(clusters)] * 2))


def test_methods_with_other_queries_get_the_draws_of_all_queries() -> None:
    first = counts_of((1, "a"), (1, "b"), (2, "a"), (2, "d"))
    second = counts_of((1, "b"), (1, "c"), (2, "a"), (2, "d"), (2, "e"), seed=1)
    every = clusters_of([first, second])
    assert every == [(1, "a"), (1, "b"), (1, "c"), (2, "a"), (2, "d"), (2, "e")]
    assert degrees_of_freedom([first, second]) == 6 - 2
    clusters, whole = tuple(every), []
    for part in (first, second):
        sums = np.zeros((len(every), 8), dtype=np.int64)
        sums[[every.index(cluster) for cluster in part.clusters]] = part.sums
        whole.append(replace(part, clusters=clusters, sums=sums))
    found, expected = totals_of([first, second], DRAWS, SEED), totals_of(whole, DRAWS, SEED)
    for drawn, wanted in zip(found, expected, strict=True):
        assert drawn.shape == (DRAWS, 8)
        assert drawn.tolist() == wanted.tolist()


def test_sums_that_no_metric_needs_are_not_known() -> None:
    counts = counts_of((1, "a"), (1, "b"), (2, "a"), (2, "d"))
    (found,) = totals_of([counts], DRAWS, SEED, measures=("miou",))
    needed = counts.needed_for(("miou",))
    assert 0 < needed.sum() < 8
    assert np.isnan(found).all(axis=0).tolist() == (~needed).tolist()


@pytest.mark.parametrize(("name", "value"), [("_KEPT", 0), ("_ONE_THREAD", 1)])
def test_draws_do_not_depend_on_how_they_are_computed(name: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = counts_of(*((label, f"{number}") for label in (1, 2) for number in range(9)))
    (expected,) = totals_of([counts], DRAWS, SEED)
    monkeypatch.setattr(bootstrap, name, value)
    bootstrap._kept_weights.cache_clear()
    (found,) = totals_of([counts], DRAWS, SEED)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    (drawn,) = totals_of([counts], DRAWS, np.random.default_rng(list(SEED)))
    np.testing.assert_allclose(drawn, expected, rtol=1e-12)


def test_weights_that_are_kept_cannot_be_changed() -> None:
    (kept,) = bootstrap._kept_weights((3, 4), 5, SEED)
    assert [weights.shape for weights in kept] == [(5, 3), (5, 4)]
    assert not any(weights.flags.writeable for weights in kept)
    assert bootstrap._kept_weights((3, 4), 5, SEED)[0] is kept, "drawn once"


@pytest.mark.parametrize(
    ("draws", "width", "expected"),
    [(300, 1000, [131, 131, 38]), (3, 1 << 18, [1, 1, 1]), (5, 0, [5]), (1 << 18, 1, [1 << 17, 1 << 17])],
)
def test_draws_are_held_in_blocks(draws: int, width: int, expected: list[int]) -> None:
    assert list(blocks(draws, width)) == expected
