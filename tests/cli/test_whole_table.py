"""`fssbench eval` of several methods, data sets and numbers of shots: a whole table in one command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fssbench.engine import runner
from fssbench.engine.loop import evaluate_jobs

pytestmark = pytest.mark.usefixtures("elsewhere")
TABLE = ["eval", "--method", "copy-*,hsnet", "--dataset", "shapes20i,shapes20i-underwater"]
MORE = ["--train-dataset", "shapes20i", "--fold", "1", "--episodes", "2"]
SETS = ("shapes20i", "shapes20i-underwater")


def rows(folder: Path) -> list[dict[str, object]]:
    lines = (folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    return [{key: value for key, value in json.loads(line).items() if key != "seconds"} for line in lines]


def test_a_table_has_the_rows_of_its_parts(fssbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = fssbench(*TABLE, *MORE, "--shots", "1,2", "--out", "all")
    assert code == 0
    assert "shapes20i-underwater, fold 1: 8/8" in err.splitlines()[-1]
    assert "0:00 left" in err.splitlines()[-1]
    head, *lines = (line.split() for line in out.splitlines()[:9])
    assert head[:5] == ["method", "data", "set", "K", "episodes"]
    assert [line[:3] for line in lines] == [
        [method, dataset, shot] for dataset in SETS for method in ("copy-mask", "hsnet") for shot in "12"
    ]
    for dataset in SETS:
        method = ["eval", "--method", "hsnet", "--dataset", dataset, *MORE, "--shots", "2", "-q"]
        assert fssbench(*method, "--out", f"one/{dataset}")[0] == 0
        assert rows(tmp_path / "all" / dataset / "hsnet-2shot") == rows(tmp_path / "one" / dataset)
    code, out, _ = fssbench("table", "--runs", "all", "--dataset", "shapes20i", "--source", "measured")
    assert code == 0
    assert all(name in out for name in ("HSNet", "1-shot", "2-shot"))

    # All is there: nothing is built and nothing is evaluated again.
    def refuse(*_: object) -> None:
        raise AssertionError("a complete run is built again")

    monkeypatch.setattr(runner, "build_planned", refuse)
    before = {path: path.read_bytes() for path in (tmp_path / "all").rglob("*.json*")}
    assert fssbench(*TABLE, *MORE, "--shots", "1,2", "--out", "all", "--resume")[0] == 0
    assert {path: path.read_bytes() for path in (tmp_path / "all").rglob("*.json*")} == before


def test_a_table_that_is_broken_off_goes_on_where_it_was(
    fssbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods = ["eval", "--method", "copy-mask,all-foreground", "--dataset", ",".join(SETS), "--fold", "0"]
    whole = [*methods, "--episodes", "4"]
    assert fssbench(*whole, "--out", "whole", "-q")[0] == 0
    evaluated = []

    def broken_off(*arguments: object, **options: object):
        for found in evaluate_jobs(*arguments, **options):  # type: ignore[arg-type]
            evaluated.append(found[1].query)
            yield found
            if len(evaluated) == 11:
                raise KeyboardInterrupt

    monkeypatch.setattr("fssbench.engine.folds.evaluate_jobs", broken_off)
    code, _, err = fssbench(*whole, "--out", "parts", "-q")
    assert code == 130
    assert "the 2 runs on shapes20i are complete; resume does not evaluate them again" in err
    assert "2 evaluated episodes are kept in parts/shapes20i-underwater/copy-mask" in err
    assert "--resume" in err
    kept = (tmp_path / "parts/shapes20i/copy-mask/rows.jsonl").read_bytes()
    code, _, err = fssbench(*whole, "--out", "parts", "--resume")
    assert code == 0
    assert len(evaluated) == 16
    assert (tmp_path / "parts/shapes20i/copy-mask/rows.jsonl").read_bytes() == kept
    for path in (tmp_path / "whole").rglob("rows.jsonl"):
        assert rows(path.parent) == rows(tmp_path / "parts" / path.parent.relative_to(tmp_path / "whole"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_table_killed_in_the_middle_goes_on_where_it_was(fssbench, tmp_path: Path) -> None:
    words = [
        "eval",
        "--method",
        "copy-mask,nothing",
        "--dataset",
        ",".join(SETS),
        "--fold",
        "0",
        "--episodes",
        "30",
        "-q",
    ]
    command = [sys.executable, "-m", "fssbench", *words, "--out", "parts"]

    def kept() -> int:
        return sum(path.read_bytes().count(b"\n") for path in (tmp_path / "parts").rglob("rows.jsonl"))

    running = subprocess.Popen(command)
    while kept() < 70 and running.poll() is None:
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    assert 70 <= kept() < 120
    for out in ("parts", "whole"):
        assert fssbench(*words, "--out", out, "--resume")[0] == 0
    for path in (tmp_path / "whole").rglob("rows.jsonl"):
        other = tmp_path / "parts" / path.parent.relative_to(tmp_path / "whole")
        assert rows(path.parent) == rows(other)
        assert (path.parent / "summary.json").read_bytes() == (other / "summary.json").read_bytes()


def test_wildcards_leave_out_what_can_not_be_evaluated_and_say_so(fssbench, tmp_path: Path) -> None:
    words = ["eval", "--dataset", "shapes20i", "--fold", "0", "--episodes", "1", "--shots", "1,5", "--out", "all"]
    code, out, err = fssbench(*words, "--method", "copy-mask,b*,o*")
    assert code == 0
    assert "left out: bam, 5-shot: the weights of bam are for 1-shot episodes" in err
    assert "left out: oslsm: no checkpoint is registered for oslsm" in err
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == [
        "bam-1shot",
        "copy-mask-1shot",
        "copy-mask-5shot",
    ]
    assert [line.split()[:2] for line in out.splitlines()[1:4]] == [
        ["copy-mask", "1"],
        ["copy-mask", "5"],
        ["bam", "1"],
    ]
    # A run that is there is not left out in silence.
    code, _, err = fssbench(*words, "--method", "copy-mas?")
    assert code == 2
    assert "--resume" in err
    # Nor is what was named.
    code, _, err = fssbench(*words, "--method", "oslsm,c*", "--resume")
    assert code == 2
    assert "no checkpoint is registered for oslsm" in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--method", "x*"], "unknown method 'x*'"),
        (["--method", "hsnet,HSNet"], "each once"),
        (["--dataset", "shapes20i,shapes20i"], "each once"),
        (["--dataset", "z?"], "unknown data set 'z?'"),
        (["--checkpoint", "here.pt", "--dataset", "shapes20i,suim"], "--checkpoint was trained on one data set"),
        (["--episodes", "list.json", "--dataset", "shapes20i,suim"], "a list of episodes is of one data set"),
        (["--fetch", "--dataset", "coco20i,suim"], "--fetch goes with one data set"),
        (["--fetch", "--dataset", "coco20?"], "--fetch goes with one data set"),
        (["--method", "o*"], "none of 1 runs can be evaluated; the first: no checkpoint is registered for oslsm"),
        (["--limit", "0", "--method", "copy-*"], "--limit is 1 or more episodes, not 0"),
    ],
)
def test_what_does_not_go_together_is_refused(fssbench, words: list[str], told: str) -> None:
    usual = {"--method": "copy-mask", "--dataset": "shapes20i"}
    missing = [word for option, value in usual.items() if option not in words for word in (option, value)]
    code, _, err = fssbench("eval", *missing, *words)
    assert code == 2
    assert told in err


def test_a_backbone_is_for_the_methods_that_have_one(fssbench, tmp_path: Path) -> None:
    method = ["eval", "--method", "copy-mask,prototype", "--dataset", "shapes20i", "--backbone", "small", *MORE[2:]]
    assert fssbench(*method, "--out", "all", "-q")[0] == 0
    backbones = [
        json.loads(path.read_text())["method"]["backbone"] for path in sorted((tmp_path / "all").glob("*/run.json"))
    ]
    assert backbones == [None, "small"]
    code, _, err = fssbench("eval", "--method", "copy-*,all-foreground", *method[3:], "--out", "floors")
    assert code == 2
    assert "has no backbone" in err
