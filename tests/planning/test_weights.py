"""Where weights come from, and which must not answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import fssbench
from fssbench.checkpoints import Record, add, file_sha256, load_into
from fssbench.engine.fold_methods import load
from fssbench.engine.runner import run_plan
from fssbench.errors import BrokenFileError, CheckpointError, MissingError, UsageError
from fssbench.methods.base.method import Method
from fssbench.planning.plan import plan
from fssbench.planning.request import Request
from fssbench.planning.weights import Source, file_source
from fssbench.results import Existing, load_run

pytestmark = pytest.mark.usefixtures("narrow_heads")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    path = tmp_path / "weights.pt"
    torch.save(fssbench.build("hsnet", "small").state_dict(), path)
    return path


def register(
    path: Path, fold: int, identifier: str = "mine", sha256: str | None = None, dataset: str = "shapes20i"
) -> None:
    add(
        Record(
            id=identifier,
            method="hsnet",
            backbone="small",
            dataset=dataset,
            fold=fold,
            path=str(path),
            sha256=sha256 or file_sha256(path),
        )
    )


def request(**said: object) -> Request:
    return Request("hsnet", "shapes20i", **{"fold": "1", "episodes": "2", **said})


def test_a_registered_checkpoint_is_found_and_named(weights: Path, tmp_path: Path) -> None:
    register(weights, fold=1)
    run_plan(plan(request(out=tmp_path / "run")))
    found = load_run(tmp_path / "run").run.folds[0].weights
    assert (found.kind, found.checkpoint, found.sha256) == ("checkpoint", "mine", file_sha256(weights))


def test_named_and_registered_weights_give_the_same_run(weights: Path, tmp_path: Path) -> None:
    run_plan(plan(request(out=tmp_path / "named", checkpoint=str(weights))))
    register(weights, fold=1)
    run_plan(plan(request(out=tmp_path / "registered")))
    rows = [load_run(tmp_path / name).frame.drop(columns="seconds") for name in ("named", "registered")]
    assert rows[0].equals(rows[1])


def test_weights_that_have_seen_the_classes_do_not_answer(weights: Path) -> None:
    register(weights, fold=2)
    with pytest.raises(UsageError, match="registered as mine: it was trained on classes of fold 1"):
        plan(request(checkpoint=str(weights)))
    assert plan(request(checkpoint=str(weights), fold="2")).sources[2].checkpoint == "mine"


@pytest.mark.parametrize(
    ("said", "error", "told", "remedy"),
    [
        ({"fold": "2"}, UsageError, "trained for fold 2: it has seen the classes of fold 1", "--fold 2, or the file"),
        ({"dataset": "pascal5i"}, UsageError, "trained on pascal5i, not on shapes20i", "--train-dataset pascal5i"),
        ({"network": "bam"}, CheckpointError, "holds the weights of bam, not of hsnet", "--method bam"),
    ],
)
def test_a_file_is_taken_at_its_word(
    said: dict[str, str], error: type[Exception], told: str, remedy: str, tmp_path: Path
) -> None:
    as_trained = {"network": "hsnet", "dataset": "shapes20i", "fold": "1"}
    file = tmp_path / "trained.safetensors"
    save_file({"some": torch.zeros(1)}, file, metadata=as_trained)
    assert file_source((file,), "hsnet", "shapes20i", 1).kind == "checkpoint"
    save_file({"some": torch.zeros(1)}, file, metadata=as_trained | said)
    with pytest.raises(error, match=told) as refused:
        file_source((file,), "hsnet", "shapes20i", 1)
    assert str(getattr(refused.value, "remedy", "")).startswith(remedy)


def test_weights_of_another_data_set_answer_only_as_such(weights: Path, tmp_path: Path) -> None:
    register(weights, fold=1)
    with pytest.raises(UsageError, match="registered as mine: it was trained on shapes20i, not on pascal5i") as told:
        file_source((weights,), "hsnet", "pascal5i", 1)
    assert told.value.remedy == "--train-dataset shapes20i"
    under_water = replace(request(out=tmp_path / "run"), dataset="shapes20i-underwater")
    with pytest.raises(MissingError, match=r"hsnet .* on shapes20i-underwater fold 1") as missed:
        plan(under_water)
    assert str(missed.value.remedy).startswith("--train-dataset shapes20i uses")
    with pytest.raises(UsageError, match="trained on shapes20i, not on shapes20i-underwater"):
        plan(replace(under_water, checkpoint=str(weights)))
    for said in ({}, {"checkpoint": str(weights)}):
        asked = replace(under_water, train_dataset="shapes20i", **said)
        run_plan(plan(replace(asked, existing=Existing.OVERWRITE)))
        stored = load_run(tmp_path / "run").run
        assert (stored.train_dataset, stored.dataset.name) == ("shapes20i", "shapes20i-underwater")
        assert stored.folds[0].weights.checkpoint == "mine"
    resumed = replace(asked, existing=Existing.RESUME)
    assert len(run_plan(plan(resumed)).frame) == 2
    register(weights, fold=1, identifier="as-under-water", dataset="shapes20i-underwater")
    with pytest.raises(UsageError, match="its train_dataset is shapes20i, this command's is None"):
        plan(replace(resumed, train_dataset=None))


def test_each_checkpoint_is_tried_first_and_the_first_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = fssbench.build("hsnet", "small").state_dict()
    for fold in range(4):
        torch.save({key: value + fold for key, value in state.items()}, tmp_path / f"{fold}.pt")
    read: list[str] = []

    def counted(method: Method[Any, Any], *paths: Path) -> None:
        read.append(paths[0].stem)
        load_into(method, *paths)

    monkeypatch.setattr("fssbench.checkpoints.loading.load_into", counted)
    together = run_plan(plan(request(fold="all", checkpoint=str(tmp_path / "{fold}.pt"), out=tmp_path / "all")))
    assert read == ["3", "2", "1", "0", "1", "2", "3"]
    for fold in range(4):
        alone = run_plan(
            plan(request(fold=str(fold), checkpoint=str(tmp_path / "{fold}.pt"), out=tmp_path / f"{fold}"))
        )
        rows = together.frame[together.frame["fold"] == fold].reset_index(drop=True)
        assert rows.drop(columns="seconds").equals(alone.frame.drop(columns="seconds"))


def test_a_registered_file_that_was_changed(weights: Path) -> None:
    register(weights, fold=1, sha256="0" * 64)
    with pytest.raises(BrokenFileError, match=r"mine: .* is not the recorded file"):
        plan(request())


def test_checkpoints_that_need_different_networks_are_not_one_run(weights: Path) -> None:
    for fold in range(4):
        options = {"channels": (8, 16, 32)} if fold == 2 else {}
        add(
            Record(
                id=f"mine{fold}",
                method="hsnet",
                backbone="small",
                dataset="shapes20i",
                fold=fold,
                path=str(weights),
                options=options,
            )
        )
    with pytest.raises(UsageError, match="need different options"):
        plan(request(fold="all"))


def test_options_that_weights_need_are_built_and_recorded(tmp_path: Path) -> None:
    path = tmp_path / "narrow.pt"
    torch.save(fssbench.build("hsnet", "small", channels=(8, 16, 32)).state_dict(), path)
    options = {"channels": (8, 16, 32)}
    add(
        Record(
            id="narrow", method="hsnet", backbone="small", dataset="shapes20i", fold=1, path=str(path), options=options
        )
    )
    run_plan(plan(request(out=tmp_path / "run")))
    assert load_run(tmp_path / "run").run.method.options == options
    # What was stored equals what is asked again.
    assert len(run_plan(plan(request(out=tmp_path / "run", existing=Existing.RESUME))).frame) == 2


def test_loading_is_strict_and_nothing_needs_no_loading(weights: Path) -> None:
    method = fssbench.build("hsnet", "small")
    load(method, Source("none"))
    before = {key: value.clone() for key, value in method.state_dict().items()}
    load(method, file_source((weights,), "hsnet", "shapes20i", 0))
    stored = torch.load(weights, weights_only=True)
    after = method.state_dict()
    assert all(torch.equal(after[key], stored[key]) for key in stored)
    assert any(not torch.equal(after[key], before[key]) for key in stored)
    with pytest.raises(CheckpointError, match="do not fit ASNet"):
        load(fssbench.build("asnet", "small"), file_source((weights,), "hsnet", "shapes20i", 0))


def test_the_weakly_supervised_form_is_built_and_recorded(tmp_path: Path) -> None:
    said = {"fold": "1", "episodes": "1", "weak": True, "random_weights": True, "out": tmp_path / "run"}
    run_plan(plan(Request("asnet", "shapes20i", task="fscs", **said)))
    assert load_run(tmp_path / "run").run.method.options == {"weak": True}


def test_a_backbone_that_is_kept_apart(weights: Path, tmp_path: Path) -> None:
    state = torch.load(weights, weights_only=True)
    torch.save({k: v for k, v in state.items() if not k.startswith("backbone.")}, tmp_path / "head.pt")
    backbone = {k.removeprefix("backbone."): v for k, v in state.items() if k.startswith("backbone.")}
    torch.save(backbone, tmp_path / "backbone.pt")
    apart = {"checkpoint": str(tmp_path / "head.pt"), "backbone_weights": str(tmp_path / "backbone.pt")}
    run_plan(plan(request(out=tmp_path / "whole", checkpoint=str(weights))))
    run_plan(plan(request(out=tmp_path / "apart", **apart)))
    whole, parts = (load_run(tmp_path / name) for name in ("whole", "apart"))
    assert whole.frame.drop(columns="seconds").equals(parts.frame.drop(columns="seconds"))
    assert parts.run.folds[0].weights.backbone_sha256 == file_sha256(tmp_path / "backbone.pt")
    with pytest.raises(UsageError, match="needs --checkpoint"):
        plan(request(backbone_weights=str(tmp_path / "backbone.pt")))
