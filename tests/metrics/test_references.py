"""What references show, against numbers by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fssbench.errors import UsageError
from fssbench.metrics.references import chosen_rows, study_references

UNION = 1000


def frame(ious: dict[tuple[int, str], list[float]], fold: int = 0) -> pd.DataFrame:
    """Rows of 1-way episodes: for each class and query the IoU, in per cent, with each reference."""
    keys, count = list(ious), len(next(iter(ious.values())))
    rows = [
        {
            "fold": fold,
            "episode": r * len(keys) + place,
            "query": query,
            "classes": (class_id,),
            "supports": ((f"s{r}",),),
            "intersection": (UNION, round(10 * ious[class_id, query][r])),
            "union": (UNION, UNION),
            "present": (True,),
            "truth": (True,),
        }
        for r in range(count)
        for place, (class_id, query) in enumerate(keys)
    ]
    return pd.DataFrame(rows)


IOUS = {(1, "a"): [10.0, 30.0, 50.0], (1, "b"): [40.0, 60.0, 80.0], (2, "a"): [20.0, 20.0, 80.0]}


def test_queries_classes_and_the_list_by_hand() -> None:
    study = study_references(frame(IOUS), {0: 3}, 3)
    first = study.queries[0]
    assert (first.query, first.mean, first.std, first.worst, first.best) == ("a", 30.0, 20.0, 10.0, 50.0)
    assert (first.worst_supports, first.best_supports) == (("s0",), ("s2",))
    one, two = study.classes
    assert (one.class_id, one.queries, one.mean, one.std, one.worst, one.best) == (1, 2, 45.0, 20.0, 25.0, 65.0)
    assert (two.mean, two.worst, two.best) == (40.0, 20.0, 80.0)
    total = study.total
    # All unions are equal: the IoU of class 1 is the mean of its queries. References: (25 + 20) / 2, ...
    assert (total.queries, total.lowest, total.highest) == (3, 22.5, 72.5)
    assert total.miou == pytest.approx((22.5 + 32.5 + 72.5) / 3)
    assert total.std == pytest.approx(np.std([22.5, 32.5, 72.5], ddof=1))
    assert (total.worst, total.best) == (22.5, 72.5)
    assert study.left_out == 0


def test_folds_and_rows_in_any_order() -> None:
    both = pd.concat([frame(IOUS), frame({(3, "c"): [50.0, 50.0, 50.0], (4, "d"): [0.0, 10.0, 20.0]}, fold=1)])
    study = study_references(both.sample(frac=1, random_state=0), {0: 3, 1: 2}, 3)
    assert [fold.fold for fold in study.folds] == [0, 1, None]
    assert study.total.miou == pytest.approx(np.mean([fold.miou for fold in study.folds[:2]]))
    assert study.total.std == pytest.approx(np.std([(22.5 + 25) / 2, (32.5 + 30) / 2, (72.5 + 35) / 2], ddof=1))
    assert study.total.best == pytest.approx((72.5 + 35) / 2)


def test_queries_without_all_their_rows_are_left_out() -> None:
    rows = frame(IOUS)
    study = study_references(rows[rows["episode"] != 4], {0: 3}, 3)
    assert study.left_out == 1
    assert [one.query for one in study.queries] == ["a", "a"]
    with pytest.raises(UsageError, match="no query has a row"):
        study_references(rows[rows["episode"] < 3], {0: 3}, 3)


def test_absent_and_lost_classes_are_no_query_but_count_in_the_list() -> None:
    rows = frame(IOUS)
    rows["truth"] = [(query != "b",) for query in rows["query"]]
    study = study_references(rows, {0: 3}, 3)
    assert [one.query for one in study.queries] == ["a", "a"]
    assert study.total.queries == 3
    lost = frame(IOUS).assign(lost_query=[(True,) if query == "b" else None for query in rows["query"]])
    assert [one.query for one in study_references(lost, {0: 3}, 3).queries] == ["a", "a"]


def test_of_equal_references_the_worst_has_most_false_positives() -> None:
    rows = frame({(1, "a"): [0.0, 0.0, 0.0]})
    rows["union"] = [(UNION, 10), (UNION, 30), (UNION, 20)]
    assert chosen_rows(rows, {0: 1}, best=False)["episode"].tolist() == [1]
    assert chosen_rows(rows, {0: 1}, best=True)["episode"].tolist() == [0]
