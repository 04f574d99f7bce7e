"""`fssbench compare` as a person meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tables.runs import run_of, write_run


@pytest.fixture(autouse=True)
def _runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "a", run_of("hsnet", episodes=6), 0.5)
    write_run(tmp_path / "b", run_of("asnet", episodes=6), 0.75)


def test_two_runs(fssbench, tmp_path: Path) -> None:
    code, out, err = fssbench("compare", "a", "b")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:2] == ["shapes20i, 1-way 1-shot, 24 episodes, 6 query images", "reference: hsnet resnet50 (a)"]
    assert "asnet resnet50 (b) against the reference" in lines
    mean = next(line for line in lines if line.split()[:1] == ["mean"])
    assert mean.split()[1:4] == ["50.00", "75.00", "+25.00"]
    assert mean.split()[-3:] == ["24", "0", "0"]


def test_a_file_is_written(fssbench, tmp_path: Path) -> None:
    assert fssbench("compare", "a", "b", "--format", "json", "--out", "it.json") == (0, "", "")
    assert json.loads((tmp_path / "it.json").read_text())["reference"] == "hsnet resnet50"
    code, _, err = fssbench("compare", "a", "b", "--out", "gone/it.json")
    assert code == 2
    assert "can't write" in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["a"], "needs two runs"),
        (["a", "a"], "given twice"),
        (["a", "gone"], "there is no run in gone"),
        (["a", "other"], "differ in the episode list of fold 0"),
    ],
)
def test_mistakes_are_named(fssbench, tmp_path: Path, arguments: list[str], told: str) -> None:
    write_run(tmp_path / "other", run_of("asnet", episodes=6, lists="z"))
    code, out, err = fssbench("compare", *arguments)
    assert (code, out) == (2, "")
    assert told in err
    assert len(err.splitlines()) <= 2
