"""`fssbench bench-backbones`: one list of episodes, one table, and runs that are kept."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fssbench.comparison import compare
from fssbench.results import load_run
from tests.cli.conftest import evaluated_here
from tests.hub.models import saved

pytest.importorskip("transformers")


@pytest.fixture
def in_process(fssbench: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Evaluate in this process; what was evaluated."""
    evaluated: list[str] = []
    monkeypatch.setattr("fssbench.engine.profiling.backbones.evaluated", evaluated_here(fssbench, evaluated))
    return evaluated


@pytest.fixture
def bench(fssbench: Any, elsewhere: None, tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """Run the command on four episodes with the small backbone and a tiny one of the hub, in the folder ./tiny."""
    saved("dinov2", tmp_path / "tiny")
    return lambda *more: fssbench("bench-backbones", "--fold", "0", "--episodes", "4", "--out", "runs", *more)


NAMES = "small,hf:./tiny#2,4"


def test_backbones_are_compared_on_the_same_episodes(bench: Any, in_process: list[str], tmp_path: Path) -> None:
    code, out, _ = bench("--backbone", NAMES, "--format", "json")
    assert code == 0
    table = json.loads(out)
    assert (table["method"], table["protocol"], table["folds"]) == ("prototype", "shapes", [0])
    first, second = table["backbones"]
    assert [first["backbone"], second["backbone"]] == ["small", "hf:./tiny#2,4"]
    runs = [load_run(row["folder"]) for row in (first, second)]
    (duel,) = compare(runs).duels
    expected = duel.differences[0]
    assert first["difference"] is None
    assert second["difference"] == pytest.approx(expected.difference, abs=1e-3)
    assert second["difference"] == pytest.approx(second["miou"] - first["miou"], abs=1e-3)
    assert second["difference_low"] == pytest.approx(expected.interval.low, abs=1e-3)
    for row, run in zip((first, second), runs, strict=True):
        summary = run.summary()
        assert row["miou"] == pytest.approx(summary.miou, abs=1e-3)
        bounds = summary.intervals["fb_iou"]
        assert row["fb_iou_high"] == (pytest.approx(bounds.high, abs=1e-3) if bounds.given else None)
        assert row["milliseconds_per_image"] > 0
        assert row["peak_memory_mib"] > 100
        assert row["sha256"] == run.run.folds[0].weights.sha256
    from safetensors.torch import load_file

    weights = load_file(tmp_path / "tiny" / "model.safetensors")
    assert second["parameters"] == sum(value.numel() for value in weights.values())
    (written,) = [
        row
        for row in csv.DictReader(io.StringIO((tmp_path / "runs" / "backbones.csv").read_text()))
        if row["difference"]
    ]
    assert float(written["difference"]) == second["difference"]
    # Finished runs are kept, and the same table is shown in another form.
    in_process.clear()
    assert bench("--backbone", NAMES)[0] == 2
    assert in_process == []
    code, out, _ = bench("--backbone", NAMES, "--resume", "--format", "csv")
    assert code == 0
    assert [row["miou"] for row in csv.DictReader(io.StringIO(out))] == [str(first["miou"]), str(second["miou"])]
    for form in ("terminal", "markdown"):
        code, out, _ = bench("--backbone", NAMES, "--resume", "--format", form)
        assert f"{second['difference']:+.2f}" in out
        assert "hf:./tiny#2,4" in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--backbone", "small,small"], "each once"),
        (["--backbone", "small,"], "names with commas between them"),
        (["--backbone", "small,none"], "no backbone 'none'"),
        (["--backbone", "small,hf:./gone"], "there is no folder gone"),
        (["--backbone", "small", "--method", "hsnet"], "hsnet has weights that are trained for one backbone"),
        (["--backbone", "small", "--method", "copy-mask"], "copy-mask has no backbone to choose"),
        (["--backbone", "small", "--fold", "9"], "has no fold 9"),
    ],
)
def test_mistakes_are_found_before_the_first_run(
    bench: Any, in_process: list[str], arguments: list[str], told: str
) -> None:
    code, out, err = bench(*arguments)
    assert (code, out, in_process) == (2, "", [])
    assert told in err
    assert len(err.splitlines()) <= 2


@pytest.mark.slow
def test_each_backbone_has_a_process_of_its_own(bench: Any) -> None:
    code, out, _ = bench("--backbone", "hf:./tiny", "--format", "csv")
    assert code == 0
    assert [row["backbone"] for row in csv.DictReader(io.StringIO(out))] == ["hf:./tiny"]
