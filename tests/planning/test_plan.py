"""What a command line comes to: defaults that follow the releases, and mistakes found before anything is done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import fssbench
from fssbench.episode import episodes, write_episodes
from fssbench.errors import BrokenFileError, FSSBenchError, MissingError, UsageError
from fssbench.planning.plan import Plan, plan
from fssbench.planning.request import Request
from tests.datasets.trees import label_map, own_tree

pytestmark = pytest.mark.usefixtures("elsewhere")


def planned(method: str = "copy-mask", dataset: str = "shapes20i", **said: Any) -> Plan:
    return plan(Request(method, dataset, **{"episodes": "5", "fold": "0", **said}))


@pytest.mark.parametrize(
    ("method", "said", "protocol", "variant"),
    [
        ("hsnet", {}, "shapes", "fss"),
        ("asnet", {}, "shapes", "fss"),
        ("asnet", {"ways": 2}, "shapes-fscs", "fscs"),
        ("asnet", {"task": "fscs"}, "shapes-fscs", "fscs"),
        ("asnet", {"variant": "fscs"}, "shapes-fscs", "fscs"),
        ("asnet", {"protocol": "ifsl-fscs"}, "ifsl-fscs", "fscs"),
        ("copy-mask", {"ways": 3}, "shapes-fscs", "fscs"),
        ("hsnet", {"protocol": "hsnet"}, "hsnet", "fss"),
        ("hsnet", {"protocol": "hsnet", "score_at": "original"}, "hsnet@original", "fss"),
        ("hsnet", {"protocol": "hsnet@original"}, "hsnet@original", "fss"),
        ("asnet", {"variant": "fscs", "protocol": "ifsl-fss"}, "ifsl-fss", "fscs"),
    ],
)
def test_protocol_and_form_follow_what_was_said(method: str, said: dict[str, Any], protocol: str, variant: str) -> None:
    found = planned(method, random_weights=method != "copy-mask", **said)
    assert (found.protocol.name, found.variant) == (protocol, variant)
    assert (found.way, found.shot) == (said.get("ways", 1), 1)
    assert {one.protocol for one in found.lists} == {protocol}


def test_each_method_is_evaluated_as_its_release_does() -> None:
    from fssbench.methods.catalogue import method_info
    from fssbench.protocols.rules import default_protocol

    found = {
        (name, task): default_protocol("pascal5i", task, method_info(name).protocols[task])
        for name in ("hsnet", "asnet", "prototype", "asgnet")
        for task in method_info(name).tasks.values()
    }
    assert found == {
        ("asgnet", "fss"): "ntrenet",  # 1,001 episodes, not PFENet's 5,001
        ("hsnet", "fss"): "hsnet",
        ("hsnet", "fscs"): "ifsl-fscs",
        ("asnet", "fss"): "ifsl-fss",
        ("asnet", "fscs"): "ifsl-fscs",
        ("prototype", "fss"): "hsnet",
        ("prototype", "fscs"): "ifsl-fscs",
    }


@pytest.mark.parametrize(("variant", "protocol"), [(None, "pfenet"), ("pfenet", "pfenet"), ("canet", "scl-canet")])
def test_a_variant_may_have_a_protocol_of_its_own(variant: str | None, protocol: str) -> None:
    from fssbench.methods.catalogue import method_info

    assert method_info("scl").protocol_for("fss", variant) == protocol


def test_all_folds_are_the_default() -> None:
    found = planned(fold=None)
    assert [one.fold for one in found.lists] == [0, 1, 2, 3]
    assert found.out == Path("runs/copy-mask-shapes20i-shapes-1way-1shot")
    assert planned(fold="2").out == Path("runs/copy-mask-shapes20i-shapes-1way-1shot-fold2")


def test_the_default_folder_says_what_was_trained_on_and_which_form() -> None:
    said = {"random_weights": True, "train_dataset": "shapes20i"}
    found = planned("asnet", "shapes20i-underwater", **said)
    assert found.out.name == "asnet-small-shapes20i-to-shapes20i-underwater-shapes-1way-1shot-fold0-random"
    assert planned("asnet", **said).out.name == "asnet-small-shapes20i-shapes-1way-1shot-fold0-random"
    # A form that is not the first of its task can't be told from the protocol.
    assert planned("asnet", variant="fscs", **said).out.name.startswith("asnet-small-shapes20i-shapes-fscs-")
    found = planned("asnet", variant="fscs", protocol="shapes", **said)
    assert found.out.name.startswith("asnet-fscs-small-shapes20i-shapes-1way")


def test_a_network_is_asked_with_the_options_it_was_trained_with() -> None:
    def options(dataset: str, train_dataset: str | None = None) -> dict[str, Any]:
        return planned("pfenet", dataset, train_dataset=train_dataset, random_weights=True).options

    assert options("shapes20i") == {"bins": "fractions"}
    assert options("shapes20i", "coco20i") == {"bins": "fractions"}
    assert options("shapes20i", "pascal5i") == {}
    # Another view of scenes is trained on as they are.
    assert options("shapes20i-underwater") == options("shapes20i-underwater", "shapes20i") == {"bins": "fractions"}


def test_the_embedded_data_set_has_its_own_backbone() -> None:
    assert planned("hsnet", random_weights=True).backbone == "small"
    assert planned("hsnet", random_weights=True, protocol="hsnet").backbone == "resnet50"
    assert planned("hsnet", random_weights=True, backbone="vgg16").backbone == "vgg16"
    assert planned().backbone is None


@pytest.mark.parametrize(
    ("method", "said", "told"),
    [
        ("hsnt", {}, "unknown method 'hsnt'; did you mean hsnet"),
        ("copy-mask", {"dataset": "shapes"}, "unknown dataset 'shapes'; did you mean shapes20i"),
        ("copy-mask", {"train_dataset": "shapes"}, "unknown dataset 'shapes'; did you mean shapes20i"),
        ("asnet", {"variant": "fss", "task": "fscs"}, "variant fss is for the task fss, not fscs"),
        ("copy-mask", {"protocol": "hsnot"}, "unknown protocol 'hsnot'"),
        ("copy-mask", {"protocol": "hsnet@middle"}, "input or original"),
        ("copy-mask", {"protocol": "ifsl-fscs", "score_at": "input"}, "at the original size only"),
        ("copy-mask", {"task": "fss", "ways": 2}, "defined for 1-way episodes, not 2 ways"),
        ("copy-mask", {"task": "fscs", "protocol": "hsnet"}, "protocol hsnet is for the task fss, not fscs"),
        ("copy-mask", {"ways": 6}, "1 to 5 ways, not 6"),
        ("copy-mask", {"ways": 0}, "--ways is 1 or more"),
        ("copy-mask", {"shots": -1}, "--shots is 1 or more"),
        ("copy-mask", {"limit": 0}, "--limit is 1 or more"),
        ("copy-mask", {"episodes": "0"}, "1 to 1000000 episodes, not 0"),
        ("copy-mask", {"episodes": "-3"}, "1 to 1000000 episodes, not -3"),
        ("copy-mask", {"fold": "4"}, "shapes20i has no fold 4: its folds are 0 to 3"),
        ("copy-mask", {"fold": "-1"}, "--fold is a number or all, not '-1'"),
        ("copy-mask", {"fold": "²"}, "--fold is a number or all"),
        ("copy-mask", {"device": "gpu"}, "no device 'gpu'"),
        ("copy-mask", {"backbone": "resnet50"}, "copy-mask has no backbone"),
        ("copy-mask", {"checkpoint": "some.pt"}, "copy-mask has no weights"),
        ("copy-mask", {"root": Path("here")}, "shapes20i has no files"),
        ("bam", {"weak": True}, "bam can't learn from image-level labels"),
        ("hsnet", {"weak": True}, "image-level labels in variant fscs, not in fss"),
        ("hsnet", {"backbone": "resnet18"}, "hsnet has no backbone 'resnet18'"),
        ("hsnet", {"variant": "fsss"}, "hsnet has no variant 'fsss'"),
        ("hsnet", {"variant": "fss", "ways": 2}, "defined for 1-way|predicts 1-way"),
        ("hsnet", {"checkpoint": "some.pt", "random_weights": True}, "exclude each other"),
        ("hsnet", {"seed": -1, "random_weights": True}, "a seed is a number from 0"),
    ],
)
def test_a_mistake_is_a_sentence(method: str, said: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=told):
        planned(method, **said)
    assert list(tmp_path.iterdir()) == []


def test_data_is_missed_before_weights() -> None:
    with pytest.raises(MissingError, match="the folder VOC2012 of pascal5i was not found") as missed:
        planned("hsnet", "pascal5i")
    assert "--root DIR" in (missed.value.remedy or "")


def test_weights_that_are_nowhere() -> None:
    with pytest.raises(
        MissingError, match=r"no checkpoint is registered for hsnet .* vgg16 on shapes20i fold 0"
    ) as missed:
        planned("hsnet", backbone="vgg16")
    assert "--random-weights" in (missed.value.remedy or "")
    with pytest.raises(MissingError, match=r"there is no checkpoint gone\.pt"):
        planned("hsnet", checkpoint="gone.pt")
    with pytest.raises(MissingError, match=r"there is no checkpoint gone\.pt"):
        planned("hsnet", checkpoint="gone.pt", fold="all")
    with pytest.raises(MissingError, match=r"there is no checkpoint gone-0\.pt"):
        planned("hsnet", checkpoint="gone-{fold}.pt", fold="all")


def test_a_file_that_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "page.pt").write_text("<!DOCTYPE html><html>")
    with pytest.raises(BrokenFileError, match="web page"):
        planned("hsnet", checkpoint="page.pt")


def test_one_checkpoint_does_not_answer_all_folds(tmp_path: Path) -> None:
    torch.save(fssbench.build("hsnet", "small").state_dict(), tmp_path / "fold0.pt")
    with pytest.raises(UsageError, match="each fold has its own checkpoint"):
        planned("hsnet", checkpoint="fold0.pt", fold="all")
    found = planned("hsnet", checkpoint="fold{fold}.pt")
    assert found.sources[0].record.kind == "checkpoint"
    assert found.sources[0].record.path == "fold0.pt"


def test_all_folds_of_a_method_without_training_may_have_one_file(tmp_path: Path) -> None:
    torch.save(fssbench.build("prototype", "small").state_dict(), tmp_path / "any.pt")
    found = planned("prototype", backbone="small", checkpoint="any.pt", fold="all")
    assert {source.record.path for source in found.sources.values()} == {"any.pt"}
    assert len(found.sources) == 4


def test_a_list_says_what_is_asked(tmp_path: Path) -> None:
    drawn = episodes(fssbench.open_dataset("shapes20i"), 2, 2, 3, "ifsl-fscs", 4)
    write_episodes(drawn, tmp_path / "list.json")
    found = planned(fold=None, episodes="list.json")
    assert (found.lists, found.way, found.shot, found.protocol.name) == ((drawn,), 2, 3, "ifsl-fscs")
    assert planned(fold="2", shots=3, episodes="list.json").lists == (drawn,)
    for said in ({"fold": "1"}, {"shots": 1}, {"ways": 1}, {"seed": 5}, {"dataset": "pascal5i"}):
        with pytest.raises(UsageError, match="does not fit the list"):
            planned(**{"fold": None, **said}, episodes="list.json")


def test_a_list_per_fold(tmp_path: Path) -> None:
    dataset = fssbench.open_dataset("shapes20i")
    lists = tuple(episodes(dataset, fold, 1, 1, "shapes", 3) for fold in range(4))
    for drawn in lists:
        write_episodes(drawn, tmp_path / f"list{drawn.fold}.json")
    assert planned(fold=None, episodes="list{fold}.json").lists == lists
    assert planned(fold="3", episodes="list{fold}.json").lists == lists[3:]
    for gone in (2, 3):
        (tmp_path / f"list{gone}.json").unlink()
        for fold in (None, "all"):
            with pytest.raises(
                MissingError, match=rf"no episode list list{gone}\.json, but all 4 folds were requested"
            ):
                planned(fold=fold, episodes="list{fold}.json")
        assert planned(fold="1", episodes="list{fold}.json").lists == lists[1:2]
        write_episodes(lists[gone], tmp_path / f"list{gone}.json")
    write_episodes(
        replace(lists[1], shot=2, episodes=episodes(dataset, 1, 1, 2, "shapes", 3).episodes), tmp_path / "list1.json"
    )
    with pytest.raises(UsageError, match="do not fit each other"):
        planned(fold=None, episodes="list{fold}.json")
    with pytest.raises(MissingError, match="no episode list"):
        planned(episodes="nowhere.json")


def test_a_folder_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(FSSBenchError, match="has files that do not belong to a run"):
        planned(out=tmp_path / "mine")


def test_a_run_that_asked_something_else_is_not_continued(tmp_path: Path) -> None:
    from fssbench.engine.runner import run_plan
    from fssbench.results import Existing

    run_plan(planned(out=tmp_path / "run", limit=2))
    again = {"out": tmp_path / "run", "existing": Existing.RESUME}
    assert planned(**again).out == tmp_path / "run"
    for said, field in (
        ({"fold": "1"}, "folds is"),
        ({"shots": 2}, "shot is 1"),
        ({"score_at": "input"}, "protocol.name is shapes, this command's is shapes@input"),
        ({"seed": 3}, r"folds\[0\]\.episodes_hash"),
        ({"method": "all-foreground"}, "method.name is copy-mask, this command's is all-foreground"),
    ):
        with pytest.raises(UsageError, match=f"can't be continued: its {field}"):
            planned(**{**again, **said})


def test_classes_with_too_few_images_can_be_left_out(shared: Path) -> None:
    said = {"root": shared / "data" / "VOC2012", "fold": "1", "episodes": "20"}
    with pytest.raises(MissingError, match="too few images of bus"):
        planned("copy-mask", "pascal5i", **said)
    assert planned("copy-mask", "pascal5i", **said, skip_short_classes=True).lists[0].left_out == (6,)


def test_options_of_the_data_set_are_handed_on() -> None:
    assert Request("hsnet", "coco20i", labels="png", lists="here").dataset_options == {"labels": "png", "lists": "here"}
    assert Request("hsnet", "coco20i").dataset_options == {}
    with pytest.raises(UsageError, match="lists"):
        planned(lists="here")


@pytest.mark.parametrize(
    ("method", "said", "protocol"),
    [
        ("hsnet", {"random_weights": True}, "hsnet"),
        ("hsnet", {"random_weights": True, "backbone": "small"}, "shapes"),
        ("hsnet", {"random_weights": True, "train_dataset": "pascal5i"}, "hsnet"),
        ("hsnet", {"train_dataset": "shapes20i"}, "shapes"),
        ("asnet", {"train_dataset": "shapes20i", "ways": 2}, "shapes-fscs"),
        ("copy-mask", {"protocol": "pfenet"}, "pfenet"),
    ],
)
def test_own_data_is_asked_as_what_the_weights_were_trained_on(
    tmp_path: Path, method: str, said: dict[str, Any], protocol: str
) -> None:
    own = own_data(tmp_path / "own")
    found = planned(method, "folder", root=own, **said)
    assert found.protocol.name == protocol
    assert found.dataset.root == own


def test_the_folds_of_own_data_are_those_of_its_description(tmp_path: Path) -> None:
    own = own_data(tmp_path / "own", 'folds = [["leaf", "stem"]]\n')
    assert [one.fold for one in planned(dataset="folder", root=own, fold=None).lists] == [0]
    assert planned(dataset="folder", root=own).out == Path("runs/copy-mask-folder-hsnet-1way-1shot")
    with pytest.raises(UsageError, match="folder has no fold 1: it has only fold 0"):
        planned(dataset="folder", root=own, fold="1")
    with pytest.raises(MissingError, match="the folder own-data of folder was not found"):
        planned(dataset="folder")


def own_data(root: Path, head: str = "") -> Path:
    labels = {f"p{n}": label_map((1, 0, 0, 50, 90), (2, 60, 0, 50, 90)) for n in range(3)}
    return own_tree(root, labels, head + '[classes]\n1 = "leaf"\n2 = "stem"\n')
