"""`fssbench eval` and `fssbench episodes` where a protocol asks several runs."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest

from fssbench.episode import read_episodes
from fssbench.metrics.runs import spread_of
from fssbench.protocols.rules import protocol
from fssbench.results import load_run

FLOOR = ["eval", "--method", "copy-mask", "--dataset", "shapes20i", "--protocol", "bam", "--fold", "1", "-q"]
pytestmark = pytest.mark.usefixtures("elsewhere")


def test_all_runs_are_asked_and_told_apart(fssbench, tmp_path: Path) -> None:
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
    # Of so few episodes no interval can be given.
    assert cells[3:5] == ["-", f"{spread.std:.2f}"]
    assert "episodes: drawn by bam, seed 510 365 382 322 988, from image lists in order: canonical (by name)" in lines
    said = next(line for line in lines if line.startswith("5 runs of 4 episodes"))
    assert f"{spread.mean:.2f} ± {spread.std:.2f}" in said
    assert "best" not in out
    assert len(json.loads((tmp_path / "all" / "summary.json").read_text())["runs"]) == 5


def test_a_seed_asks_one_run(fssbench, tmp_path: Path) -> None:
    code, out, _ = fssbench(*FLOOR, "--episodes", "4", "--seed", "365", "--out", "one")
    assert code == 0
    assert "std" not in out
    one = load_run(tmp_path / "one")
    fssbench(*FLOOR, "--episodes", "4", "--out", "all")
    whole = load_run(tmp_path / "all").summary(draws=0)
    assert one.summary(draws=0).miou == whole.runs[protocol("bam").seeds.index(365)].miou


def test_a_list_of_several_runs_is_exported_and_asked(fssbench, tmp_path: Path) -> None:
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


SHAPES = ["eval", "--method", "copy-mask", "--dataset", "shapes20i", "--fold", "1", "-q", "--episodes", "4"]


def test_any_protocol_is_asked_several_runs(fssbench, tmp_path: Path) -> None:
    code, out, err = fssbench(*SHAPES, "--runs", "3", "--seed", "7", "--out", "all")
    assert (code, err) == (0, "")
    assert "episodes: drawn by shapes, seed 7 8 9, from image lists in order: canonical (by name)" in out
    assert "3 runs of 4 episodes: mIoU is their mean with their standard deviation" in out
    whole = load_run(tmp_path / "all").summary(draws=0)
    apart = []
    for seed in ("7", "8", "9"):
        fssbench(*SHAPES, "--seed", seed, "--out", seed)
        apart.append(load_run(tmp_path / seed).summary(draws=0).miou)
    assert [run.miou for run in whole.runs] == apart
    assert len(set(apart)) == 3
    spread = spread_of(whole, "miou")
    assert spread is not None
    assert (spread.mean, spread.std) == (pytest.approx(statistics.mean(apart)), pytest.approx(statistics.stdev(apart)))
    assert fssbench("episodes", "verify", "all/episodes-fold1.json", "--dataset", "shapes20i")[0] == 0


def test_fewer_runs_than_the_release_are_its_first(fssbench, tmp_path: Path) -> None:
    assert fssbench(*FLOOR, "--episodes", "4", "--runs", "2", "--out", "two")[0] == 0
    fssbench(*FLOOR, "--episodes", "4", "--out", "all")
    two, whole = (load_run(tmp_path / name).summary(draws=0) for name in ("two", "all"))
    assert two.runs == whole.runs[:2]


@pytest.mark.parametrize(
    ("arguments", "told", "remedy"),
    [
        ([*FLOOR, "--runs", "6"], "protocol bam has seeds for 5 runs, not for 6", "--seed 1 --runs 6"),
        ([*SHAPES, "--runs", "0"], "--runs is 1 or more, not 0", ""),
        ([*SHAPES, "--runs", "2", "--limit", "3"], "--limit cuts the list of all runs", "--episodes 3"),
        ([*SHAPES, "--runs", "2", "--seed", str(2**32 - 1)], f"a seed is a number from 0 to {2**32 - 1}", ""),
        ([*FLOOR[:5], "--runs", "2", "--episodes", "fixed.json"], "the list fixed.json is fixed", "leave --runs out"),
    ],
)
def test_runs_that_can_not_be_drawn_are_refused(fssbench, arguments: list[str], told: str, remedy: str) -> None:
    fssbench("episodes", "export", "--dataset", "shapes20i", "--fold", "1", "--count", "3", "--out", "fixed.json")
    code, _, err = fssbench(*arguments)
    assert code == 2
    assert told in err
    assert remedy in err


@pytest.mark.parametrize("method", ["hsnet", "asnet"])
def test_the_plain_form_gives_the_rows_of_the_fast_one_and_is_on_record(fssbench, tmp_path: Path, method: str) -> None:
    rows = {}
    asked = ["eval", "--method", method, "--dataset", "shapes20i", "--fold", "1", "-q", "--episodes", "3"]
    for form, folder in (("fast", "one"), ("plain", "two")):
        code, _, err = fssbench(*asked, *(["--plain"] if form == "plain" else []), "--out", folder)
        assert (code, err) == (0, "")
        lines = (tmp_path / folder / "rows.jsonl").read_text().splitlines()
        rows[form] = [{key: value for key, value in json.loads(line).items() if key != "seconds"} for line in lines]
        assert json.loads((tmp_path / folder / "run.json").read_text()).get("plain", False) is (form == "plain")
    assert len(rows["fast"]) == 3
    assert rows["plain"] == rows["fast"]
    code, _, err = fssbench(*asked, "--out", "two", "--resume")
    assert code == 2
    assert "plain" in err
