"""That nothing can be written somewhere is known before the work."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from fssbench.cli.paths import check_file
from fssbench.errors import UsageError
from fssbench.writable import check_writable


def test_a_folder_that_can_be_made_is_not_made(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b")
    check_writable(tmp_path)
    check_file("--out", tmp_path / "table.csv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("below", [".", "run", "a/b/run"])
@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.ENOTSUP])
def test_a_folder_that_takes_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str, number: int
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(number, "the reason")

    monkeypatch.setattr(os, "open", fails)
    monkeypatch.setattr("tempfile.mkdtemp", fails)
    with pytest.raises(UsageError, match=r"can't write to .*: the reason") as refused:
        check_writable(tmp_path / below, "--save-predictions")
    assert refused.value.remedy == "give another --save-predictions"


def test_where_files_need_names_a_folder_is_made_and_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "no unnamed files")

    monkeypatch.setattr(os, "open", fails)
    check_writable(tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_what_is_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(UsageError, match=r"file is a file, not a folder"):
        check_writable(tmp_path / "file" / "run")
    with pytest.raises(UsageError, match="can't write to"):
        check_writable(tmp_path / "link" / "run")
