"""`fssbench plan`: from run folders to sentences and JSON."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import fssbench as package

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two small runs, made once."""
    folder = tmp_path_factory.mktemp("made")
    dataset = package.open_dataset("shapes20i")
    episodes = package.episodes(dataset, fold=1, way=1, shot=1, protocol="shapes", count=24)
    for name in ("copy-mask", "all-foreground"):
        package.evaluate(package.build(name), dataset, episodes, out=folder / "runs" / name)
    return folder


def test_two_runs_one_run_and_printed_numbers(fssbench, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(made)
    code, out, err = fssbench("plan", "--from", "runs/copy-mask", "runs/all-foreground", "--detect", "20")
    assert (code, err) == (0, "")
    assert "all-foreground fss against copy-mask fss" in out
    assert "To tell 20 points with 80 % power (two-sided test at 5 %) it takes about" in " ".join(out.split())
    assert "1,000 episodes of the fold, as in most papers" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80
    code, out, _ = fssbench("plan", "--from", "runs/copy-mask", "--correlation", "0.5", "--json")
    found = json.loads(out)
    assert (code, found["correlation"], found["difference"]) == (0, 0.5, None)
    assert {"needed", "sizes", "floor", "shares", "between_classes", "sentences"} <= found.keys()
    assert [size["episodes"] for size in found["sizes"]] == [24, 1000, 5000]
    code, out, err = fssbench("plan", "--from", "runs/copy-mask", "--printed")
    assert (code, "there is no printed number on shapes20i" in err) == (2, True)
    code, out, _ = fssbench("plan", "--from", "runs/copy-mask", "--printed", "--dataset", "pascal5i", "--json")
    printed = json.loads(out)["printed"]
    assert 0 < printed["pairs_below_paired"] <= printed["pairs_below_unpaired"] <= printed["pairs"]
    assert "a guide only" in printed["notes"][0]
    assert "printed means are over all folds" in printed["notes"][1]
    hsnet = next(s for s in printed["steps"] if (s["method"], s["shot"], s["backbone"]) == ("HSNet", 1, "ResNet50"))
    assert hsnet["mean"] == 64.0
    assert hsnet["below_paired"] == (round(hsnet["difference"], 6) < printed["paired"])
    # The table is the same in words.
    code, out, _ = fssbench("plan", "--from", "runs/copy-mask", "--printed", "--dataset", "pascal5i")
    assert f"of all {printed['pairs']} pairs of methods" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "a plan is made from one run, or two"),
        (["--from", "a", "b", "c"], "not 3"),
        (["--from", "nowhere"], "there is no run in nowhere"),
        (["--from", "runs/copy-mask", "runs/copy-mask"], "a run is not compared with itself"),
        (["--from", "runs/copy-mask", "--detect", "0"], "above 0 and at most 100"),
        (["--from", "runs/copy-mask", "--detect", "nan"], "above 0 and at most 100"),
        (["--from", "runs/copy-mask", "--power", "1"], "from 0.5 to below 1"),
        (["--from", "runs/copy-mask", "--alpha", "0.7"], "above 0 and below 0.5"),
        (["--from", "runs/copy-mask", "--fold", "0"], "no fold 0"),
        (["--from", "runs/copy-mask", "--correlation", "1"], "from 0 to below 1"),
        (["--from", "runs/copy-mask", "runs/all-foreground", "--correlation", "0.5"], "is measured"),
        (["--from", "runs/copy-mask", "--dataset", "pascal5i"], "add --printed"),
    ],
)
def test_what_gives_no_plan_is_refused(fssbench, made: Path, options: list[str], message: str) -> None:
    code, _, err = fssbench("plan", *(str(made / word) if word.startswith("runs/") else word for word in options))
    assert (code, message in err) == (2, True), err


def test_an_unfinished_run_is_refused(fssbench, made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "runs" / "copy-mask", tmp_path / "half")
    rows = (tmp_path / "half" / "rows.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "half" / "rows.jsonl").write_text("".join(rows[:6]))
    code, _, err = fssbench("plan", "--from", "half")
    assert (code, "18 of 24 episodes are missing" in err) == (2, True), err
    assert err.splitlines()[-1].endswith("--out half --resume")
