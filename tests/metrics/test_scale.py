"""Sums of the largest counts are exact, from the row to the file; beyond them there is a sentence."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fssbench.errors import UsageError
from fssbench.metrics.columns import EpisodeColumns, count_columns
from fssbench.metrics.counts import MAX_SUM
from fssbench.metrics.fold_counts import CountingRules, count_folds
from fssbench.metrics.summary import summarise, summary_of
from fssbench.results import Row
from fssbench.results.rows import MAX_PIXELS, frame_of, line_of, read_rows
from fssbench.results.summary import summary_record

PIXELS, EPISODES = 10**9, 10**6


def columns_of(count: int, both: tuple[int, int], either: tuple[int, int]) -> EpisodeColumns:
    ones = np.ones((count, 1), dtype=bool)
    numbers = np.arange(count)
    zeros = np.zeros((count, 1), dtype=np.int64)
    return EpisodeColumns(
        fold=np.zeros(count, dtype=np.int64),
        episode=numbers,
        query=np.array([b"a", b"b"])[numbers % 2],
        classes=zeros + 1,
        intersection=np.tile(np.array(both, dtype=np.int64), (count, 1)),
        union=np.tile(np.array(either, dtype=np.int64), (count, 1)),
        present=ones,
        truth=ones,
        lost_supports=zeros,
        lost_query=~ones,
    )


@pytest.mark.slow
def test_a_million_episodes_of_a_thousand_million_pixels_are_summed_exactly() -> None:
    (counts,) = count_columns(columns_of(EPISODES, (PIXELS - 1, PIXELS - 3), (PIXELS, PIXELS - 2)))
    sums = counts.total.sums.sum(axis=0).tolist()
    assert sums[:4] == [EPISODES * (PIXELS - 3), EPISODES * (PIXELS - 2), EPISODES * (PIXELS - 1), EPISODES * PIXELS]
    # More than the whole numbers that floating-point numbers of 64 bits tell apart, of 32 bits all the more.
    assert sums[1] > 1 << 49
    assert counts.ratios().miou == pytest.approx(100 * (PIXELS - 3) / (PIXELS - 2), rel=1e-15, abs=0)


def near_the_limit(count: int) -> pd.DataFrame:
    """Rows whose unions sum up to just below the limit: 2^62 less one pixel."""
    each = MAX_SUM // (2 * count)
    rows = [
        Row(n, 0, f"q{n}", (1,), (("s",),), (each - 1, each - 3), (each, each - (n == 0)), (True,), (True,), 0.1)
        for n in range(count)
    ]
    return frame_of(rows)


def test_sums_near_the_limit_are_exact_in_tables_and_files() -> None:
    frame = near_the_limit(4)
    expected = sum(union[1] for union in frame["union"])
    assert sum(map(sum, frame["union"])) == MAX_SUM - 1
    summary = summarise(frame, draws=20)
    (row,) = summary.per_class.to_dict("records")
    assert (row["union"], summary.per_class["union"].dtype) == (expected, np.int64)
    assert int(summary.per_class["union"].sum()) == expected
    record = json.loads(json.dumps(summary_record(summary), allow_nan=False))
    assert record["per_class"][0]["union"] == expected
    text = summary.per_class.to_csv(index=False)
    assert int(next(csv.DictReader(io.StringIO(text)))["union"]) == expected
    assert int(pd.read_csv(io.StringIO(text))["union"].iloc[0]) == expected


def test_beyond_the_limit_nothing_overflows_silently() -> None:
    frame = near_the_limit(4)
    more = frame.assign(union=[(union[0], union[1] + 1) for union in frame["union"]])
    with pytest.raises(UsageError, match=r"fold 0 counts 46116860184273879\d\d pixels, more than images can have"):
        summarise(more, draws=0)
    each = MAX_SUM // 8
    with pytest.raises(UsageError, match="counts more pixels than images can have"):
        count_columns(columns_of(4, (1, 1), (each, each)))


def test_a_row_keeps_the_largest_counts_through_its_file(tmp_path: Path) -> None:
    row = Row(0, 0, "q", (1,), (("s",),), (MAX_PIXELS - 1, 7), (MAX_PIXELS, MAX_PIXELS - 1), (True,), (True,), 0.1)
    path = tmp_path / "rows.jsonl"
    path.write_text(f"{line_of(row)}\n")
    (found,) = read_rows(path)
    assert (found.intersection, found.union) == (row.intersection, row.union)
    (counts,) = count_folds(frame_of([found]), CountingRules(None))
    assert counts.total.sums[0, :4].tolist() == [7, MAX_PIXELS - 1, MAX_PIXELS - 1, MAX_PIXELS]
    assert summary_of([counts], draws=2).miou == pytest.approx(100 * 7 / (MAX_PIXELS - 1), rel=1e-15, abs=0)
