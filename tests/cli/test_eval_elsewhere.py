"""Weights that were trained on one data set, asked on another: what is asked, refused and marked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fssbench import build, evaluate, open_dataset
from fssbench import episodes as draw
from fssbench.errors import UsageError
from fssbench.results import load_run
from tests.datasets.trees import isic_tree, label_map, suim_part, voc_tree

ACROSS = ["eval", "--method", "copy-mask", "--train-dataset", "coco20i", "--quiet", "--episodes", "4"]
VOC = [*ACROSS, "--dataset", "pascal5i", "--protocol", "hsnet"]


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = {f"200{n}_0000{c:02d}": label_map((c, 0, 0, 96, 96)) for c in range(1, 21) for n in (8, 9)}
    voc_tree(tmp_path / "data", labels, list(labels))
    codes = {f"{part}{c}": label_map((c, 0, 0, 9, 9), size=(20, 20)) for c in range(1, 8) for part in "ab"}
    suim_part(tmp_path / "data" / "SUIM" / "TEST", codes)
    isic_tree(tmp_path / "data", {f"ISIC_{n}": ("nevus", "melanoma", "seborrheic_keratosis")[n % 3] for n in range(9)})
    monkeypatch.setenv("FSSBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


def test_each_fold_is_asked_its_unseen_classes(fssbench) -> None:
    code, out, err = fssbench(*VOC, "--out", "run")
    assert (code, err) == (0, "")
    run = load_run(Path("run")).run
    assert [len(fold.classes) for fold in run.folds] == [6, 4, 6, 4]
    assert (run.train_dataset, run.dataset.options) == ("coco20i", {"test_classes": "unseen"})
    assert {fold.leaking for fold in run.folds} == {()}
    assert "test classes: unseen, folds are those of coco20i" in out
    assert "episodes: drawn by hsnet, seed 0" in out, "and not compared with those of HSNet's release"
    assert fssbench(*VOC)[1].splitlines()[-1] == "rows: runs/copy-mask-coco20i-to-pascal5i-hsnet-1way-1shot"


def test_classes_that_training_has_seen_are_refused_by_name(fssbench) -> None:
    code, out, err = fssbench(*VOC, "--test-classes", "repri-released", "--out", "run")
    assert (code, out) == (2, "")
    assert "training on coco20i has seen classes that pascal5i would evaluate" in err
    assert "fold 2: cat; fold 3: car" in err
    assert "7 for cat and 8 for car" in err
    assert "--allow-leak" in err
    assert not Path("run").exists()
    # The other folds are as they should be.
    assert fssbench(*VOC, "--test-classes", "repri-released", "--fold", "1")[0] == 0


def test_forced_they_are_asked_and_marked_everywhere(fssbench) -> None:
    code, out, _ = fssbench(*VOC, "--test-classes", "repri-released", "--allow-leak", "--out", "runs/forced")
    assert code == 0
    assert "LEAK: this run tests classes that training on coco20i has seen, fold 2: cat; fold 3: car" in out
    stored = json.loads(Path("runs/forced/run.json").read_text())
    assert [fold["leaking"] for fold in stored["folds"]] == [[], [], ["cat"], ["car"]]
    code, out, _ = fssbench("table", "--dataset", "coco20i_to_pascal5i", "--source", "measured")
    assert "tests classes that training on coco20i has seen, so it is not ranked" in out
    assert "fold 2: cat; fold 3: car" in " ".join(out.split())
    # Resuming asks the same, so it is refused or forced as the run was.
    assert fssbench(*VOC, "--test-classes", "repri-released", "--out", "runs/forced", "--resume")[0] == 2


def test_classes_that_are_left_out_can_not_leak(fssbench, tmp_path: Path) -> None:
    for mask in (tmp_path / "data" / "VOC2012" / "SegmentationClassAug").glob("200?_000008.png"):
        mask.unlink()
    released = (*VOC, "--test-classes", "repri-released", "--fold", "2")
    assert fssbench(*released, "--skip-short-classes")[0] == 0


def test_an_own_list_of_the_data_set_is_held_against_training_too(fssbench) -> None:
    fssbench("episodes", "export", "--dataset", "pascal5i", "--fold", "1", "--count", "4", "--out", "own.json")
    asked = ("eval", "--method", "copy-mask", "--dataset", "pascal5i", "--episodes", "own.json", "--quiet")
    assert fssbench(*asked)[0] == 0
    code, _, err = fssbench(*asked, "--train-dataset", "coco20i")
    assert code == 2
    assert "fold 1: car, cat, chair, cow" in err
    code, _, err = fssbench(*asked, "--train-dataset", "coco20i", "--test-classes", "unseen")
    assert (code, "--test-classes unseen does not fit the list, which has own" in err) == (2, True)


def test_a_list_says_itself_whose_folds_it_asks(fssbench) -> None:
    export = ("episodes", "export", "--dataset", "pascal5i", "--train-dataset", "coco20i", "--fold", "all")
    assert fssbench(*export, "--count", "4", "--out", "l{fold}.json")[0] == 0
    assert fssbench("episodes", "verify", "l2.json", "--dataset", "pascal5i")[0] == 0
    asked = ("eval", "--method", "copy-mask", "--dataset", "pascal5i", "--episodes", "l{fold}.json", "--quiet")
    code, out, _ = fssbench(*asked, "--out", "given", "--save-predictions", "answers")
    assert (code, "folds are those of coco20i" in out) == (0, True)
    fssbench(*VOC, "--out", "drawn")
    hashes = [[fold.episodes_hash for fold in load_run(Path(name)).run.folds] for name in ("given", "drawn")]
    assert hashes[0] == hashes[1]
    code, _, err = fssbench(*asked, "--train-dataset", "pascal5i")
    assert (code, "--train-dataset pascal5i does not fit the list, which has coco20i" in err) == (2, True)
    score = ("score", "--predictions", "answers", "--episodes", "l{fold}.json", "--out", "scored", "--quiet")
    assert fssbench(*score)[0] == 0
    scored = load_run(Path("scored"))
    assert scored.run.train_dataset == "coco20i"
    assert scored.summary(draws=0).miou == load_run(Path("given")).summary(draws=0).miou


def test_predictions_for_classes_that_training_has_seen(fssbench) -> None:
    fssbench("episodes", "export", "--dataset", "pascal5i", "--fold", "1", "--count", "4", "--out", "own.json")
    native = ("eval", "--method", "copy-mask", "--dataset", "pascal5i", "--episodes", "own.json", "--quiet")
    fssbench(*native, "--save-predictions", "answers")
    score = ("score", "--predictions", "answers", "--episodes", "own.json", "--train-dataset", "coco20i", "--quiet")
    code, _, err = fssbench(*score)
    assert (code, "fold 1: car, cat, chair, cow" in err) == (2, True)
    code, out, _ = fssbench(*score, "--allow-leak")
    assert (code, "LEAK" in out) == (0, True)


@pytest.mark.parametrize("train", ["coco20i", "pascal5i"])
def test_every_fold_is_asked_all_classes_of_suim(fssbench, train: str) -> None:
    across = ("eval", "--method", "copy-mask", "--train-dataset", train, "--dataset", "suim", "--quiet")
    code, out, _ = fssbench(*across, "--episodes", "7", "--out", "run")
    run = load_run(Path("run")).run
    assert [fold.classes for fold in run.folds] == [tuple(range(1, 8))] * 4
    assert (run.protocol.name, run.split) == ("suim", "test")
    assert "whole set, of the images that are here" in out
    code, out, _ = fssbench(*across, "--episodes", "7", "--part", "test", "--fold", "3", "--ways", "2", "--shots", "1")
    assert (code, "test folder, of the images that are here" in out) == (0, True)
    code, out, _ = fssbench("table", "--dataset", f"{train}_to_suim", "--runs", "run")
    assert "copy-mask" in out
    assert "MMT" in out, "the printed rows of the pair stand beside it"
    code, _, err = fssbench(*across, "--fold", "4")
    assert (code, f"{train} has no fold 4: its folds are 0 to 3" in err) == (2, True)


def test_what_trains_nothing_needs_weights_from_elsewhere(fssbench) -> None:
    code, _, err = fssbench("eval", "--method", "hsnet", "--dataset", "suim", "--skip-short-classes")
    assert code == 2
    assert "suim has no training classes: it is for weights trained on other data" in err
    assert "--train-dataset NAME" in err
    code, _, err = fssbench("train", "--method", "hsnet", "--dataset", "suim", "--fold", "0")
    assert (code, "suim has no training classes" in err) == (2, True)


def test_patnets_data_sets_are_asked_by_patnets_protocol(fssbench) -> None:
    across = ("eval", "--method", "copy-mask", "--train-dataset", "pascal5i", "--dataset", "isic2018", "--quiet")
    code, _, _ = fssbench(*across, "--episodes", "6", "--shots", "5", "--out", "run")
    run = load_run(Path("run")).run
    assert (code, run.protocol.name, run.protocol.input, run.shot) == (0, "patnet", (400, 400), 5)
    assert fssbench(*across, "--episodes", "6", "--ways", "3", "--out", "fscs")[0] == 0
    assert load_run(Path("fscs")).run.way == 3


def test_from_python_too() -> None:
    method = build("copy-mask")
    released = open_dataset("pascal5i", train_dataset="coco20i", test_classes="repri-released")
    asked = draw(released, fold=2, shot=1, protocol="hsnet", count=3)
    with pytest.raises(UsageError, match="fold 2: cat"):
        evaluate(method, released, asked)
    results = evaluate(method, released, asked, allow_leak=True)
    assert (results.run.train_dataset, results.run.folds[0].leaking) == ("coco20i", ("cat",))
    bare = evaluate(method, open_dataset("pascal5i", train_dataset="coco20i"), asked[:1], protocol="hsnet")
    assert bare.run.folds[0].leaking == ()
