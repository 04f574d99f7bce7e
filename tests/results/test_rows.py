"""Rows on disk: whole or not at all."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.results import Row, read_rows
from fssbench.results.rows import RowWriter, frame_of, line_of

ROW = Row(
    episode=0,
    fold=2,
    query="val2014/COCO_val2014_000000000139.jpg",
    classes=(3, 17),
    supports=(("a", "b"), ("c", "d")),
    intersection=(159_000, 0, 2**40),
    union=(160_000, 12, 2**41),
    present=(True, False),
    truth=(False, False),
    seconds=0.123456,
)
NEXT = replace(ROW, episode=1)
ROWS = [replace(ROW, episode=number, query=f"bild-{number}-é") for number in range(3)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    with RowWriter(path) as writer:
        for row in ROWS:
            writer.append(row)
    return path


def test_rows_come_back_as_they_were(path: Path) -> None:
    assert read_rows(path) == ROWS


def test_a_line_is_plain_json(path: Path) -> None:
    record = json.loads(path.read_text("ascii").splitlines()[0])
    assert list(record) == [
        "episode", "fold", "query", "classes", "supports", "intersection", "union", "present", "truth", "seconds",
    ]  # fmt: skip
    assert record["supports"] == [["a", "b"], ["c", "d"]]


def test_digests_of_photos_are_read_where_they_are(path: Path) -> None:
    known = replace(ROW, photos=("0a", "1b", "2c", "3d", "4e"))
    path.write_text(f"{line_of(known)}\n{line_of(ROWS[1])}\n")
    assert read_rows(path) == [known, ROWS[1]]
    assert frame_of([known, ROWS[1]])["photos"].tolist() == [known.photos, None]
    path.write_text(f"{line_of(replace(known, photos=known.photos[:4]))}\n")
    with pytest.raises(BrokenFileError, match=r"line 1 .*number of digests is not its number of photos"):
        read_rows(path)


def test_wherever_a_write_was_cut_the_whole_rows_remain(path: Path) -> None:
    raw = path.read_bytes()
    for cut in range(len(raw) + 1):
        path.write_bytes(raw[:cut])
        whole = raw[:cut].count(b"\n")
        assert read_rows(path) == ROWS[:whole]


@pytest.mark.parametrize("left", [0, 1, 40])
def test_a_torn_line_is_cut_off_before_the_next_is_written(path: Path, left: int) -> None:
    raw = path.read_bytes()
    end = raw.rstrip(b"\n").rfind(b"\n") + 1
    path.write_bytes(raw[: end + left])
    with RowWriter(path) as writer:
        writer.append(ROWS[2])
    assert path.read_bytes() == raw


def test_a_long_torn_line_too(path: Path) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw + b"x" * 200_000)
    RowWriter(path).close()
    assert path.read_bytes() == raw
    path.write_bytes(b"x" * 200_000)
    RowWriter(path).close()
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "{}",
        "[]",
        line_of(NEXT).replace("{", '{"extra":1,'),
        line_of(NEXT).replace('"fold":2', '"fold":"2"'),
        line_of(NEXT).replace('"fold":2', '"fold":2.0'),
        line_of(NEXT).replace("0.123456", "NaN"),
        line_of(replace(NEXT, fold=-1)),
        line_of(replace(NEXT, episode=-1)),
        line_of(replace(NEXT, seconds=-0.1)),
        line_of(replace(NEXT, classes=(), supports=(), present=(), truth=(), intersection=(1,), union=(1,))),
        line_of(replace(NEXT, supports=(("a", "b"),))),
        line_of(replace(NEXT, truth=(True, False, True))),
        line_of(replace(NEXT, intersection=(1, 2))),
        line_of(replace(NEXT, intersection=(-1, 0, 0))),
        line_of(replace(NEXT, present=(True,))),
        line_of(replace(NEXT, union=(1, 2))),
        line_of(replace(NEXT, intersection=(0, 13, 0))),
        line_of(replace(ROWS[0])),
        line_of(replace(NEXT, union=(160_000, 12, 2**62))),
        line_of(replace(NEXT, intersection=(0, 0, 10**30), union=(1, 1, 10**30))),
        line_of(replace(NEXT, union=(2**41 + 1, 12, 2**41))),
        line_of(replace(NEXT, base=((5, 1, 10**30, 2),))),
        line_of(replace(NEXT, base=((10**30, 1, 2, 2),))),
        line_of(replace(NEXT, classes=(3, 65_536))),
        line_of(replace(NEXT, classes=(-3, 17))),
        line_of(replace(NEXT, episode=10**30)),
        line_of(replace(NEXT, fold=2**31)),
        line_of(replace(NEXT, episode=2**31)),
        line_of(NEXT).replace("0.123456", "1e400"),
        line_of(NEXT).replace("159000", "9" * 5000),
        "",
    ],
)
def test_any_other_bad_line_is_named(path: Path, line: str) -> None:
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], line, lines[2], ""]))
    with pytest.raises(
        BrokenFileError, match=r"rows\.jsonl, line 2( is not a row|: fold 2, episode 0 is in line 1 already)"
    ):
        read_rows(path)


def test_a_bad_last_line_with_its_end_is_no_torn_one(path: Path) -> None:
    path.write_text(path.read_text() + '{"episode":\n')
    with pytest.raises(BrokenFileError, match="line 4"):
        read_rows(path)


def test_two_runs_do_not_write_to_one_file(path: Path) -> None:
    with RowWriter(path), pytest.raises(UsageError, match="another run is writing"):
        RowWriter(path)
    RowWriter(path).close()


def test_the_frame_is_by_fold_and_episode() -> None:
    frame = frame_of([replace(ROW, fold=1, episode=0), *reversed(ROWS), replace(ROW, fold=1, episode=10)])
    assert frame[["fold", "episode"]].to_numpy().tolist() == [[1, 0], [1, 10], [2, 0], [2, 1], [2, 2]]
    assert frame["classes"].tolist()[0] == (3, 17)
    assert frame_of([]).dtypes["episode"] == "int64"
    assert list(frame_of([]).columns) == list(frame.columns)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no file of rows"):
        read_rows(tmp_path / "none.jsonl")
    with pytest.raises(UsageError, match="can't write"):
        RowWriter(tmp_path / "gone" / "rows.jsonl")


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_write_that_the_system_cuts_short_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: Path, size: int
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:size]))
    with RowWriter(tmp_path / "short.jsonl") as writer:
        for row in ROWS:
            writer.append(row)
    assert (tmp_path / "short.jsonl").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "counts",
    [(3, 2, 5), (-1, 5, 2), (2, 5, 1), (2, 5, 6), (0, 5, -1)],
    ids=["above", "negative", "missed", "part", "none"],
)
def test_counts_of_a_base_class_fit_each_other(path: Path, counts: tuple[int, int, int]) -> None:
    good = replace(ROW, base=((5, 2, 5, 3), (6, 0, 4, 0), (7, 0, 4, 4), (8, 4, 4, 4)))
    path.write_text(line_of(good) + "\n")
    assert read_rows(path) == [good]
    path.write_text(line_of(replace(good, base=(*good.base[:3], (8, *counts)))) + "\n")
    with pytest.raises(BrokenFileError, match="a base class has inconsistent counts"):
        read_rows(path)


def test_what_is_at_its_bound_is_a_row(path: Path) -> None:
    largest = replace(
        NEXT, fold=2**31 - 1, episode=2**31 - 1, classes=(0, 65_535), union=(2**41, 12, 2**41), seconds=0.0,
        base=((65_535, 2**41, 2**41, 2**41),),
    )  # fmt: skip
    # One episode's number in two folds.
    rows = [ROW, replace(ROW, fold=3), largest]
    path.write_text("".join(line_of(row) + "\n" for row in rows))
    assert read_rows(path) == rows


@pytest.mark.parametrize("turn", [1, -1])
def test_a_frame_of_rows_with_and_without_base_classes_has_their_column(turn: int) -> None:
    rows = [ROW, replace(ROW, episode=1, query="zzz", base=((5, 1, 2, 2),))]
    counts = [row.base for row in rows][::turn]
    frame = frame_of([replace(row, base=base) for row, base in zip(rows, counts, strict=True)])
    assert frame["base"].tolist() == counts


def test_what_is_lost_by_resizing_is_read_where_it_is(path: Path) -> None:
    lost = replace(ROW, lost_supports=(0, 2), truth=(True, False), lost_query=(True, False))
    path.write_text(f"{line_of(lost)}\n{line_of(ROWS[1])}\n")
    assert read_rows(path) == [lost, ROWS[1]]
    assert frame_of([lost, ROWS[1]])["lost_query"].tolist() == [(True, False), None]
    for wrong in (
        {"lost_supports": (0, 3)},
        {"lost_supports": (1,)},
        {"lost_query": (True,)},
        {"lost_query": (True, True)},
    ):
        path.write_text(f"{line_of(replace(lost, **wrong))}\n")
        with pytest.raises(BrokenFileError, match=r"line 1 .*lost"):
            read_rows(path)
