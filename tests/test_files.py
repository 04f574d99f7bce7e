"""A file is written whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fssbench.cli.paths import check_file
from fssbench.errors import UsageError
from fssbench.files import locked, locked_folder, remove_leftovers, replace_locked, write_bytes, write_text


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


def test_it_is_on_the_disk_before_it_takes_the_place_of_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen, fsync = tmp_path / "rows.json", [], os.fsync
    write_text(path, "old")

    def noted(handle: int) -> None:
        seen.append((os.fstat(handle).st_size, path.read_text()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    write_text(path, "newer")
    assert (seen, path.read_text()) == ([(5, "old")], "newer")


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


def test_who_waits_for_a_lock_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    path = tmp_path / "list.toml"

    def wait() -> None:
        with locked(path, lambda: told.append("waiting")):
            told.append("locked")

    with locked(path, lambda: told.append("never")):
        thread = threading.Thread(target=wait)
        thread.start()
        while not told:
            thread.join(0.01)
    thread.join()
    assert told == ["waiting", "locked"]
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


_KILLED = """
import os, signal, sys
from pathlib import Path
from fssbench import files
Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
for name in sys.argv[1:]:
    if os.fork() == 0:
        files.write_bytes(Path(name), b"half")
    os.wait()
"""


def _killed_while_writing(*paths: Path) -> None:
    subprocess.run([sys.executable, "-c", _KILLED, *map(str, paths)], check=True)


def test_what_killed_writers_left_goes_with_the_next_write(tmp_path: Path) -> None:
    names = ["list.toml", "a[b].json", "list.tom", "list.toml.old"]
    _killed_while_writing(*(tmp_path / name for name in names))
    left = sorted(entry.name for entry in tmp_path.iterdir())
    assert sorted(name[1:-9] for name in left) == sorted(names), "each under a name of the kind .NAME.xxxxxxxx"
    for name in names[:2]:
        write_text(tmp_path / name, "new")
    kept = [name for name in left if name[1:-9] in names[2:]]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted([*kept, *names[:2]])


def test_the_temporary_file_of_a_writer_that_lives_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, replace, began, others = tmp_path / "list.toml", Path.replace, threading.Event(), threading.Event()

    def waits(mine: Path, to: Path) -> Path:
        if threading.current_thread() is not threading.main_thread():
            began.set()
            others.wait()
        return replace(mine, to)

    monkeypatch.setattr(Path, "replace", waits)
    slow = threading.Thread(target=write_bytes, args=(path, b"slow"))
    slow.start()
    began.wait()
    write_bytes(path, b"fast")
    remove_leftovers(tmp_path, "*")
    assert path.read_bytes() == b"fast"
    assert len(list(tmp_path.iterdir())) == 2
    others.set()
    slow.join()
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("list.toml", b"slow")]


def test_what_is_no_leftover_stays(tmp_path: Path) -> None:
    for name in (".list.toml.swp", ".list.toml.ABCDEFGH", ".list.toml.abcdefghi", "list.toml.abcdefgh", ".list.toml."):
        (tmp_path / name).touch()
    (tmp_path / ".list.toml.00000000").mkdir()
    (tmp_path / ".list.toml.11111111").symlink_to(tmp_path / ".list.toml.swp")
    before = sorted(tmp_path.iterdir())
    write_text(tmp_path / "list.toml", "new")
    assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / "list.toml"])


def test_one_that_was_taken_for_a_leftover_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, late = fcntl.flock, [True]

    def removed_before(handle: int, how: int) -> None:
        if late and late.pop():
            for entry in tmp_path.iterdir():
                entry.unlink()
        lock(handle, how)

    monkeypatch.setattr(fcntl, "flock", removed_before)
    write_text(tmp_path / "list.toml", "new")
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("list.toml", "new")]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EBADF])
def test_without_locks_files_are_written_and_nothing_is_removed(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError(number, "no lock")

    (tmp_path / ".list.toml.00000000").touch()
    monkeypatch.setattr(fcntl, "flock", fails)
    write_text(tmp_path / "list.toml", "new")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".list.toml.00000000", "list.toml"]


def test_a_file_that_was_put_in_place_is_locked_and_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    handle = replace_locked(path, b"one\n")
    with pytest.raises(BlockingIOError):
        _take(path)
    os.ftruncate(handle, 2)
    os.write(handle, b"two")
    os.close(handle)
    _take(path)
    assert path.read_bytes() == b"ontwo"


def test_a_pipe_or_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    for name in ("pipe", "link"):
        with pytest.raises(OSError, match="pipe, a socket or a device"):
            write_text(tmp_path / name, "text")
        with pytest.raises(UsageError, match="is a pipe, a socket or a device, not a file"):
            check_file("--out", tmp_path / name)
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "link").is_symlink()


def test_a_full_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int, content: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("fssbench.files.os.write", full)
    with pytest.raises(OSError, match="No space left") as error:
        write_text(tmp_path / "a.txt", "text")
    assert error.value.filename == str(tmp_path / "a.txt")
    assert not list(tmp_path.iterdir())
