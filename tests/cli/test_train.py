"""`fssbench train`: what a person sees, and the exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from fssbench.cli.train import train
from fssbench.errors import FSSBenchError, MissingError, UsageError
from tests.training.tiny import Squares, tiny_recipe

app = typer.Typer()
app.command()(train)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny data set under the name of the embedded one, and recipes to match."""
    monkeypatch.setattr("fssbench.training.plan.open_dataset", lambda name, root: Squares())
    monkeypatch.setattr("fssbench.training.plan.recipes", lambda network, *_, **__: {"": tiny_recipe(network)})


def _invoke(*arguments: object) -> Any:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, FSSBenchError | SystemExit):
        raise result.exception
    return result


def test_backbone_then_method_then_eval_loads_it(tmp_path: Path) -> None:
    from fssbench import build
    from fssbench.checkpoints import load_into, stated_options

    first = _invoke("--backbone", "small", "--dataset", "shapes20i", "--fold", 0, "--out", tmp_path / "small")
    assert first.exit_code == 0, first.output
    weights = tmp_path / "small" / "weights.safetensors"
    assert f"weights: {weights}" in first.output.replace("\n", "")
    arguments = ["--method", "hsnet", "--dataset", "shapes20i", "--fold", 0, "--backbone-weights", weights]
    second = _invoke(*arguments, "--out", tmp_path / "hsnet")
    assert second.exit_code == 0, second.output
    assert "hsnet, fss, squares, fold 0: step 3/3, loss " in second.output
    assert "steps/s, 0:00 left" in second.output

    trained = tmp_path / "hsnet" / "weights.safetensors"
    method = build("hsnet", backbone="small", **stated_options(trained))  # type: ignore[arg-type]
    load_into(method, trained)
    apart = build("hsnet", backbone="small", **stated_options(trained))  # type: ignore[arg-type]
    load_into(apart, tmp_path / "hsnet" / "head.safetensors", weights)
    assert all(a.equal(b) for a, b in zip(method.state_dict().values(), apart.state_dict().values(), strict=True))

    again = _invoke(*arguments, "--out", tmp_path / "hsnet")
    assert isinstance(again.exception, UsageError)
    assert "--resume" in str(again.exception)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fold", 0], "no method or backbone was named"),
        (["--method", "prototype", "--fold", 0], "has nothing to train; there are "),
        (["--method", "hsnett", "--fold", 0], "did you mean hsnet"),
        (["--method", "hsnet", "--fold", 7], "no fold 7"),
        (["--method", "hsnet", "--fold", 0, "--steps", 0], "--steps is at least 1"),
        (["--method", "hsnet", "--fold", 0, "--backbone", "resnet18"], "no backbone 'resnet18'"),
        (["--method", "hsnet", "--fold", 0, "--seed", -1], "a seed is"),
        (["--backbone", "resnet50", "--fold", 0], "can't be trained here; small can"),
        (["--method", "hsnet", "--fold", 0, "--variant", "fsc"], "no variant 'fsc'"),
        (["--method", "hsnet", "--fold", 0, "--variant", "fss", "--task", "fs-cs"], "is for the task fss, not fscs"),
        (["--method", "bam", "--fold", 0, "--task", "fs-cs"], "no variant for the task fscs"),
        (["--method", "bam", "--fold", 0, "--weak"], "can't learn from image-level labels"),
        (["--method", "hsnet", "--fold", 0, "--variant", "fss", "--ways", 2], "1-way episodes only"),
        (
            ["--method", "panet", "--fold", 0, "--variant", "fss", "--ways", 2],
            "learns this task from 1-way episodes only",
        ),
        (["--method", "hsnet", "--fold", 0, "--shots", 0], "--shots is at least 1"),
    ],
)
def test_usage_errors(arguments: list[object], said: str) -> None:
    result = _invoke("--dataset", "shapes20i", *arguments)
    assert isinstance(result.exception, UsageError)
    assert said in str(result.exception)
    assert result.exception.exit_code == 2


def test_no_weights_for_the_backbone_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("fssbench.checkpoints.registry.records", list)
    arguments = ["--method", "hsnet", "--dataset", "shapes20i", "--fold", 1]
    own = _invoke(*arguments)
    assert isinstance(own.exception, MissingError)
    assert "fssbench train --backbone small --dataset shapes20i --fold 1" in str(own.exception)
    released = _invoke(*arguments, "--backbone", "resnet50")
    assert isinstance(released.exception, MissingError)
    assert "--backbone-weights FILE" in str(released.exception)
    absent = _invoke(*arguments, "--backbone-weights", tmp_path / "none.pt")
    assert isinstance(absent.exception, MissingError)
    assert "none.pt" in str(absent.exception)


def test_usage_errors_come_without_torch() -> None:
    program = (
        "import sys\n"
        "from fssbench.errors import UsageError\n"
        "from fssbench.cli.train import train\n"
        "try:\n"
        "    train(dataset='shapes20i', fold=9, method='hsnet')\n"
        "except UsageError as error:\n"
        "    print(error.message, 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "shapes20i has no fold 9: its folds are 0 to 3 False"


def test_tensorboard_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backbone_weights: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    arguments = ["--method", "hsnet", "--dataset", "shapes20i", "--fold", 0, "--backbone-weights", backbone_weights]
    refused = _invoke(*arguments, "--out", tmp_path / "run", "--tensorboard")
    assert isinstance(refused.exception, UsageError)
    assert "pip install 'fssbench[tensorboard]'" in str(refused.exception)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("asked", "folder", "form"),
    [
        ({"task": "fscs", "ways": 2}, "train-hsnet-fscs-shapes20i-2way-fold1", ("fscs", 2, 1)),
        ({"shots": 5}, "train-hsnet-shapes20i-5shot-fold1", ("fss", 1, 5)),
    ],
)
def test_what_is_asked_for_decides_form_and_folder(
    asked: dict[str, Any], folder: str, form: tuple[str, int, int], backbone_weights: Path
) -> None:
    from fssbench.training.plan import plan
    from fssbench.training.request import Request

    planned = plan(Request("shapes20i", 1, "hsnet", backbone_weights=backbone_weights, **asked))
    assert planned.folder.name == folder
    assert (planned.variant, planned.way, planned.shot) == form
