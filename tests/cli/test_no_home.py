"""Without a home folder fssbench goes on without what it would keep there, and writes nothing elsewhere."""

from __future__ import annotations

import pwd
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pandas as pd
import pytest

from fssbench import config
from fssbench.checkpoints import add, fetch, locate, records
from fssbench.checkpoints.fetching import present
from fssbench.checkpoints.registry import Record, user_registry
from fssbench.config import NoHomeError, cache_folder, config_file
from fssbench.datasets.io.index_cache import cached_index
from fssbench.datasets.roots import configured_roots, find_root, require_root
from fssbench.datasets.splits import stored as imported
from fssbench.errors import MissingError

Fssbench = Callable[..., tuple[int, str, str]]


def _nobody(_: int) -> NoReturn:
    raise KeyError("getpwuid(): uid not found")


@pytest.fixture(params=[None, "", "relative"])
def no_home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be a user whom the system does not know, as in containers, and work in an empty folder."""
    for variable in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "HOME"):
        monkeypatch.delenv(variable, raising=False)
    if request.param is not None:
        monkeypatch.setenv("HOME", request.param)
    monkeypatch.setattr(pwd, "getpwuid", _nobody)
    monkeypatch.chdir(tmp_path)
    config._warn_once.cache_clear()
    return tmp_path


def _record(**fields: object) -> Record:
    base = {"id": "mine", "method": "hsnet", "backbone": "small", "dataset": "shapes20i", "fold": 0}
    return Record.model_validate(base | fields)


@pytest.mark.parametrize("find", [cache_folder, config_file, config.user_data_folder, user_registry])
def test_there_is_no_place_to_keep_anything(find: Callable[[], Path], no_home: Path) -> None:
    with pytest.raises(NoHomeError, match="there is no home folder") as caught:
        find()
    assert str(caught.value.remedy).startswith("export HOME=DIR, or XDG_")


def test_what_is_read_from_there_is_done_without(no_home: Path, caplog: pytest.LogCaptureFixture) -> None:
    frame = pd.DataFrame({"name": ["a"], "pixels": [1]})
    assert cached_index("a", "key", lambda: frame) is frame
    assert configured_roots() == {}
    assert all(entry.registry != Path() and entry.id for entry in records())
    assert imported.load("coco20i", "val") is None
    assert not imported.is_there("coco20i", "val")
    assert not present(_record(url="https://example.org/a.pt"))
    assert len(caplog.messages) == 1
    assert "continuing without cache, configuration and own checkpoints" in caplog.messages[0]
    assert list(no_home.iterdir()) == []


def test_what_is_written_there_is_refused_with_what_to_set(no_home: Path) -> None:
    with pytest.raises(NoHomeError):
        add(_record(path="a.pt"))
    with pytest.raises(NoHomeError):
        fetch(_record(url="https://example.org/a.pt"))
    with pytest.raises(NoHomeError):
        imported.store("coco20i", "val", {"1": [1]})
    assert list(no_home.iterdir()) == []


def test_what_is_missing_is_still_said(no_home: Path) -> None:
    with pytest.raises(MissingError, match=r"config\.toml under XDG_CONFIG_HOME does not name it"):
        require_root("pascal5i")
    with pytest.raises(MissingError, match="not on this machine yet"):
        locate(_record(url="https://example.org/a.pt"))
    with pytest.raises(MissingError, match="downloaded by hand"):
        fetch(_record(url="https://example.org/a", hosting="page"))


def test_commands_go_on(no_home: Path, fssbench: Fssbench) -> None:
    asked = ("eval", "--method", "hsnet", "--backbone", "small", "--dataset", "shapes20i-underwater", "--fold", "0")
    code, _, said = fssbench(*asked, "--train-dataset", "shapes20i", "--episodes", "1", "--out", "run")
    assert code == 0, said
    assert said.count("there is no home folder") <= 1
    code, out, _ = fssbench("data", "where")
    assert code == 0
    assert "config.toml under XDG_CONFIG_HOME" in " ".join(out.split())
    code, out, _ = fssbench("checkpoints", "list", "--dataset", "shapes20i")
    assert code == 0
    code, out, _ = fssbench("checkpoints", "fetch", "small-shapes20i-fold0")
    assert code == 0
    assert [entry.name for entry in no_home.iterdir()] == ["run"]


def test_an_xdg_folder_is_enough(no_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(no_home / "own"))
    add(_record(path="a.pt"))
    assert user_registry() == no_home / "own" / "fssbench" / "checkpoints.toml"
    assert "mine" in {entry.id for entry in records()}


def test_a_home_of_somebody_else_is_done_without(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def denied(path: Path) -> NoReturn:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", denied)
    config._warn_once.cache_clear()
    assert configured_roots() == {}
    assert configured_roots() == {}
    assert [message for message in caplog.messages if "config.toml is not readable" in message] == caplog.messages
    assert len(caplog.messages) == 1


def test_a_folder_in_nobodys_home_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = "~no-such-user-here"
    with pytest.raises(MissingError, match=f"--root: there is no user for the home folder {nobody} in {nobody}/data"):
        find_root("pascal5i", Path(f"{nobody}/data"))
    monkeypatch.setenv("FSSBENCH_DATA", nobody)
    with pytest.raises(MissingError, match=f"FSSBENCH_DATA: there is no user for the home folder {nobody}"):
        find_root("pascal5i")
    monkeypatch.delenv("FSSBENCH_DATA")
    config_file().parent.mkdir(parents=True)
    config_file().write_text(f'[data]\npascal5i = "{nobody}/data"\n')
    with pytest.raises(MissingError, match=rf"config\.toml, pascal5i: there is no user for the home folder {nobody}"):
        find_root("pascal5i")
