"""Runs that are read by columns have the counts that their rows have, and any other line is left to the slow way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fssbench.metrics.columns import count_columns
from fssbench.metrics.fold_counts import CountingRules, count_folds
from fssbench.metrics.summary import summary_of
from fssbench.results import counted
from fssbench.results.lost import lost_in
from fssbench.results.rows import Row, frame_of, line_of, read_rows


def rows_of(way: int, shot: int, count: int, seed: int, *, photos: bool = False) -> list[Row]:
    """Return rows of two folds in any order; some lose objects, some have one query twice."""
    chance = np.random.default_rng(seed)
    found = []

    def below(end: int) -> int:
        return int(chance.integers(end))

    for number in range(count):
        union = tuple(below(5000) for _ in range(way + 1))
        truth = tuple(bool(chance.random() < 0.8) for _ in range(way))
        lost = tuple(bool(there and chance.random() < 0.2) for there in truth)
        names = tuple(tuple(f"s {below(9)}" for _ in range(shot)) for _ in range(way))
        supports = tuple(below(shot + 1) for _ in range(way))
        found.append(
            Row(
                episode=number // 2,
                fold=number % 2,
                query=f"q{below(count // 3)}",
                classes=tuple(int(value) for value in chance.permutation(range(1, 9))[:way]),
                supports=names,
                intersection=tuple(below(pixels + 1) for pixels in union),
                union=union,
                present=tuple(bool(chance.random() < 0.5) for _ in range(way)),
                truth=truth,
                seconds=(0.0, 1e-06, 0.25, 12.5, 3e-05)[below(5)],
                photos=("0" * 12,) * (1 + way * shot) if photos else None,
                lost_supports=supports if any(supports) else None,
                lost_query=lost if any(lost) else None,
            )
        )
    return [found[place] for place in chance.permutation(count)]


def written(path: Path, rows: list[Row], end: str = "") -> Path:
    path.write_text("".join(f"{line_of(row)}\n" for row in rows) + end)
    return path


@pytest.mark.parametrize(("way", "shot"), [(1, 1), (1, 5), (2, 1), (3, 2)])
@pytest.mark.parametrize("classes", [None, {0: range(1, 10), 1: range(1, 9)}])
def test_counts_are_those_of_the_rows(way: int, shot: int, classes: dict[int, range] | None, tmp_path: Path) -> None:
    rows = rows_of(way, shot, 60, seed=way, photos=shot > 1)
    path = written(tmp_path / "rows.jsonl", rows, '{"episode":12,"fold"')
    columns = counted.read_columns(path, way, shot)
    assert columns is not None
    frame = frame_of(read_rows(path))
    expected, found = count_folds(frame, CountingRules(classes)), count_columns(columns, classes)
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.runs, ours.without_truth) == (theirs.runs, theirs.without_truth)
        for name in ("fold", "classes", "clusters", "base"):
            assert getattr(ours.total, name) == getattr(theirs.total, name)
        for name in ("sums", "episodes_per_class"):
            np.testing.assert_array_equal(getattr(ours.total, name), getattr(theirs.total, name))
            assert getattr(ours.total, name).dtype == np.int64
    assert summary_of(found, draws=20).intervals == summary_of(expected, draws=20).intervals
    for task in ("fss", "fscs"):
        for fold in (0, 1):
            run = counted.CountedRun(_run(shot, task), columns)
            assert run.lost(fold) == lost_in(frame[frame["fold"] == fold], task)


def _run(shot: int, task: str):
    from types import SimpleNamespace

    return SimpleNamespace(shot=shot, has_absent=False, protocol=SimpleNamespace(task=task))


ROW = rows_of(1, 1, 6, seed=3)[0]
LINE = line_of(replace(ROW, lost_supports=None, lost_query=None, seconds=0.5))


@pytest.mark.parametrize(
    "line",
    [
        LINE.replace('"episode":', '"episode": '),
        LINE.replace('"episode":', '"episode":0'),
        LINE.replace('"episode":', '"episode":-'),
        LINE.replace('"seconds":0.5', '"seconds":NaN'),
        LINE.replace('"seconds":0.5', '"seconds":0.5,"more":1'),
        LINE.replace('"seconds":0.5', '"seconds":0.5,"base":[[1,2,3,3]]'),
        LINE.replace('"query":"', '"query":"\\u00e9'),
        LINE.replace('"query":"', '"query":"\0'),
        LINE.replace("[true]", "[1]"),
        LINE.replace("[true]", "[true,false]"),
        LINE.replace('"classes":[', '"classes":[70000'),
        LINE + LINE,
        LINE + "\r",
        LINE[:-1],
        "",
        "\0" * 40,
        line_of(replace(ROW, intersection=(3, 3), union=(2, 3))),
        line_of(replace(ROW, union=(1 << 42, 9), intersection=(0, 0))),
        line_of(replace(ROW, episode=1 << 31)),
        line_of(replace(ROW, lost_supports=(2,), lost_query=None)),
        line_of(replace(ROW, lost_query=(True,), truth=(False,))),
        line_of(rows_of(1, 2, 6, seed=3)[0]),
        line_of(rows_of(2, 1, 6, seed=3)[0]),
        line_of(ROW),
    ],
)
def test_a_line_of_another_form_is_left_to_the_slow_way(line: str, tmp_path: Path) -> None:
    path = written(tmp_path / "rows.jsonl", [ROW])
    assert counted.read_columns(path, 1, 1) is not None
    with path.open("a") as file:
        file.write(line + "\n")
    assert counted.read_columns(path, 1, 1) is None


def test_what_is_not_there_or_empty(tmp_path: Path) -> None:
    assert counted.read_columns(tmp_path / "rows.jsonl", 1, 1) is None
    assert counted.read_columns(written(tmp_path / "rows.jsonl", [], "{"), 1, 1) is None
