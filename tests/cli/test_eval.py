"""`fssbench eval` and `fssbench list` as a person meets them, killed in mid-run too."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from fssbench.results import load_run

REPOSITORY = Path(__file__).resolve().parents[2]
COPY = ["eval", "--method", "copy-mask", "--dataset", "shapes20i"]
pytestmark = pytest.mark.usefixtures("elsewhere")


def answers(folder: Path) -> list[dict[str, object]]:
    """The rows without the one thing that may differ."""
    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def test_a_run_tells_its_numbers_and_where_they_are(fssbench, tmp_path: Path) -> None:
    code, out, err = fssbench(*COPY, "--episodes", "20", "--out", "here")
    assert code == 0
    summary = load_run(tmp_path / "here").summary()
    lines = out.splitlines()
    assert lines[0].split() == ["fold", "episodes", "mIoU", "95", "%", "FB-IoU", "95", "%"]
    for line, fold in zip(lines[1:5], summary.folds, strict=True):
        assert line.split()[:3] == [str(fold.fold), "20", f"{fold.miou:.2f}"]
    mean = next(line for line in lines if line.startswith("mean")).split()
    assert mean[:3] == ["mean", "80", f"{summary.miou:.2f}"]
    assert f"{summary.fb_iou:.2f}" in mean
    assert "episodes: drawn by shapes, seed 0, from image lists in order: canonical (by name)" in lines
    assert lines[-1] == "rows: here"
    assert err.splitlines()[0] == "copy-mask on shapes20i, 1-way 1-shot, protocol shapes; rows go to here"
    assert "fold 3: 20/20" in err


def test_weights_of_the_data_set_above_water_are_asked_below(fssbench, tmp_path: Path) -> None:
    water = ["eval", "--method", "hsnet", "--dataset", "shapes20i-underwater", "--fold", "0", "--episodes", "2"]
    code, _, err = fssbench(*water)
    assert code == 2
    assert "try: --train-dataset shapes20i uses" in err
    code, out, err = fssbench(*water, "--train-dataset", "shapes20i")
    assert code == 0
    assert err.startswith("hsnet small on shapes20i-underwater (trained on shapes20i), 1-way")
    folder = "runs/hsnet-small-shapes20i-to-shapes20i-underwater-shapes-1way-1shot-fold0"
    assert out.splitlines()[-1] == f"rows: {folder}"
    found = load_run(tmp_path / folder).run
    assert (found.train_dataset, found.folds[0].weights.checkpoint) == ("shapes20i", "hsnet-small-shapes20i-fold0")
    fssbench("eval", "--method", "hsnet", "--dataset", "shapes20i", "--fold", "0", "--episodes", "2", "--out", "dry")
    dry = load_run(tmp_path / "dry")
    assert dry.run.folds[0].episodes_hash == found.folds[0].episodes_hash
    assert dry.run.train_dataset is None


def test_run_json_has_the_command_and_what_repeats_it(fssbench, tmp_path: Path) -> None:
    fssbench(*COPY, "--fold", "1", "--episodes", "3", "--shots", "2", "--out", "here", "--quiet")
    run = load_run(tmp_path / "here").run
    assert run.starts[0].command == (
        "fssbench", *COPY, "--fold", "1", "--episodes", "3", "--shots", "2", "--out", "here", "--quiet",
    )  # fmt: skip
    assert (run.method.name, run.method.variant, run.method.backbone) == ("copy-mask", "fss", None)
    assert (run.way, run.shot, [fold.fold for fold in run.folds]) == (1, 2, [1])
    code, _, err = fssbench(*COPY, "--fold", "1", "--episodes", "here/episodes-fold1.json", "--out", "again", "--quiet")
    assert (code, err) == (0, "")
    assert answers(tmp_path / "again") == answers(tmp_path / "here")


def test_fs_cs_tells_the_exact_ratio(fssbench, tmp_path: Path) -> None:
    code, out, _ = fssbench(*COPY, "--fold", "0", "--ways", "2", "--episodes", "8", "--out", "here")
    assert code == 0
    results = load_run(tmp_path / "here")
    assert (results.run.protocol.name, results.run.protocol.ignore) == ("shapes-fscs", "leave-out")
    assert out.splitlines()[0].split() == ["fold", "episodes", "mIoU", "95", "%", "ER", "95", "%"]
    assert f"{results.summary().exact_ratio:.2f}" in out.splitlines()[1]


def test_an_incomplete_run_says_so(fssbench, tmp_path: Path) -> None:
    code, out, _ = fssbench(*COPY, "--fold", "0", "--limit", "2", "--out", "here", "-q")
    assert code == 0
    assert "--limit: only the first 2 episodes of each list were evaluated" in out
    strict = load_run(tmp_path / "here").summary(all_classes=True).miou
    asked = len(load_run(tmp_path / "here").summary().folds[0].asked)
    assert f"fold 0: {asked} of 5 classes have episodes" in out
    assert out.count(f"mIoU is {strict:.2f}") == 1


def test_random_weights_are_the_same_each_time_and_owned_up_to(fssbench, tmp_path: Path) -> None:
    arguments = ["eval", "--method", "prototype", "--dataset", "shapes20i", "--fold", "0", "--episodes", "4", "-q"]
    for out in ("one", "two"):
        code, told, _ = fssbench(*arguments, "--random-weights", "--out", out)
        assert code == 0
        assert "random weights: these numbers say nothing about the method" in told
    assert answers(tmp_path / "one") == answers(tmp_path / "two")
    assert load_run(tmp_path / "one").run.folds[0].weights.kind == "random"


def test_a_checkpoint_of_another_network_is_named_and_nothing_is_written(fssbench, tmp_path: Path) -> None:
    import torch

    from fssbench import build

    torch.save(build("asnet", "small").state_dict(), tmp_path / "asnet.pt")
    code, out, err = fssbench(
        "eval",
        "--method",
        "hsnet",
        "--dataset",
        "shapes20i",
        "--fold",
        "0",
        "--checkpoint",
        "asnet.pt",
        "--out",
        "here",
    )
    assert (code, out) == (2, "")
    assert err.startswith("error: asnet.pt: the weights do not fit HSNet")
    assert len(err.splitlines()) <= 2
    assert not (tmp_path / "here").exists()


def test_a_run_that_is_there(fssbench, tmp_path: Path) -> None:
    arguments = [*COPY, "--fold", "0", "--episodes", "3", "--out", "here", "-q"]
    first = fssbench(*arguments)
    assert fssbench(*arguments) == (
        2,
        "",
        "error: here already has a run\n"
        "  try: continue it with --resume, replace it with --overwrite, or give another --out\n",
    )
    assert fssbench(*arguments, "--resume") == first
    assert fssbench(*arguments, "--overwrite") == first
    code, _, err = fssbench(*arguments, "--resume", "--overwrite")
    assert (code, err) == (2, "error: --resume and --overwrite exclude each other\n")
    code, _, err = fssbench(*arguments, "--resume", "--seed", "7")
    assert code == 2
    assert "can't be continued: its folds[0].episodes_hash is" in err


RUN = [*COPY, "--episodes", "40", "--quiet", "--resume"]


def start(out: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "fssbench", *RUN, "--out", out]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def rows_in(folder: Path) -> int:
    path = folder / "rows.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.slow  # test_shards kills a process of two
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_kill_9_in_mid_run_and_resume(fssbench, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for goal in (7, 60):
        running = start("parts")
        while rows_in(parts) < goal and running.poll() is None:
            time.sleep(0.005)
        running.send_signal(signal.SIGKILL)
        running.wait()
        assert running.returncode == -signal.SIGKILL
        assert goal <= rows_in(parts) < 160
        assert not (parts / "summary.json").exists()
    with (parts / "rows.jsonl").open("ab") as file:
        file.write(b'{"episode":159,"fold":3,"que')  # a write that the kill cut in two
    for out in (parts, whole):
        assert fssbench(*RUN, "--out", out.name)[0] == 0
    assert answers(parts) == answers(whole)
    assert len(answers(whole)) == 160
    assert (parts / "summary.json").read_bytes() == (whole / "summary.json").read_bytes()
    assert len(load_run(parts).run.starts) == 3


def test_forms_are_listed_apart_from_parts_of_an_ablation(monkeypatch: pytest.MonkeyPatch) -> None:
    from fssbench.cli.listing import _LISTINGS
    from fssbench.methods import catalogue

    info = replace(
        catalogue.method_info("asnet"),
        tasks={"fss": "fss", "fscs": "fscs", "fscs-no-mask": "fscs", "fscs-wide": "fscs"},
        ablation={"fscs-no-mask": "(b)", "fscs": "full model"},
    )
    single = replace(info, name="hsnet", tasks={"": "fss"}, ablation={})
    monkeypatch.setattr(catalogue, "_built_in", lambda: {"asnet": info, "hsnet": single})
    monkeypatch.setattr(catalogue, "list_methods", lambda: ["asnet", "hsnet"])
    head, rows = _LISTINGS["methods"]()
    assert head[:4] == ("method", "tasks", "variants", "ablation")
    assert rows[0][:4] == ("asnet", "fss, fs-cs", "fss, fscs, fscs-wide", "fscs-no-mask")
    assert rows[1][:4] == ("hsnet", "fss", "-", "-")


@pytest.mark.parametrize(
    ("what", "some"),
    [
        ("methods", ["hsnet", "asnet", "prototype", "ICCV 2021"]),
        ("datasets", ["pascal5i", "coco20i", "shapes20i", "VOC2012"]),
        ("protocols", ["hsnet", "ifsl-fscs", "400 x 400"]),
        ("backbones", ["resnet50", "vgg16", "small"]),
    ],
)
def test_lists(fssbench, what: str, some: list[str]) -> None:
    code, out, err = fssbench("list", what)
    assert (code, err) == (0, "")
    assert all(word in out for word in some)
