"""Run folders being written: what is there already stays, whatever happens and whoever else writes."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from fssbench import evaluate
from fssbench.engine.runner import run_plan
from fssbench.errors import BrokenFileError, UsageError
from fssbench.planning.plan import plan
from fssbench.planning.request import Request
from fssbench.results import Existing, Row, load_run, read_rows
from fssbench.results.folder_state import check_folder
from fssbench.results.progress import Silent
from fssbench.results.row_writer import RowWriter
from fssbench.results.rows import line_of
from fssbench.results.run_writer import RunFolder
from tests.engine.stub import NearestColour, Patches, questions, rules

LISTS = {0: questions(count=4)}


def answer(out: Path, **said: object) -> None:
    evaluate(NearestColour(), Patches(), LISTS[0], protocol=rules(), out=out, **said)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    answer(tmp_path / "run", limit=2)
    return tmp_path / "run"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Meanwhile(Silent):
    """Does something else after a command has looked at its folder and before it has answered anything."""

    def __init__(self, do: Callable[[], object]) -> None:
        self.do = do

    def start(self, fold: int, total: int, *earlier: Sequence[Row]) -> None:
        self.do()


@pytest.mark.parametrize("rows", ["rows.jsonl", "rows-part1.jsonl"])
def test_rows_without_the_record_of_the_run_are_not_continued(run: Path, rows: str) -> None:
    (run / "run.json").unlink()
    (run / "rows.jsonl").rename(run / rows)
    (run / "rows.jsonl").touch()
    if rows == "rows.jsonl":
        (run / rows).write_text("".join(f"{line_of(row)}\n" for row in read_rows(run / rows)) + '{"episode":')
    before = contents(run)
    with pytest.raises(BrokenFileError, match=r"it has rows, but no run\.json") as refused:
        answer(run, resume=True)
    assert refused.value.remedy is not None
    assert "--overwrite" in refused.value.remedy
    assert contents(run) == before
    answer(run, overwrite=True)
    assert load_run(run).missing == 0
    assert not list(run.glob("rows-part*"))


def test_a_record_without_rows_is_begun_and_says_so(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = load_run(run).frame.drop(columns="seconds")
    (run / "rows.jsonl").unlink()
    answer(run, resume=True, limit=2)
    assert "has run.json, but no rows.jsonl: all episodes are evaluated again" in caplog.text
    pd.testing.assert_frame_equal(load_run(run).frame.drop(columns="seconds"), before)


def test_a_run_that_died_before_it_was_on_record_is_begun(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "rows.jsonl").touch()
    answer(tmp_path / "run", resume=True)
    assert load_run(tmp_path / "run").missing == 0


@pytest.mark.parametrize("said", [{}, {"resume": True}])
@pytest.mark.parametrize("limit", [None, 2])
def test_a_run_that_another_command_wrote_meanwhile_stays(
    tmp_path: Path, said: dict[str, bool], limit: int | None
) -> None:
    out = tmp_path / "run"
    with pytest.raises(UsageError, match=r"another command has written a run to .*; it stays as it is"):
        answer(out, **said, progress=Meanwhile(lambda: answer(out, limit=limit)))
    assert len(load_run(out).frame) == (limit or 4)
    assert len(load_run(out).run.starts) == 1
    assert (out / "summary.json").exists()


def test_a_run_that_another_command_writes_at_the_moment_stays(tmp_path: Path) -> None:
    answer(tmp_path / "other")
    whole = load_run(tmp_path / "other")
    rows = read_rows(tmp_path / "other" / "rows.jsonl")
    out = tmp_path / "run"
    with RunFolder(out, whole.run, LISTS, Existing.OVERWRITE) as second:
        with RunFolder(out, whole.run, LISTS, Existing.REFUSE) as first:
            first.append(rows[0])
            with pytest.raises(UsageError, match="another run is writing"):
                second.append(rows[0])
            first.append(rows[1])
        with pytest.raises(UsageError, match=r"another command has written a run to .*; it stays as it is"):
            second.append(rows[0])
    assert len(load_run(out).frame) == 2, "it was told to replace what was there, and this was not"
    with RunFolder(out, whole.run, LISTS, Existing.OVERWRITE) as third:
        third.append(rows[0])
    assert len(load_run(out).frame) == 1


def test_of_two_commands_that_replace_a_run_one_is_refused(run: Path) -> None:
    rows, whole = read_rows(run / "rows.jsonl"), load_run(run)
    first, second = (RunFolder(run, whole.run, LISTS, Existing.OVERWRITE) for _ in range(2))
    first.append(rows[1])
    with pytest.raises(UsageError, match="another run is writing to"):
        check_folder(run, Existing.OVERWRITE)
    with pytest.raises(UsageError, match="another run is writing to"):
        second.append(rows[0])
    first.close()
    check_folder(run, Existing.OVERWRITE)
    with pytest.raises(UsageError, match=r"another command has written a run to .*; it stays as it is"):
        second.append(rows[0])
    assert [row.episode for row in read_rows(run / "rows.jsonl")] == [1]


def test_a_run_written_between_plan_and_start_is_not_replaced(tmp_path: Path, elsewhere: None) -> None:
    asked = Request("copy-mask", "shapes20i", fold="0", episodes="2", out=tmp_path / "run", existing=Existing.OVERWRITE)
    early, other = plan(asked), plan(replace(asked, method="all-foreground"))
    run_plan(other)
    before = contents(tmp_path / "run")
    with pytest.raises(UsageError, match="another command has written a run"):
        run_plan(early)
    assert contents(tmp_path / "run") == before
    run_plan(plan(asked))
    assert load_run(tmp_path / "run").run.method.name == "copy-mask"


def test_what_is_refused_takes_nothing_back(tmp_path: Path) -> None:
    """As `fssbench score` does, which discards what it has written when it ends early."""
    out = tmp_path / "run"
    answer(tmp_path / "other")
    whole = load_run(tmp_path / "other")
    second = RunFolder(out, whole.run, LISTS, Existing.REFUSE)
    answer(out)
    before = contents(out)
    with pytest.raises(UsageError, match="another command has written"):
        second.append(read_rows(out / "rows.jsonl")[0])
    second.discard()
    assert contents(out) == before


def test_the_folder_one_is_in_is_written_to_and_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(tmp_path / "other")
    whole = load_run(tmp_path / "other")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    written = RunFolder(Path(), whole.run, LISTS, Existing.REFUSE)
    written.append(read_rows(tmp_path / "other" / "rows.jsonl")[0])
    assert Path("run.json").exists()
    written.discard()
    assert list(Path().iterdir()) == []


def test_the_label_maps_of_a_run_written_meanwhile_stay(tmp_path: Path, elsewhere: None) -> None:
    asked = Request("copy-mask", "shapes20i", fold="0", episodes="2", out=tmp_path / "run")
    planned, other = plan(asked), plan(replace(asked, method="all-foreground"))
    maps = tmp_path / "maps"
    with pytest.raises(UsageError, match="another command has written a run"):
        run_plan(planned, Meanwhile(lambda: run_plan(other, save=maps)), save=maps)
    kept = contents(maps)
    run_plan(replace(other, out=tmp_path / "again"), save=tmp_path / "maps-again")
    assert kept == contents(tmp_path / "maps-again")


def test_the_lock_is_on_the_file_that_has_the_name(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that finishes puts an ordered file in the place of the one that is locked."""
    path = run / "rows.jsonl"
    rows, lock, waits = read_rows(path), fcntl.flock, [True]

    def replaced_before_the_lock(file: int, how: int) -> None:
        if waits.pop() if waits else False:
            new = path.with_name("new")
            new.write_text("".join(f"{line_of(row)}\n" for row in reversed(rows)))
            new.replace(path)
        lock(file, how)

    monkeypatch.setattr("fssbench.results.row_writer.fcntl.flock", replaced_before_the_lock)
    with RowWriter(path) as writer:
        writer.append(replace(rows[0], episode=3))
        with pytest.raises(UsageError, match="another run is writing"):
            RowWriter(path)
    assert [row.episode for row in read_rows(path)] == [1, 0, 3]


def test_a_folder_that_holds_a_damaged_run_may_be_replaced(run: Path) -> None:
    (run / "run.json").unlink()
    check_folder(run, Existing.OVERWRITE)
    with pytest.raises(UsageError, match="already has a run"):
        check_folder(run, Existing.REFUSE)


def test_what_killed_commands_left_goes_when_the_run_is_finished(run: Path) -> None:
    left = [run / f".{name}.0123abc_" for name in ("run.json", "rows.jsonl", "summary.json", "episodes-fold0.json")]
    other = run / ".notes.txt.0123abc_"
    for path in (*left, other):
        path.touch()
    answer(run, resume=True)
    assert not [path for path in left if path.exists()]
    assert other.exists()


@pytest.mark.parametrize("text", [None, "garbage", "{}"])
def test_a_list_that_is_gone_or_broken_is_written_again(
    run: Path, text: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    path = run / "episodes-fold0.json"
    before = path.read_bytes()
    path.unlink() if text is None else path.write_text(text)
    answer(run, resume=True, limit=2)
    assert path.read_bytes() == before
    assert "it is written again" in caplog.text
