"""`fssbench eval` and `fssbench episodes` where a protocol asks several runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from fssbench import cli
from fssbench.episode import read_episodes
from fssbench.protocols import protocol
from fssbench.results import load_run
from fssbench.runs import spread_of

FLOOR = ["eval", "--method", "copy-mask", "--dataset", "shapes20i", "--protocol", "bam", "--fold", "1", "-q"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def fssbench(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))  # one index for all tests of the file

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fssbench", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return (int(stop.value.code or 0), *capsys.readouterr())

    return run


def test_all_runs_are_asked_and_told_apart(fssbench, tmp_path: Path):
    code, out, err = fssbench(*FLOOR, "--episodes", "4", "--out", "all")
    assert (code, err) == (0, "")
    summary = load_run(tmp_path / "all").summary(draws=0)
    spread = spread_of(summary, "miou")
    assert len(summary.runs) == 5
    lines = out.splitlines()
    assert lines[0].split() == [
        "fold",
        "episodes",
        *["mIoU", "95", "%", "std"],
        *["FB-IoU", "95", "%", "std"],
    ]
    cells = lines[1].split()
    assert cells[:3] == ["1", "20", f"{summary.miou:.2f}"]
    assert cells[6] == f"{spread.std:.2f}"
    assert "episodes: drawn by bam, seed 510 365 382 322 988, from image lists in order: canonical (by name)" in lines
    said = next(line for line in lines if line.startswith("5 runs of 4 episodes"))
    assert f"{spread.mean:.2f} ± {spread.std:.2f}" in said
    assert "best" not in out
    assert len(json.loads((tmp_path / "all" / "summary.json").read_text())["runs"]) == 5


def test_a_seed_asks_one_run(fssbench, tmp_path: Path):
    code, out, _ = fssbench(*FLOOR, "--episodes", "4", "--seed", "365", "--out", "one")
    assert code == 0
    assert "std" not in out
    one = load_run(tmp_path / "one")
    fssbench(*FLOOR, "--episodes", "4", "--out", "all")
    whole = load_run(tmp_path / "all").summary(draws=0)
    assert one.summary(draws=0).miou == whole.runs[protocol("bam").seeds.index(365)].miou


def test_a_list_of_several_runs_is_exported_and_asked(fssbench, tmp_path: Path):
    asked = ["--dataset", "shapes20i", "--protocol", "bam", "--fold", "1", "--count", "3"]
    assert fssbench("episodes", "export", *asked, "--out", "bam.json")[0] == 0
    assert read_episodes(tmp_path / "bam.json").run_length == 3
    assert fssbench("episodes", "verify", "bam.json", "--dataset", "shapes20i")[0] == 0
    code, out, _ = fssbench(*FLOOR[:5], "--episodes", "bam.json", "-q", "--out", "listed")
    assert code == 0
    assert "5 runs of 3 episodes" in out
    code, _, err = fssbench(*FLOOR[:5], "--episodes", "bam.json", "--seed", "510")
    assert code == 2
    assert "--seed 510 does not fit the list bam.json, which has those of several runs" in err
