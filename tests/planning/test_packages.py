"""Which version of a package a method comes from: by pip's notes, and by its file."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import EntryPoint, PathDistribution
from pathlib import Path

import pytest

from fssbench.planning.packages import package_record
from fssbench.registry import Registry
from fssbench.results.method_record import PackageRecord


def record(folder: Path, direct: str | None, module: str = "plugged_in.net") -> PackageRecord | None:
    """Return the record of a method of a package that pip has noted so."""
    about = folder / "plugged_in-2.1.dist-info"
    about.mkdir(exist_ok=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged-in\nVersion: 2.1\n")
    (about / "entry_points.txt").write_text(f"[fssbench.methods]\nnet = {module}:Net\n")
    if direct is not None:
        (about / "direct_url.json").write_text(direct)
    registry: Registry[type] = Registry("method", lambda: object, {})
    [point] = PathDistribution(about).entry_points
    assert isinstance(point, EntryPoint)
    registry._discover()
    registry._points["net"] = point
    return package_record(registry, "net")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "plugged_in").mkdir()
    (tmp_path / "plugged_in" / "__init__.py").write_text("")
    (tmp_path / "plugged_in" / "net.py").write_text("class Net: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_an_editable_install_is_marked_and_its_file_hashed(package: Path) -> None:
    direct = {"url": "file:///opt/plugged-in", "dir_info": {"editable": True}}
    found = record(package, json.dumps(direct))
    sha256 = hashlib.sha256((package / "plugged_in" / "net.py").read_bytes()).hexdigest()
    assert found == PackageRecord("plugged-in", "2.1", None, True, "plugged_in/net.py", sha256)
    assert found.describe() == f"plugged-in 2.1, editable, plugged_in/net.py sha256 {sha256[:12]}"


@pytest.mark.parametrize(
    "direct",
    [
        None,
        "no json",
        "[]",
        json.dumps({"vcs_info": {"commit_id": 7}, "dir_info": {"editable": "yes"}}),
        json.dumps({"vcs_info": {"commit_id": "<script>"}}),
        json.dumps({"vcs_info": ["commit_id"], "dir_info": None}),
    ],
)
def test_what_pip_has_not_noted_is_not_made_up(package: Path, direct: str | None) -> None:
    found = record(package, direct)
    assert found is not None
    assert (found.version, found.commit, found.editable) == ("2.1", None, False)


def test_a_module_that_is_not_there_has_no_hash(package: Path) -> None:
    found = record(package, None, "plugged_in.gone")
    assert found == PackageRecord("plugged-in", "2.1")


def test_own_methods_are_of_no_package() -> None:
    assert (
        package_record(Registry("method", lambda: object, {"hsnet": "fssbench.methods.hsnet:HSNet"}), "hsnet") is None
    )
