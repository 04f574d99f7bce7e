"""Progress: every item once, something on a terminal that waits, nothing anywhere else."""

from __future__ import annotations

import sys

import pytest

from fssbench import progress
from fssbench.progress import tracked


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
