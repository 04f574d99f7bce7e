"""`fssbench eval --until`: a run ends by looks that are fixed before, and makes the same looks again after a kill."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from fssbench.metrics.looks import level_of_each
from fssbench.planning import until as planning
from fssbench.results import load_run
from fssbench.results.rows import read_rows

pytestmark = pytest.mark.usefixtures("elsewhere", "early")
ASKED = ["eval", "--dataset", "shapes20i", "--fold", "1", "--limit", "24", "-q"]
FLOOR = [*ASKED, "--method", "copy-mask"]
LOOKS = (10, 15, 24)


@pytest.fixture
def early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first look be after two episodes of each class, so that few episodes are needed."""
    monkeypatch.setattr(planning, "PER_CLASS", 2)


def record(folder: str = "run") -> dict[str, Any]:
    return json.loads(Path(folder, "run.json").read_text())


def rows(folder: str = "run") -> list[Any]:
    """The rows without what may differ between two runs."""
    return [(row.episode, row.intersection, row.union) for row in read_rows(Path(folder, "rows.jsonl"))]


def keep_rows(folder: str, count: int) -> None:
    """Leave a run as a kill would after so many rows: the looks until then are on record."""
    path, run = Path(folder, "rows.jsonl"), record(folder)
    lines = path.read_text().splitlines(keepends=True)
    # Rows were sorted at the end, and a kill leaves the rows of earlier looks whole: sorted, they are the first ones.
    path.write_text("".join(lines[:count]))
    run["until"]["looks"] = [look for look in run["until"]["looks"] if look["episodes"] <= count]
    run["until"]["stopped"], run["limit"] = "", 24
    Path(folder, "run.json").write_text(json.dumps(run))
    Path(folder, "summary.json").unlink(missing_ok=True)


def test_a_run_ends_at_the_first_narrow_look(fssbench) -> None:
    code, out, err = fssbench(*FLOOR, "--until", "±1000e", "--out", "run")
    assert (code, "not '±1000e'" in err) == (2, True)
    fssbench(*FLOOR, "--until", "0.001", "--out", "all")
    widths = [look["half_width"] for look in record("all")["until"]["looks"]]
    assert [look["episodes"] for look in record("all")["until"]["looks"]] == list(LOOKS)
    assert (record("all")["until"]["stopped"], record("all")["limit"], len(rows("all"))) == ("end", 24, 24)
    wanted = next(n for n, width in enumerate(widths) if n and width < widths[0])
    code, out, err = fssbench(*FLOOR, "--until", f"±{widths[wanted] + 1e-6:.6f}", "--out", "run")
    assert (code, err) == (0, "")
    run = record()
    assert (run["until"]["stopped"], run["limit"]) == ("narrow", LOOKS[wanted])
    assert rows() == rows("all")[: LOOKS[wanted]]
    assert "the number of episodes was decided by the data" in out
    assert f"look {wanted + 1} of 3" in out
    # The interval that is shown is that of the look: wider than one of 95 %.
    results = load_run("run")
    bounds = results.summary().intervals["miou"]
    shown = max(results.summary().miou - bounds.low, bounds.high - results.summary().miou)
    assert shown == pytest.approx(widths[wanted], abs=1e-9)
    assert results.run.interval_level == level_of_each(LOOKS, 0.95) > 0.97


def test_a_killed_run_makes_the_same_looks_again(fssbench) -> None:
    fssbench(*FLOOR, "--until", "0.001", "--out", "whole")
    whole = record("whole")["until"]
    shutil.copytree("whole", "run")
    keep_rows("run", 12)
    assert fssbench("compare", "run", "whole")[0] == 2  # it is unfinished
    code, _, err = fssbench(*FLOOR, "--until", "0.001", "--out", "run", "--resume")
    assert (code, err) == (0, "")
    assert record()["until"] == whole
    assert rows() == rows("whole")
    # Looks whose rows were changed since are no looks of the run.
    keep_rows("run", 12)
    run = record()
    run["until"]["looks"][0]["miou"] += 0.1
    Path("run", "run.json").write_text(json.dumps(run))
    code, _out, err = fssbench(*FLOOR, "--until", "0.001", "--out", "run", "--resume")
    assert (code, "the rows were changed" in err) == (2, True)


def test_a_finished_run_goes_on_to_a_narrower_interval_but_not_with_other_looks(fssbench) -> None:
    fssbench(*FLOOR, "--until", "40", "--out", "run")
    assert len(rows()) == 10
    code, _, err = fssbench(*FLOOR, "--until", "40", "--out", "run", "--resume")
    assert (code, err, len(rows())) == (0, "", 10)
    shorter = ["18" if word == "24" else word for word in FLOOR]
    code, _, err = fssbench(*shorter, "--until", "40", "--out", "run", "--resume")
    assert (code, "its until.schedule is (10, 15, 24), this command's is (10, 15, 18)" in err) == (2, True)
    code, _, err = fssbench(*FLOOR, "--out", "run", "--resume")
    assert (code, "its until is ±40, looks after 10, 15, 24 episodes" in err) == (2, True)
    code, _, err = fssbench(*FLOOR, "--until", "0.001", "--out", "run", "--resume")
    assert (code, len(rows())) == (0, 24)
    assert [look["episodes"] for look in record()["until"]["looks"]] == list(LOOKS)
    # It has gone on from the look that would do.
    code, _out, err = fssbench(*FLOOR, "--until", "40", "--out", "run", "--resume")
    assert (code, len(rows()), record()["until"]["stopped"]) == (0, 24, "narrow")


def test_methods_of_a_pass_end_together_and_one_is_replayed_alone(fssbench) -> None:
    both = [*ASKED, "--method", "copy-mask,all-foreground"]
    fssbench(*both, "--until", "0.001", "--out", "all")
    widths = [
        [look["half_width"] for look in record(f"all/{name}")["until"]["looks"]]
        for name in ("copy-mask", "all-foreground")
    ]
    assert widths[0] != widths[1]
    lower = min(range(2), key=lambda n: widths[n][0])
    target = (widths[lower][0] + widths[1 - lower][0]) / 2
    end = next((n for n in range(3) if max(one[n] for one in widths) <= target), 2)
    assert end > 0
    code, out, err = fssbench(*both, "--until", f"{target:.6f}", "--out", "run")
    assert (code, err) == (0, "")
    names = [f"run/{name}" for name in ("copy-mask", "all-foreground")]
    assert [len(rows(name)) for name in names] == [LOOKS[end]] * 2
    assert [record(name)["until"]["together"] for name in names] == [2, 2]
    # The narrow one waited for the other, and does so when it is replayed.
    code, out, err = fssbench("eval", "-q", "--replay", names[lower], "--out", "again")
    assert (code, "0 were not evaluated" in out) == (0, False)
    assert rows("again") == rows(names[lower])
    assert record("again")["until"] == record(names[lower])["until"]
    assert "other" not in out


def test_compare_pairs_common_episodes_and_corrects_for_the_looks(fssbench) -> None:
    fssbench(*FLOOR, "--until", "40", "--out", "run")
    fssbench(*ASKED, "--method", "all-foreground", "--out", "other")
    code, out, _err = fssbench("compare", "other", "run", "--format", "json")
    found = json.loads(out)
    assert (code, found["level"]) == (0, level_of_each(LOOKS, 0.95))
    assert any("only common episodes" in note for note in found["notes"])
    assert any("p ≤ 0.0231 is what p ≤ 0.05 is elsewhere" in note for note in found["notes"]), found["notes"]
    assert sum(found["duels"][0]["episodes"][0][key] for key in ("won", "lost", "tied")) == 10


def test_tables_and_checks_say_that_the_data_decided(fssbench) -> None:
    fssbench(*FLOOR, "--until", "40", "--out", "run")
    code, out, err = fssbench("table", "--runs", "run", "--source", "measured")
    assert (code, "the number of episodes was decided by the data" in " ".join(out.split())) == (0, True)
    code, out, err = fssbench("check", "run")
    assert "--until" in out + err
    code, out, err = fssbench("check", "--update", "--baselines", "own", "run")
    assert (code, "the data decided the number of its episodes" in err) == (2, True)
    assert any("decided by the data" in note for note in json.loads(Path("run/summary.json").read_text())["notes"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--until", "0"], "above 0 and below 50"),
        (["--until", "-1"], "not '-1'"),
        (["--until", "nan"], "not 'nan'"),
        (["--until", "1", "--shard", "1/2"], "a shard has only a part"),
        (["--until", "1", "--runs", "2"], "--limit cuts the list of all runs"),
        (["--until", "1", "--limit", "11"], "there is nothing to save"),
        (["--until", "1", "--references", "3"], "would cut references off"),
        (["--until", "1", "--absent", "0.25"], "further references or absent queries"),
        (["--until", "1", "--replay", "run"], "--until would change that"),
    ],
)
def test_what_does_not_go_with_it_is_refused(fssbench, options: list[str], message: str) -> None:
    Path("run").mkdir()
    code, _, err = fssbench(*(["eval"] if "--replay" in options else FLOOR), *options, "--out", "new")
    assert (code, message in err) == (2, True), err


def test_several_runs_and_several_processes_are_refused(fssbench, monkeypatch: pytest.MonkeyPatch) -> None:
    several = ["eval", "--dataset", "shapes20i", "--fold", "1", "--method", "copy-mask", "--runs", "2"]
    code, _, err = fssbench(*several, "--until", "1", "--out", "new")
    assert (code, "holds several runs" in err) == (2, True)
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "0"), ("LOCAL_WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    code, _, err = fssbench(*FLOOR, "--until", "1", "--out", "new")
    assert (code, "--until goes with one process" in err) == (2, True)


def test_a_record_whose_level_does_not_fit_its_looks_is_refused(fssbench) -> None:
    fssbench(*FLOOR, "--until", "40", "--out", "run")
    run = record()
    run["until"]["level_of_each"] = 0.9
    Path("run", "run.json").write_text(json.dumps(run))
    code, _, err = fssbench("compare", "run", "run")
    assert (code, "the rule and its looks do not fit each other" in err) == (2, True)
