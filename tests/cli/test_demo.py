"""`fssbench demo` prints one table, in a folder that is nobody else's; several methods of `fssbench eval` do, too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fssbench.cli import demo
from fssbench.cli.report import Evaluated, notes_of
from fssbench.methods.catalogue import method_info
from fssbench.results import load_run

Run = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("elsewhere", "threads_restored")

NAMES = ("copy-mask", "hsnet")


def test_three_trained_methods_are_held_against_a_floor() -> None:
    floor, *trained = map(method_info, demo.METHODS)
    assert not floor.venue
    assert len(trained) == 3
    assert all(info.trainable for info in trained)


def test_the_table_is_the_last_thing_besides_what_to_try_next(
    fssbench: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "EPISODES", 2)
    monkeypatch.setattr(demo, "METHODS", NAMES)
    mine = tmp_path / "runs" / "demo" / "hsnet"
    mine.mkdir(parents=True)
    (mine / "notes.txt").write_text("mine")
    code, out, err = fssbench("demo")
    assert code == 0
    assert len(out.splitlines()) + len(err.splitlines()) < 40
    *_, head, floor, trained, empty, what, one, two, three = out.splitlines()
    assert (empty, what) == ("", "What to try next:")
    assert all("  fssbench " in line and len(line) <= 80 for line in (one, two, three))
    assert head.split()[:3] == ["method", "episodes", "mIoU"]
    runs = Path("runs/demo-2")  # runs/demo has other things
    assert {path.name for path in Path("runs/demo/hsnet").iterdir()} == {"notes.txt"}
    for name, line in zip(NAMES, (floor, trained), strict=True):
        summary = load_run(runs / name).summary()
        assert summary.episodes == 8
        assert line.startswith("copy-mask (floor)  " if line == floor else f"{name}  ")
        assert f" {summary.miou:.2f} " in line
    rows = {name: (runs / name / "rows.jsonl").read_bytes() for name in NAMES}
    code, again, _ = fssbench("demo", "--quiet")
    assert (code, again) == (0, out), "a finished one prints its table again"
    assert {name: (runs / name / "rows.jsonl").read_bytes() for name in NAMES} == rows


def test_several_methods_end_in_one_table_and_notes_of_one_have_its_name(fssbench: Run) -> None:
    methods = ("--method", "copy-mask,hsnet", "--shots", "1,5", "--random-weights")
    code, out, err = fssbench("eval", *methods, "--dataset", "shapes20i", "--fold", "0", "--limit", "2", "--out", "o")
    assert code == 0
    lines = out.splitlines()
    assert [line.split()[:3] for line in lines[:5]] == [
        ["method", "K", "episodes"],
        *([name, shot, "2"] for name in ("copy-mask", "hsnet") for shot in ("1", "5")),
    ]
    assert "hsnet, 1-shot; hsnet, 5-shot: random weights: these numbers say nothing about the method" in lines
    assert lines.count("--limit: only the first 2 episodes of each list were evaluated") == 1
    assert lines[-1] == "rows: o: copy-mask-1shot, copy-mask-5shot, hsnet-1shot, hsnet-5shot"
    first = "copy-mask, hsnet small on shapes20i, 1-way 1,5-shot, protocol shapes; rows go to o"
    assert err.splitlines() == [first, "fold 0: 8 episodes", err.splitlines()[-1]]


def test_runs_of_different_protocols_are_not_compared_silently(fssbench: Run) -> None:
    copied = ("eval", "--method", "copy-mask", "--dataset", "shapes20i", "--fold", "0", "--episodes", "2", "--quiet")
    runs = []
    for protocol in ("shapes", "hsnet"):
        assert fssbench(*copied, "--protocol", protocol, "--out", protocol)[0] == 0
        runs.append(Evaluated("copy-mask", load_run(protocol), ()))
    told = "the protocols differ, so these numbers can't be compared; --protocol NAME is one for all"
    assert told in notes_of(runs, [run.results.summary(draws=0) for run in runs])
    assert told not in notes_of(runs[:1] * 2, [runs[0].results.summary(draws=0)] * 2)
