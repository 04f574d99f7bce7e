"""Methods without training, from the command line to the caveats printed with their numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import fssbench as package
from tests.datasets.trees import annotation, box, coco_tree

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    notes = [annotation(n, n, 1, box(10 * n, 10, 60, 60)) | {"area": 3600.0} for n in range(1, 5)]
    return coco_tree(tmp_path_factory.mktemp("coco"), {"val": (range(1, 5), notes)})


def evaluated(fssbench: Run, coco: Path, tmp_path: Path, method: str, backbone: str, *options: str) -> str:
    code, out, err = fssbench(
        *(
            "eval",
            "--method",
            method,
            "--backbone",
            backbone,
            "--dataset",
            "coco20i",
            "--root",
            str(coco),
            "--fold",
            "0",
        ),
        *("--limit", "2", "--skip-short-classes", "--random-weights", "--out", str(tmp_path / "run"), *options),
    )
    assert (code, err.count("error")) == (0, 0)
    return " ".join(out.split())


def test_a_protocol_says_what_its_numbers_can_not_show(fssbench: Run, coco: Path, tmp_path: Path) -> None:
    out = evaluated(fssbench, coco, tmp_path, "fssdino", "dinov3-tiny", "--labels", "large")
    assert "the FB-IoU of its release, the mean of all classes' IoU and the background's, is not counted here" in out
    assert "in the order of a Python set" in out
    assert "LEAK" not in out


def test_weights_that_have_seen_the_test_classes_are_a_leak(fssbench: Run, coco: Path, tmp_path: Path) -> None:
    out = evaluated(fssbench, coco, tmp_path, "seggpt", "seggpt-tiny")
    assert "LEAK: SegGPT was trained on labelled masks of the classes of PASCAL and COCO" in out


def test_one_file_of_weights_serves_all_folds(fssbench: Run, tmp_path: Path) -> None:
    torch.manual_seed(0)
    method = package.build("insid3", "dinov3-tiny")
    torch.save({key.removeprefix("backbone.network."): v for key, v in method.state_dict().items()}, tmp_path / "w.pt")
    code, out, _ = fssbench(
        *("eval", "--method", "insid3", "--backbone", "dinov3-tiny", "--dataset", "shapes20i", "--fold", "all"),
        *("--limit", "1", "--checkpoint", str(tmp_path / "w.pt"), "--out", str(tmp_path / "run")),
    )
    assert code == 0
    assert "random weights" not in out
