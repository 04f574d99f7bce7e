"""`fssbench list methods`: every method at a glance, one in full, both as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fssbench.cli.listing import _reading_notes
from fssbench.methods.catalogue import K_SHOT_RULES, list_methods, method_info

Run = Callable[..., tuple[int, str, str]]


def test_every_method_has_its_facts() -> None:
    for name in list_methods():
        info = method_info(name)
        assert 1 <= len(info.idea.strip().splitlines()) <= 5, f"{name}: an idea of one to five lines in methods.toml"
        assert set(info.k_shot) == set(info.tasks.values()), f"{name}: k_shot for each task in methods.toml"
        assert set(info.k_shot.values()) <= set(K_SHOT_RULES), name
        released = {backbone for backbone in info.backbones_for(None) if backbone != "small"}
        assert set(info.learnable) == (released if info.trainable else set()), f"{name}: learnable in methods.toml"


@pytest.mark.parametrize("name", [name for name in list_methods() if method_info(name).learnable])
def test_the_learnable_parameters_are_those_that_training_moves(name: str) -> None:
    import torch

    import fssbench

    info = method_info(name)
    counted = {}
    for backbone in info.learnable:
        # Parameters are counted, not filled.
        with torch.device("meta"):
            counted[backbone] = fssbench.build(name, backbone=backbone).learnable_parameters
    assert counted == dict(info.learnable)


def test_a_row_of_the_list(fssbench: Run) -> None:
    code, out, err = fssbench("list", "methods")
    assert (code, err) == (0, "")
    lines = {line.split()[0]: line for line in out.splitlines() if line}
    for word in (
        "ICCV 2021",
        "fss, fs-cs",
        "resnet101",
        "2.57",
        "released",
        "trained",
        "voted (fss), averaged (fs-cs)",
    ):
        assert word in lines["hsnet"]
    assert "not needed" in lines["copy-mask"]
    assert "training-free" in lines["copy-mask"]
    assert "re-weighted" in lines["bam"]


def test_readers_see_which_methods_have_printed_numbers_only() -> None:
    [sentence] = [line for line in _reading_notes() if line.startswith("Printed numbers only")]
    assert "sagnn" in sentence
    assert not {"hsnet", "asnet-w", "unresolved"} & set(sentence.removesuffix(".").replace(":", ",").split(", "))


def test_one_method_in_full(fssbench: Run) -> None:
    code, out, err = fssbench("list", "methods", "hsnet")
    assert (code, err) == (0, "")
    for text in (
        "Centre-pivot 4D convolutions",
        "juhongm999/hsnet@6b1bc12",
        "resnet50 2.57 M, resnet101 2.59 M",
        "voted (fss): each support gives a mask, and the masks vote",
        "protocol    hsnet (fss)",
        "hsnet-resnet50-pascal5i-fold0 and 3 more: fss, resnet50, pascal5i; a page to open",
        "pascal5i, fss, resnet50: 1-way 1-shot 64.0, 1-way 5-shot 69.5",
        "fss, small, shapes20i, fss, 1-way 1-shot: 40.4 (mean of 4 folds)",
    ):
        assert text in out
    assert out.splitlines()[0] == "hsnet"


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("seggpt", ("trained on labelled masks of the classes of PASCAL and COCO", "has no few-shot evaluation")),
        ("fssdino", ("no class was named to it", "k-means starts anew in each episode", "FB-IoU averages the IoU")),
        ("insid3", ("no class was named to it",)),
    ],
)
def test_what_weights_have_seen_and_what_differs_is_told(fssbench: Run, name: str, texts: tuple[str, ...]) -> None:
    _, out, _ = fssbench("list", "methods", name)
    for text in texts:
        assert text in " ".join(out.split())


def test_a_method_that_is_published_only_says_what_is_missing(fssbench: Run) -> None:
    code, out, _ = fssbench("list", "methods", "dan")
    assert code == 0
    assert "published only" in out
    assert "Unknown: the attention's formula" in " ".join(out.split())
    assert "pascal5i, fss, resnet101: 1-way 1-shot 58.2, 1-way 5-shot 60.5" in out
    _, shown, _ = fssbench("published", "show", "dan")
    assert "only the abstract could be read" in " ".join(shown.split())


def test_the_weak_form_is_its_methods(fssbench: Run) -> None:
    code, out, _ = fssbench("list", "methods", "asnet-w")
    assert (code, out.splitlines()[0]) == (0, "asnet")


def test_json(fssbench: Run) -> None:
    _, out, _ = fssbench("list", "methods", "--json")
    rows = json.loads(out)
    assert [row["name"] for row in rows] == list_methods()
    [bam] = [row for row in rows if row["name"] == "bam"]
    assert bam["learnable"]["resnet50"] == 4917254
    assert (bam["weights"], bam["training"], bam["adapts"], bam["k_shot"]) == (
        "released",
        "trained",
        False,
        {"fss": "re-weighted"},
    )
    _, out, _ = fssbench("list", "methods", "bam", "sagnn", "--json")
    bam, sagnn = json.loads(out)
    assert {row["mean"] for row in bam["printed"] if row["backbone"] == "resnet50" and row["shot"] == 1} >= {67.81}
    assert bam["checkpoints"]
    assert bam["measured"][0]["folds"] == 4
    assert (sagnn["name"], sagnn["status"], sagnn["printed_name"]) == ("sagnn", "published-only", "SAGNN")
    _, out, _ = fssbench("list", "backbones", "--json")
    assert {"backbone", "methods"} == set(json.loads(out)[0])


def test_the_table_of_printed_and_computed_parameters_is_right() -> None:
    import torch

    import fssbench

    page = (Path(__file__).parents[2] / "docs/parameters.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| ")
    ]
    printed = fssbench.published()
    for name, network, number, _, learned, _ in rows[2:]:
        method, backbone = name.lower(), network.lower().replace("-", "")
        # PANet's authors have no ResNet: the row is of iFSL's form.
        variant = "fscs" if method == "panet" else None
        with torch.device("meta"):
            built = fssbench.build(method, backbone=backbone, variant=variant)
        assert learned == f"{built.learnable_parameters / 1e6:.2f}", (name, network)
        known = printed[(printed["method"] == method) & (printed["backbone"] == backbone)]["learnable_params"]
        assert float(number) in set(known), (name, network, number)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["methods", "hsnt"], "did you mean hsnet"),
        (["methods", "sagn"], "did you mean sagnn"),
        (["datasets", "pascal5i"], "fssbench list datasets takes no names"),
    ],
)
def test_mistakes(fssbench: Run, arguments: list[str], message: str) -> None:
    code, out, err = fssbench("list", *arguments)
    assert (code, out) == (2, "")
    assert message in err
