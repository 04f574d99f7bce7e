"""Temporary folders: removed in the end, and after a kill by the next command."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from fssbench.temporary import temporary_folder


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def old(folder: Path) -> Path:
    """Return a folder that was made an hour ago, with a file in it."""
    (folder / "run").mkdir(parents=True)
    (folder / "run" / "rows.jsonl").write_text("{}")
    os.utime(folder, (1e9, 1e9))
    return folder


def test_it_is_removed_in_the_end_whatever_happens(base: Path) -> None:
    with pytest.raises(KeyboardInterrupt), temporary_folder("fssbench-x") as folder:  # noqa: PT012 - in the middle
        assert folder.parent == base
        (folder / "file").write_text("half")
        raise KeyboardInterrupt
    assert list(base.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next(base: Path) -> None:
    left, other, file = old(base / "fssbench-x-abc"), old(base / "fssbench-y-abc"), base / "fssbench-x-file"
    file.write_text("")
    elsewhere = old(base / "elsewhere")
    (base / "fssbench-x-link").symlink_to(elsewhere)
    new = base / "fssbench-x-new"
    new.mkdir()
    with temporary_folder("fssbench-x"):
        assert not left.exists()
        assert all(path.exists() for path in (other, file, new, elsewhere / "run" / "rows.jsonl"))


def test_what_another_process_uses_stays(base: Path) -> None:
    with temporary_folder("fssbench-x") as first:
        os.utime(first, (1e9, 1e9))
        with temporary_folder("fssbench-x") as second:
            assert first.exists()
            assert second != first
    assert list(base.iterdir()) == []
