"""`fssbench doctor` looks at everything, and what is broken keeps it from nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fssbench.cli.doctor_findings import _size

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONFIG", "CACHE", "DATA"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.delenv("FSSBENCH_DATA", raising=False)


def test_what_is_here_and_what_is_missing(fssbench: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "VOC2012" / "JPEGImages").mkdir(parents=True)
    (tmp_path / "VOC2012" / "JPEGImages" / "a.jpg").write_bytes(b"")
    (tmp_path / "cache" / "fssbench" / "index").mkdir(parents=True)
    (tmp_path / "cache" / "fssbench" / "index" / "x").write_bytes(bytes(2000))
    monkeypatch.setenv("FSSBENCH_DATA", str(tmp_path))
    code, out, err = fssbench("doctor")
    assert (code, err) == (0, "")
    assert f"pascal5i: {tmp_path / 'VOC2012'}: " in out
    assert "JPEGImages/*.jpg 1 of 17125" in out
    assert "index: 2.0 kB in 1 files" in out
    assert "coco20i, fss\n    missing: data: fssbench data fetch coco20i --root DIR\n" in out
    assert "hsnet    resnet50, resnet101, 1,5-shot, checkpoints: fssbench checkpoints fetch 'hsnet-resnet50-coco" in out
    assert out.endswith("no problems\n")


def test_every_result_of_a_table_says_what_it_lacks(fssbench: Run) -> None:
    _, out, _ = fssbench("doctor", "--json")
    found = json.loads(out)
    [row] = [
        row
        for row in found["tables"]
        if (row["method"], row["dataset"], row["backbone"], row["shot"], row["task"], row["variant"])
        == ("hsnet", "pascal5i", "resnet50", 1, "fss", "")
    ]
    assert row["measurable"]
    assert [one["what"] for one in row["missing"]] == ["data", "checkpoints (0 of 4 here)"]
    assert row["missing"][1]["command"] == "fssbench checkpoints fetch 'hsnet-resnet50-pascal5i-*'"
    assert {row["dataset"] for row in found["tables"]} == {"pascal5i", "coco20i"}
    assert found["versions"]["torch"]
    assert isinstance(found["caches"][0]["bytes"], int)
    assert "hub" in {one["extra"] for one in found["extras"]}


def test_a_broken_configuration_is_told_once_and_hides_nothing(fssbench: Run, tmp_path: Path) -> None:
    (tmp_path / "config" / "fssbench").mkdir(parents=True)
    (tmp_path / "config" / "fssbench" / "config.toml").write_text("[data\n")
    (tmp_path / "config" / "fssbench" / "checkpoints.toml").write_text("[[checkpoint]]\nid = 3\n")
    code, out, _ = fssbench("doctor")
    assert code == 0
    problems = [line for line in out.splitlines() if line.startswith("problem ")]
    assert len(problems) == 2
    assert "config.toml is not TOML" in problems[0]
    assert "checkpoints.toml: record 1 (id)" in problems[1]
    assert "devices      cpu, " in out
    assert "data         not known, see problems" in out


def test_without_torch_and_tomlkit_it_still_looks(tmp_path: Path) -> None:
    for name in ("torch", "tomlkit"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('{name} is broken')\n")
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    command = [sys.executable, "-m", "fssbench", "doctor", "--json"]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path}, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["devices"] is None
    assert found["versions"]["fssbench"]
    assert {"ImportError: torch is broken", "ImportError: tomlkit is broken"} <= {
        one["problem"] for one in found["problems"]
    }


def test_a_folder_that_can_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def walk(folder: Path, onerror: Callable[[OSError], None]) -> list[object]:
        onerror(PermissionError(13, "Permission denied", str(folder)))
        return []

    monkeypatch.setattr(os, "walk", walk)
    assert _size(tmp_path) == {"bytes": 0, "files": 0, "error": f"{tmp_path}: Permission denied"}
