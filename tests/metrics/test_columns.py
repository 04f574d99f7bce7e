"""Counts from columns at the edges: the largest sums, classes that are not known, classes that no query shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fssbench.errors import UsageError
from fssbench.metrics.columns import EpisodeColumns, count_columns
from fssbench.metrics.counts import MAX_SUM


def columns(*classes: int) -> EpisodeColumns:
    """Return 1-way episodes of these classes, of one query each."""
    count = len(classes)
    zeros, ones = np.zeros((count, 1), dtype=np.int64), np.ones((count, 1), dtype=bool)
    return EpisodeColumns(
        fold=np.zeros(count, dtype=np.int64),
        episode=np.arange(count),
        query=np.array([f"q{number}".encode() for number in range(count)]),
        classes=np.array(classes, dtype=np.int64)[:, None],
        intersection=np.ones((count, 2), dtype=np.int64),
        union=np.full((count, 2), 2, dtype=np.int64),
        present=ones,
        truth=ones,
        lost_supports=zeros,
        lost_query=~ones,
    )


def test_sums_that_might_overflow_are_refused() -> None:
    one = columns(3)
    assert count_columns(replace(one, union=np.array([[1, MAX_SUM // 2 - 1]])))[0].total.episodes == 1
    with pytest.raises(UsageError, match="fold 0 counts more pixels than images can have"):
        count_columns(replace(one, union=np.array([[1, MAX_SUM // 2]])))


def test_the_lowest_class_that_is_not_known_is_named() -> None:
    with pytest.raises(UsageError, match=r"fold 0 has episodes of class 5, which is not among its classes \[3, 4\]"):
        count_columns(columns(9, 3, 5), {0: (4, 3)})


@pytest.mark.parametrize(("union", "without"), [(0, (3,)), (1, ())])
def test_a_class_of_which_no_pixel_is_counted_is_in_no_query(union: int, without: tuple[int, ...]) -> None:
    found = columns(3, 4)
    found.intersection[0, 1], found.union[0, 1] = 0, union
    assert count_columns(found)[0].without_truth == without
