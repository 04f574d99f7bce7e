"""Rows read from disk: whole, or with what is wrong in which line."""

from __future__ import annotations

import errno
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from fssbench.errors import BrokenFileError, MissingError
from fssbench.results import read_rows
from fssbench.results import rows as module
from fssbench.results.rows import BadLine, frame_of, line_of, lines_of
from tests.results.example_rows import NEXT, ROW, ROWS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{line_of(row)}\n" for row in ROWS))
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
    ends = [place + 1 for place, byte in enumerate(raw) if byte == ord("\n")]
    for cut in {*range(0, len(raw), 17), *(end + step for end in ends for step in (-2, -1, 0, 1))} - {ends[-1] + 1}:
        path.write_bytes(raw[:cut])
        whole = raw[:cut].count(b"\n")
        assert read_rows(path) == ROWS[:whole]


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


def test_the_frame_is_by_fold_and_episode() -> None:
    frame = frame_of([replace(ROW, fold=1, episode=0), *reversed(ROWS), replace(ROW, fold=1, episode=10)])
    assert frame[["fold", "episode"]].to_numpy().tolist() == [[1, 0], [1, 10], [2, 0], [2, 1], [2, 2]]
    assert frame["classes"].tolist()[0] == (3, 17)
    assert frame_of([]).dtypes["episode"] == "int64"
    assert list(frame_of([]).columns) == list(frame.columns)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no file of rows"):
        read_rows(tmp_path / "none.jsonl")


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


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"intersection": (1, 2)}, ": a row of 2 classes needs 3 counts"),
        ({"classes": (-1, 17)}, ": a class that is not a label value, 0 to 65535"),
        (
            {"lost_supports": (-1, 0)},
            ": more lost supports than supports, or lost supports for another number of classes",
        ),
        ({"predicted": (1,)}, ": predicted pixels for another number of classes"),
        ({"predicted": (13, 2**40)}, ": fewer predicted pixels than intersection, or more than union"),
        ({"predicted": (0, 2**40 - 1)}, ": fewer predicted pixels than intersection, or more than union"),
        (
            {"predicted": (2**41 + 1, 2**40), "union": (160_000, 0, 2**41)},
            ": fewer predicted pixels than intersection, or more than union",
        ),
    ],
)
def test_what_does_not_fit_is_named(path: Path, wrong: dict[str, Any], fault: str) -> None:
    path.write_text(line_of(replace(ROW, **wrong)) + "\n")
    assert list(lines_of(path)) == [(1, BadLine(1, fault, foreign=False))]


def test_predicted_pixels_are_between_intersection_and_union(path: Path) -> None:
    left_out = replace(ROW, episode=2, union=(160_000, 0, 2**41), predicted=(2**41, 2**41))
    rows = [replace(ROW, predicted=(0, 2**40)), replace(NEXT, predicted=(12, 2**41)), left_out]
    path.write_text("".join(f"{line_of(row)}\n" for row in rows))
    assert read_rows(path) == rows


def test_the_first_of_several_faults_is_named_and_only_an_unknown_field_is_foreign(path: Path) -> None:
    good = line_of(ROW)
    lines = [
        good.replace('"fold":2', '"fold":"2"').replace("0.123456", '"soon"'),
        good.replace("{", '{"extra":1,'),
        good[:-1],
    ]
    path.write_text("\n".join([*lines, ""]))
    typed, extra, cut = (line for _, line in lines_of(path))
    assert isinstance(extra, BadLine)
    assert (str(typed), extra.foreign) == ("line 1 is not a row (fold): Input should be a valid integer", True)
    assert str(cut).startswith("line 3 is not a row: Invalid JSON: EOF while parsing an object")
    assert [isinstance(line, BadLine) and line.foreign for line in (typed, cut)] == [False, False]


@pytest.mark.parametrize("times", range(1, 8))
def test_a_field_that_occurs_again_is_named(path: Path, times: int) -> None:
    path.write_text(line_of(ROW).replace('"fold":2', ",".join(['"fold":2'] * (times + 1))) + "\n")
    [(_, line)] = lines_of(path)
    assert isinstance(line, BadLine)
    assert "'fold'" in line.fault
    assert not line.foreign


def test_only_lines_with_more_colons_than_fields_are_parsed_twice(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [ROW, replace(NEXT, base=((5, 2, 5, 3),), lost_supports=(0, 0))]
    path.write_text("".join(f"{line_of(row)}\n" for row in rows))
    monkeypatch.setattr(module, "loads", lambda line: pytest.fail(f"{line} is parsed twice"))
    assert read_rows(path) == rows


def test_a_row_has_no_seconds_that_json_has_not() -> None:
    for seconds in (math.nan, math.inf):
        with pytest.raises(ValueError, match="not JSON compliant"):
            line_of(replace(ROW, seconds=seconds))


def test_files_that_are_too_large_or_unreadable_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "file_size", lambda path: 2**32)
    assert read_rows(path) == ROWS
    monkeypatch.setattr(module, "file_size", lambda path: 2**32 + 1)
    with pytest.raises(BrokenFileError, match="too large"):
        read_rows(path)
    monkeypatch.undo()
    monkeypatch.setattr(Path, "read_bytes", no_disk)
    with pytest.raises(BrokenFileError, match=r"can't read .*rows\.jsonl: Input/output error"):
        read_rows(path)


def no_disk(*arguments: object, **options: object) -> NoReturn:
    raise OSError(errno.EIO, "Input/output error")
