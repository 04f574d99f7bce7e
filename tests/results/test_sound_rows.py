"""A damaged file of rows: what stands in it is kept when the run goes on, and nothing wrong is counted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fssbench import evaluate
from fssbench.errors import BrokenFileError
from fssbench.methods.base.method import Prediction
from fssbench.results import Results, load_run, read_rows
from fssbench.results.rows import BadLine, line_of
from fssbench.results.sound_rows import describe_damage
from tests.engine.stub import NearestColour, Patches, questions, rules

LIST = questions(count=6)


class Counting(NearestColour):
    """Counts the episodes that it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def predict(self, *arguments: Any) -> Prediction:  # type: ignore[override]
        self.asked += 1
        return super().predict(*arguments)


def answer(out: Path, method: NearestColour | None = None, **more: object) -> Results:
    return evaluate(method or Counting(), Patches(), LIST, protocol=rules(), out=out, **more)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("finished") / "run"
    answer(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def run(tmp_path: Path, finished: dict[str, bytes]) -> Path:
    (tmp_path / "run").mkdir()
    for name, content in finished.items():
        (tmp_path / "run" / name).write_bytes(content)
    return tmp_path / "run"


def counts(path: Path) -> list[dict[str, object]]:
    rows = [json.loads(line) for line in path.read_text("ascii").splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def with_line(content: bytes, place: int, line: bytes, instead: int = 0) -> bytes:
    lines = content.split(b"\n")
    lines[place : place + instead] = [line]
    return b"\n".join(lines)


@pytest.mark.parametrize(
    ("line", "instead", "lost"),
    [
        (b"", 0, 0),
        (b"  \r", 0, 0),
        (b"\0" * 700, 0, 0),
        (b"\0" * 700, 1, 1),
        (b"\xff\xfe{}", 1, 1),
        (b'{"episode":2,"fold":0,"que', 1, 1),
        (b'{"episode":2,"fold":0{"episode":3,"fold":0}', 2, 2),
        (b"[]", 1, 1),
        (b"{}", 1, 1),
    ],
)
def test_one_bad_line_costs_what_it_held(
    run: Path, finished: dict[str, bytes], caplog: pytest.LogCaptureFixture, line: bytes, instead: int, lost: int
) -> None:
    (run / "rows.jsonl").write_bytes(with_line(finished["rows.jsonl"], 2, line, instead))
    with pytest.raises(BrokenFileError, match="line 3 is not a row") as refused:
        load_run(run)
    assert "--resume, which keeps its other rows" in str(refused.value.remedy)
    method = Counting()
    assert answer(run, method, resume=True).missing == 0
    assert method.asked == lost
    assert f"{run / 'rows.jsonl'} is damaged: line 3 is not a row" in caplog.text
    assert f"The other {6 - lost} rows are kept" in caplog.text
    assert counts(run / "rows.jsonl") == [
        {name: value for name, value in json.loads(row).items() if name != "seconds"}
        for row in finished["rows.jsonl"].splitlines()
    ]
    assert load_run(run).summary().miou == json.loads(finished["summary.json"])["miou"]


def test_a_byte_order_mark_costs_nothing(
    run: Path, finished: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    (run / "rows.jsonl").write_bytes(b"\xef\xbb\xbf" + finished["rows.jsonl"])
    method = Counting()
    assert load_run(run).missing == 0
    assert answer(run, method, resume=True).missing == 0
    assert method.asked == 0
    assert not caplog.text


def test_several_bad_lines_and_a_torn_end(
    run: Path, finished: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    lines = finished["rows.jsonl"].splitlines()
    (run / "rows.jsonl").write_bytes(b"\n".join([b"", lines[0], b"\0\0", lines[1], lines[2], lines[3][:40]]))
    method = Counting()
    assert answer(run, method, resume=True).missing == 0
    assert method.asked == 3
    assert "line 1 is not a row" in caplog.text
    assert "nor are 1 other lines" in caplog.text


@pytest.mark.parametrize("fewer", [0, 1])
def test_two_rows_of_an_episode_are_refused(run: Path, finished: dict[str, bytes], fewer: int) -> None:
    rows = read_rows(run / "rows.jsonl")
    other = replace(rows[1], intersection=tuple(max(0, pixels - fewer) for pixels in rows[1].intersection))
    content = finished["rows.jsonl"] + line_of(other).encode() + b"\n"
    (run / "rows.jsonl").write_bytes(content)
    for read in (lambda: answer(run, resume=True), lambda: load_run(run)):
        with pytest.raises(BrokenFileError, match=r"line 7: .* is in line 2 already") as refused:
            read()
        assert "remove the line" in str(refused.value.remedy)
    assert (run / "rows.jsonl").read_bytes() == content


@pytest.mark.parametrize("content", [b"\0" * 4096 + b"\n", b"\n\n\n", b"ro\n", "{}\n".encode("utf-16")])
def test_a_file_without_any_row_is_not_replaced(run: Path, content: bytes) -> None:
    (run / "rows.jsonl").write_bytes(content)
    whole = content[: content.rfind(b"\n") + 1]
    with pytest.raises(BrokenFileError, match="has no valid row: line 1 is not a row"):
        answer(run, resume=True)
    assert (run / "rows.jsonl").read_bytes() == whole


def test_rows_of_a_later_version_are_not_thrown_away(run: Path, finished: dict[str, bytes]) -> None:
    content = finished["rows.jsonl"].replace(b'{"episode":4,', b'{"colour":1,"episode":4,')
    (run / "rows.jsonl").write_bytes(content)
    with pytest.raises(BrokenFileError, match=r"line 5 is not a row \(colour\)") as refused:
        answer(run, resume=True)
    assert "the version of fssbench that wrote it" in str(refused.value.remedy)
    assert (run / "rows.jsonl").read_bytes() == content


def test_a_run_that_is_not_continued_keeps_its_damaged_rows(run: Path, finished: dict[str, bytes]) -> None:
    content = with_line(finished["rows.jsonl"], 2, b"")
    (run / "rows.jsonl").write_bytes(content.replace(b'"query":"p4"', b'"query":"p5"'))
    with pytest.raises(BrokenFileError, match="is not the list's episode"):
        answer(run, resume=True)


def test_a_damaged_part_of_another_process(
    run: Path, finished: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    lines = finished["rows.jsonl"].splitlines()
    (run / "rows.jsonl").write_bytes(lines[0] + b"\n")
    (run / "rows-part1.jsonl").write_bytes(b"\n".join([lines[1], b"\0\0\0", lines[3], b""]))
    method = Counting()
    assert answer(run, method, resume=True).missing == 0
    assert method.asked == 3
    assert f"{run / 'rows-part1.jsonl'} is damaged: line 2" in caplog.text
    assert not (run / "rows-part1.jsonl").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"\0" * 100, b"[]", b'{"schema_version":1}'])
def test_a_torn_record_is_not_continued(run: Path, finished: dict[str, bytes], content: bytes) -> None:
    (run / "run.json").write_bytes(content)
    with pytest.raises(BrokenFileError, match=r"can't be continued: .*run\.json is not a record of a run") as refused:
        answer(run, resume=True)
    assert refused.value.remedy == "put it back, start the run again with --overwrite, or give another --out"
    assert (run / "rows.jsonl").read_bytes() == finished["rows.jsonl"]
    assert answer(run, overwrite=True).missing == 0


def test_the_warning_counts_the_other_damaged_lines() -> None:
    bad = [BadLine(2, ": a negative number"), BadLine(5, ": empty"), BadLine(6, ": empty")]
    end = ". The other 7 rows are kept; the missing ones are evaluated again"
    first = "rows.jsonl is damaged: line 2 is not a row: a negative number"
    assert describe_damage(Path("rows.jsonl"), 7, bad[:1]) == first + end
    assert describe_damage(Path("rows.jsonl"), 7, bad) == f"{first}, nor are 2 other lines{end}"
