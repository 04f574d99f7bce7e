"""A file is written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from fssbench.atomic import write_bytes, write_text


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
