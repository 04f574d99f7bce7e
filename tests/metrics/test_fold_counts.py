"""Which classes of a fold are counted, and which of them no query shows."""

from __future__ import annotations

import pandas as pd
import pytest

from fssbench.errors import UsageError
from fssbench.metrics.fold_counts import COLUMNS, CountingRules, count_folds

BASE = ((7, 5, 20, 10), (9, 0, 10, 0))
"""Two base classes with what is counted of them; the second has no true pixel."""


def rows(*episodes: dict[str, object]) -> pd.DataFrame:
    """Return a row for each episode: 1-way, class 3, fold 0, where it says nothing else."""
    one = {"fold": 0, "query": "a", "classes": (3,), "intersection": (1, 1), "union": (2, 2)}
    return pd.DataFrame([one | {"present": (True,), "truth": (True,)} | episode for episode in episodes])


@pytest.mark.parametrize(
    "episode",
    [{"truth": (False,)}, {"union": (2, 0)}, {"lost_query": (True,)}],
    ids=["not in the query", "nothing counted", "lost when resized"],
)
def test_a_class_without_a_true_pixel_in_any_query_is_named(episode: dict[str, object]) -> None:
    lost = {"lost_query": (False,)} if "lost_query" in episode else {}
    seen, unseen = {"classes": (1,)} | lost, {"classes": (3,)} | episode
    assert count_folds(rows(seen, unseen), CountingRules())[0].without_truth == (3,)
    for order in ([seen, unseen, {"classes": (3,)} | lost], [{"classes": (3,)} | lost, unseen, seen]):
        assert count_folds(rows(*order), CountingRules())[0].without_truth == (), "one query shows it"


def test_classes_without_a_true_pixel_are_sorted_and_of_their_fold() -> None:
    frame = rows(*({"fold": fold, "classes": (label,), "truth": (False,)} for fold, label in ((1, 9), (0, 4), (0, 2))))
    assert [one.without_truth for one in count_folds(frame, CountingRules())] == [(2, 4), (9,)]


def test_the_first_column_that_is_missing_is_named() -> None:
    with pytest.raises(UsageError, match=f"has the column '{COLUMNS[1]}', this one has fold, classes, intersection"):
        count_folds(rows({}).drop(columns=["query", "truth"]), CountingRules())


@pytest.mark.parametrize("classes", [None, (7, 9)])
@pytest.mark.parametrize("absent_as_zero", [None, False, True])
def test_base_classes_that_are_absent_count_zero_where_they_are_given(
    classes: tuple[int, ...] | None, absent_as_zero: bool | None
) -> None:
    counting = CountingRules(base_classes=classes, absent_as_zero=absent_as_zero)
    (fold,) = count_folds(rows({"base": BASE}), counting)
    zero = classes is not None if absent_as_zero is None else absent_as_zero
    assert fold.ratios().base_miou == pytest.approx(100 * 5 / 20 / 2 if zero else 100 * 5 / 20)
    assert fold.ratios().total_miou is None, "novel and base classes were predicted apart"
