"""Rows written to disk: whole or not at all, and by one run at a time."""

from __future__ import annotations

import errno
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from fssbench.errors import UsageError
from fssbench.results import read_rows
from fssbench.results.row_writer import RowWriter, is_held
from tests.results.example_rows import ROW, ROWS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    with RowWriter(path) as writer:
        for row in ROWS:
            writer.append(row)
    return path


def test_what_is_written_is_read(path: Path) -> None:
    assert read_rows(path) == ROWS


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


def test_two_runs_do_not_write_to_one_file(path: Path) -> None:
    with RowWriter(path), pytest.raises(UsageError, match="another run is writing"):
        RowWriter(path)
    RowWriter(path).close()


def test_there_has_to_be_a_folder(tmp_path: Path) -> None:
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


def no_disk(*arguments: object, **options: object) -> NoReturn:
    raise OSError(errno.EIO, "Input/output error")


def test_a_failing_disk_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RowWriter(path) as writer:
        monkeypatch.setattr(os, "write", no_disk)
        with pytest.raises(UsageError, match=r"can't write .*rows\.jsonl: Input/output error"):
            writer.append(ROW)
        with pytest.raises(UsageError, match=r"can't write .*rows\.jsonl: Input/output error"):
            writer.rewrite([ROW])
        monkeypatch.undo()
    assert read_rows(path) == ROWS


def test_rows_are_on_the_disk_before_they_replace_others(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr("fssbench.files._sync", synced.append)
    with RowWriter(path) as writer:
        assert synced == []
        writer.rewrite(reversed(ROWS))
        assert len(synced) == 1
        assert read_rows(path) == ROWS[::-1]
        writer.clear()
        assert path.read_bytes() == b""


def test_a_line_end_alone_is_a_line(path: Path) -> None:
    path.write_bytes(b"\nxx")
    RowWriter(path).close()
    assert path.read_bytes() == b"\n"


def test_what_is_not_open_is_not_closed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = RowWriter(path)
    closed: list[int] = []
    writer.close()
    monkeypatch.setattr(os, "close", closed.append)
    writer.close()
    with pytest.raises(UsageError, match="can't write"):
        RowWriter(path / "no folder")
    assert closed == []


posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither these locks nor these modes")


@posix
def test_a_file_is_held_while_it_is_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_held(path)
    with RowWriter(path):
        assert is_held(path)
    assert not is_held(path)
    assert not is_held(path.with_name("none"))
    monkeypatch.setattr("fcntl.flock", no_disk)  # a folder without locks
    assert not is_held(path)


@posix
def test_a_new_file_is_readable_for_others(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        RowWriter(tmp_path / "new.jsonl").close()
    finally:
        os.umask(before)
    assert (tmp_path / "new.jsonl").stat().st_mode & 0o777 == 0o644


@posix
def test_a_lock_is_tried_five_times_within_a_tenth_of_a_second(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = RowWriter(path)
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    with pytest.raises(UsageError, match="another run is writing"):
        RowWriter(path)
    assert slept == [0.02] * 4
    # Whoever only looks whether it is locked lets go of it at once.
    monkeypatch.setattr("time.sleep", lambda seconds: other.close())
    with RowWriter(path):
        assert is_held(path)


@posix
def test_a_file_that_was_replaced_before_it_was_locked_is_opened_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, later = RowWriter._lock, [path.with_name("newer")]
    later[0].write_bytes(path.read_bytes())

    def replaced_meanwhile(self: RowWriter) -> None:
        if later:
            later.pop().replace(path)
        lock(self)

    monkeypatch.setattr(RowWriter, "_lock", replaced_meanwhile)
    with RowWriter(path) as writer:
        writer.append(replace(ROW, episode=3))
    assert read_rows(path) == [*ROWS, replace(ROW, episode=3)]


@posix
def test_the_handle_of_a_closed_standard_input_is_one_like_others(path: Path) -> None:
    before = os.dup(0)
    try:
        os.close(0)
        with RowWriter(path):
            assert is_held(path)
        assert not is_held(path)
    finally:
        os.dup2(before, 0)
        os.close(before)
