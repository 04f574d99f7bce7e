"""Names are taken as papers write them, and a name that can be two is refused."""

from __future__ import annotations

import pytest

import fssbench
from fssbench.errors import UsageError, nearest, unknown_name
from fssbench.names import folded, known_name
from fssbench.planning.request import Request
from fssbench.planning.spelling import spelled
from fssbench.protocols.rules import protocol


@pytest.mark.parametrize("name", ["PASCAL-5i", "PASCAL-5^i", "Pascal-$5^i$", "PASCAL-5ⁱ", "pascal 5i", "PASCAL5I"])
def test_spellings_of_a_data_set(name: str) -> None:
    assert folded(name) == "pascal5i"


def test_a_name_that_can_be_two_is_refused_with_both() -> None:
    assert known_name("method", "hs-net", ["hsnet", "hs-net"]) == "hs-net"
    with pytest.raises(UsageError, match="the method 'HS-Net' can be hs-net or hsnet"):
        known_name("method", "HS-Net", ["hsnet", "hs-net"])


def test_a_title_stands_for_its_data_set() -> None:
    assert known_name("data set", "Chest X-Ray", ["xray"], {"xray": "Chest X-ray"}) == "xray"
    assert known_name("data set", "", ["xray"], {"xray": ""}) is None


def test_a_request_is_in_the_names_of_the_catalogues() -> None:
    typed = Request("AS-Net", "COCO-20^i", "PASCAL-5i", backbone="ResNet-101", variant="FS-CS")
    meant = Request("asnet", "coco20i", "pascal5i", backbone="resnet101", variant="fscs")
    assert spelled(typed) == meant
    assert spelled(Request("HSNet", "planets", backbone="hf:a/B")) == Request("hsnet", "planets", backbone="hf:a/B")


def test_python_takes_the_names_too() -> None:
    dataset = fssbench.open_dataset("Shapes-20i")
    method = fssbench.build("HSNet", "Small", "FS-CS", trained_on="PASCAL-5i")
    assert (dataset.name, method.built.name, method.built.backbone, method.built.variant) == (
        "shapes20i",
        "hsnet",
        "small",
        "fscs",
    )
    assert method.built.trained_on == "pascal5i"
    assert protocol("IFSL-FSCS@original").name == protocol("ifsl-fscs@original").name
    results = fssbench.evaluate(
        method, dataset, fssbench.episodes(dataset, 0, 1, 1, "Shapes-FSCS", 1), protocol="Shapes-FSCS"
    )
    assert (results.run.method.name, results.run.method.backbone) == ("hsnet", "small")
    assert (results.run.dataset.name, results.run.protocol.name) == ("shapes20i", "shapes-fscs")


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("evla", ["eval"]),
        ("vela", []),
        ("plna", ["plan"]),
        ("epxlain", ["explain"]),
        ("tablex", ["table"]),
        ("ls", []),
        ("shrads", []),
        ("sho", ["show"]),
        ("EVAL", ["eval"]),
        ("eval-all", []),
        ("x" * 100_000, []),
        ("", []),
    ],
)
def test_only_close_names_are_near(typed: str, near: list[str]) -> None:
    assert nearest(typed, ["eval", "explain", "plan", "table", "show", "score", "list"]) == near


def test_the_nearest_names_come_first_and_a_part_of_a_name_is_near() -> None:
    known = ["hsnet", "hsnet-resnet50-pascal5i-fold0", "PFENet"]
    assert nearest("HSNett", known)[0] == "hsnet"
    assert nearest("pfnet", known)[0] == "PFENet"
    assert nearest("pascal5i", known) == ["hsnet-resnet50-pascal5i-fold0"]


def test_a_name_like_none_of_many_is_told_without_all_of_them() -> None:
    message = unknown_name("checkpoint", "nope", [f"weights{n:03}" for n in range(100)]).message
    assert message == "unknown checkpoint 'nope'; none of the 100 known ones is like it"


def test_a_trained_method_is_of_the_data_set_that_was_meant() -> None:
    trained = fssbench.load("HSNet", "Shapes-20i", 1)
    assert repr(trained) == "<hsnet with small, trained on shapes20i, fold 1, weights hsnet-small-shapes20i-fold1>"
