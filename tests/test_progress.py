"""Progress: every item once, something on a terminal that waits, nothing anywhere else."""

from __future__ import annotations

import io
import re
import sys
import time

import pytest

from fssbench import progress
from fssbench.progress import Activity, animated, silenced, tracked
from fssbench.results.progress import Looked, PlainLines, TerminalBar
from tests.results.example_rows import ROW


def watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the captured error stream be a terminal."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR")


def test_nothing_is_shown_where_nobody_watches(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", -1.0)
    assert list(tracked(range(5), "reading masks", "masks")) == [0, 1, 2, 3, 4]
    assert capsys.readouterr() == ("", "")


def test_short_work_is_not_announced(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    watch(monkeypatch)
    assert list(tracked(range(5), "reading masks", "masks")) == [0, 1, 2, 3, 4]
    assert capsys.readouterr() == ("", "")


def test_a_wait_is_explained_and_loses_no_item(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    watch(monkeypatch)
    monkeypatch.setattr(progress, "PATIENCE", -1.0)
    assert list(tracked(["a", "b", "c"], "reading masks", "masks")) == ["a", "b", "c"]
    out, err = capsys.readouterr()
    assert out == "", "tables and lists stay clean"
    assert "reading masks" in err
    assert "3/3" in err


def test_a_wait_that_is_left_early_cleans_up(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    watch(monkeypatch)
    monkeypatch.setattr(progress, "PATIENCE", -1.0)
    items = tracked(range(100), "reading masks", "masks")
    assert next(items) == 0
    items.close()  # type: ignore[attr-defined]
    assert "\x1b[?25h" in capsys.readouterr().err, "the cursor is shown again"


def test_where_nobody_watches_there_is_a_line_from_time_to_time(
    capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    monkeypatch.setattr(progress, "INTERVAL", 0.05)
    with Activity("loading the weights"):
        for _ in tracked(range(3), "reading masks", "masks"):
            time.sleep(0.06)
        time.sleep(0.2)
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith("reading masks: 1/3 masks, ") for line in lines)
    first = lines.index(next(line for line in lines if line.startswith("loading the weights, for ")))
    assert all(line.startswith("reading masks: ") for line in lines[:first]), "only what is done inside"
    assert all(line.startswith("loading the weights, for ") for line in lines[first:])


def test_nothing_is_shown_of_what_is_silenced(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setattr(progress, "INTERVAL", 0.01)
    with silenced(), Activity("loading the weights"):
        time.sleep(0.05)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("term", "moves"), [("xterm", True), ("dumb", False)])
def test_a_dumb_terminal_gets_lines(term: str, moves: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    watch(monkeypatch)
    monkeypatch.setenv("TERM", term)
    assert animated(sys.stderr) is moves


def test_colour_is_left_out_on_request(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    watch(monkeypatch)
    monkeypatch.setattr(progress, "PATIENCE", -1.0)
    for wanted in (True, False):
        monkeypatch.setenv("NO_COLOR", "" if wanted else "1")
        list(tracked(range(3), "reading masks", "masks"))
        assert ("\x1b[3" in capsys.readouterr().err) is wanted


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_line_is_no_wider_than_the_terminal(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(progress, "PATIENCE", -1.0)
    list(tracked(range(11_540), "reading the masks of val", "masks"))
    bar = TerminalBar("hsnet on shapes20i", folds=4)
    bar.start(0, 1000)
    bar.advance(ROW)
    bar.close()
    drawn = [
        line for line in re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().err)) if line
    ]
    assert any("reading" in line for line in drawn)
    assert any("fold 0" in line and "1/4000" in line and "left" in line for line in drawn)
    assert all(len(line.rstrip()) <= columns for line in drawn)


def test_a_log_of_several_folds_has_few_lines() -> None:
    stream = io.StringIO()
    lines = PlainLines(stream, "hsnet on shapes20i", folds=3)
    for fold in range(3):
        lines.start(fold, 10)
        for _ in range(10):
            lines.advance(ROW)
    first, begun, *rest = stream.getvalue().splitlines()
    assert (first, begun) == ("hsnet on shapes20i", "fold 0: 10 episodes")
    assert [line.partition(",")[0] for line in rest] == ["fold 2: 10/10"]


def test_a_look_shows_the_interval_and_what_is_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    lines = PlainLines(stream, "hsnet on shapes20i", interval=0.0, folds=2)
    lines.looked(Looked("the first look is after 5 episodes", "", 0, 40))
    lines.start(0, 5)
    for _ in range(5):
        lines.advance(ROW)
    lines.looked(Looked("±2.00 after 5 episodes of each fold", "±2.00", 5, 20))
    lines.start(0, 8, [ROW] * 5)
    lines.advance(ROW)
    told = stream.getvalue().splitlines()
    assert told[:2] == ["hsnet on shapes20i", "the first look is after 5 episodes"]
    assert any(re.fullmatch(r"±2.00 after 5 episodes of each fold, \d+:\d\d left", line) for line in told)
    assert "(of all folds ±2.00)" in told[-1]
    watch(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    bar = TerminalBar("hsnet on shapes20i", folds=2)
    bar.start(0, 5)
    bar.looked(Looked("", "±2.00", 5, 20))
    bar.start(0, 8, [ROW] * 5)
    bar.advance(ROW)
    bar.close()
    drawn = capsys.readouterr().err
    assert "±2.00" in drawn
    assert "6/20" in drawn
