"""A file is written whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from fssbench.atomic import locked, locked_folder, write_bytes, write_text


def test_what_is_written_is_there_and_readable_by_others(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    write_text(path, "é\n")
    assert path.read_bytes() == b"\xc3\xa9\n"
    assert path.stat().st_mode & 0o777 == 0o644
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows.json"]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.json"
    write_bytes(path, b"old")

    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(type(error)):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows.json"]


def _take(lock: Path) -> None:
    with lock.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_lock_keeps_others_out_and_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "list.toml"
    lock = tmp_path / "new" / "list.toml.lock"

    def broken_off() -> None:
        with locked(path):
            with pytest.raises(BlockingIOError):
                _take(lock)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    _take(lock)
    assert not path.exists()


def test_a_folder_is_held_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    handle = os.open(tmp_path, os.O_RDONLY)
    try:
        with locked_folder(tmp_path), pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(handle)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("number", "goes_on"), [(errno.ENOLCK, True), (errno.EBADF, False)])
def test_a_folder_without_locks_is_written_all_the_same(
    number: int, goes_on: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError(number, "no lock")

    monkeypatch.setattr(fcntl, "flock", fails)
    entered = False
    try:
        with locked(tmp_path / "list.toml"):
            entered = True
    except OSError:
        assert not goes_on
    assert entered == goes_on
