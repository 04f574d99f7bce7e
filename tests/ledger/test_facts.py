"""The ledger: its data is complete and has sources, and what is declared from outside is checked."""

from __future__ import annotations

from typing import Any

import pytest

from fssbench.datasets.transfer.classes import plain
from fssbench.errors import UsageError
from fssbench.ledger.classes import class_names
from fssbench.ledger.facts import FACTS, Facts, declared
from fssbench.ledger.reading import (
    categories,
    known_methods,
    method_facts,
    network_source,
    networks,
    sets_of,
    training_sets,
)
from fssbench.ledger.seen import seen, seen_by_row
from fssbench.methods.catalogue import is_built_in as built_in
from fssbench.methods.catalogue import list_backbones, list_methods, method_info
from fssbench.publications.load import publications


def test_every_method_here_and_of_the_printed_tables_has_an_entry() -> None:
    methods = {name for name in list_methods() if built_in(name)} | set(publications().methods)
    assert methods <= set(known_methods())


def test_every_stated_fact_has_a_source() -> None:
    for name in known_methods():
        facts = method_facts(name)
        assert [fact for fact in FACTS if getattr(facts, fact) is not None and not facts.source_of(fact)] == [], name
    assert all(one.source for one in training_sets().values())
    assert all(network_source(name) for name in networks())


def test_every_backbone_here_is_stated_and_every_set_is_known() -> None:
    assert [name for name in list_backbones() if sets_of(name) is None] == []
    assert {key for network in networks().values() for key in network.sets} <= set(training_sets())
    assert sets_of("dinov2-vitl14+sam-vitb") == ("lvd-142m", "sa-1b")
    assert sets_of("hf:facebook/dinov2-base@main#3,6,9") == ("lvd-142m",)
    unknown = ("hf:facebook/dinov2-base-imagenet1k-1-layer", "hf:someone/dinov2-base", "hf:./facebook/dinov2-base", "x")
    assert [sets_of(name) for name in unknown] == [None] * 4


def test_a_method_says_the_same_of_adaptation_and_training_as_its_entry_here() -> None:
    for name in (name for name in list_methods() if built_in(name)):
        info, facts = method_info(name), method_facts(name)
        assert info.adapts == (facts.adapts != "none"), name
        assert info.trainable == (facts.training != "none"), name
    assert [name for name in list_methods() if method_info(name).knows_classes_of("coco20i")] == ["seggpt"]
    assert not method_info("seggpt").knows_classes_of("suim")


def test_of_weakly_supervised_methods_asnet_alone_is_given_no_masks() -> None:
    found = {name: method_info(name).facts("pascal5i", "fscs", weak=True) for name in ("asnet", "hsnet", "panet")}
    assert {facts.training for facts in found.values()} == {"base tags"}
    assert {name: facts.given for name, facts in found.items()} == {
        "asnet": ("tags",),
        "hsnet": ("masks",),
        "panet": ("masks",),
    }


def test_imagenet_has_all_classes_of_pascal_and_most_of_coco() -> None:
    names = {plain(name) for dataset in ("pascal5i", "coco20i") for name in class_names(dataset) or ()}
    assert {plain(name) for name in categories()} <= names
    found = {
        dataset: seen(method_facts("hsnet"), "resnet50", dataset, class_names(dataset))
        for dataset in ("pascal5i", "coco20i", "suim")
    }
    assert found["pascal5i"].labels == class_names("pascal5i")
    assert len(found["coco20i"].labels or ()) == 63
    assert "giraffe" not in (found["coco20i"].labels or ())
    assert found["suim"].labels is None  # nobody has held its classes against ImageNet's
    assert all(one.masks == () for one in found.values())


@pytest.mark.parametrize(
    ("method", "dataset", "backbone", "by_level"),
    [
        ("hsnet", "pascal5i", "resnet50", [(), "some", "some"]),
        ("insid3", "coco20i", "dinov3-vitl16", [(), (), None]),
        ("gfsam", "coco20i", "", [None, None, None]),
        ("seggpt", "coco20i", "seggpt-vitl", ["some", "some", "some"]),
        ("copy-mask", "coco20i", "", [(), (), ()]),
        ("dpcn", "pascal5i", "resnet50", [None, None, None]),
        ("hsnet", "pascal5i", "", [None, None, None]),
    ],
)
def test_what_counts_as_seen_depends_on_the_level(
    method: str, dataset: str, backbone: str, by_level: list[object]
) -> None:
    found = seen(method_facts(method), backbone, dataset, class_names(dataset))
    assert ["some" if (at := found.by(level)) else at for level in ("masks", "labels", "images")] == by_level


def test_printed_rows_say_what_their_source_says_of_them() -> None:
    rows = publications().rows
    repri = next(row for row in rows if row.source == "repri-readme" and row.dataset == "coco20i_to_pascal5i")
    assert seen_by_row(repri)[1].masks == ("car", "cat")
    in_context = next(row for row in rows if (row.method, row.variant, row.dataset) == ("vat", "in-context", "coco20i"))
    assert seen_by_row(in_context)[1].masks == class_names("coco20i")
    pmms = {row.dataset: seen_by_row(row)[0].novel_images for row in rows if row.method == "pmm"}
    assert pmms == {"pascal5i": "removed", "coco20i": "kept"}
    rerun = next(row for row in rows if row.role == "rerun" and row.method == "hsnet")
    assert seen_by_row(rerun)[0].novel_images is None
    # The files linked beside SSP's results under HSNet's evaluation were trained on other folds than it tests.
    on_coco = [row for row in rows if row.method == "ssp" and row.dataset == "coco20i" and row.source == "ssp-readme"]
    masks = {(row.variant, facts.training, found.masks) for row in on_coco for facts, found in [seen_by_row(row)]}
    assert masks == {("", "base masks", ()), ("HSNet evaluation", None, None)}
    unread = next(row for row in rows if row.method == "dpcn")
    assert [getattr(seen_by_row(unread)[0], fact) for fact in FACTS] == [None] * len(FACTS)


def test_a_pair_of_data_sets_leaves_open_what_was_tested_unless_they_have_no_class_in_common() -> None:
    rows = [row for row in publications().rows if row.task == "cross-domain"]
    found = {(row.method, row.dataset): seen_by_row(row)[1].masks for row in rows if row.role == "result"}
    assert found["scl", "coco20i_to_suim"] == found["scl", "pascal5i_to_suim"] == ()
    assert found["mmt", "coco20i_to_pascal5i"] is None


def test_classes_that_weights_name_are_held_against_the_tested_ones_in_one_spelling() -> None:
    facts = Facts(pretraining=(), classes=("tvmonitor", "Motor-Bike", "giraffe"))
    found = seen(facts, None, "coco20i", class_names("coco20i"))
    assert found.masks == ("motorcycle", "giraffe", "tv")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("masks", "its ledger is str"),
        ({"trainings": "none"}, "its ledger has 'trainings'"),
        ({"training": "bases"}, "training is 'bases'"),
        ({"training": ["none"]}, "training is list"),
        ({"given": "masks"}, "given is 'masks', not a list"),
        ({"given": ["eyes"]}, "given is 'eyes'"),
        ({"pretraining": ["\x1b[31mred"]}, "not printable"),
        ({"pretraining": ["x" * 501]}, "too long"),
        ({"pretraining": ["x"] * 51}, "51 names"),
        ({"pretraining": [7]}, "no text"),
        ({"pretraining": [" "]}, "an empty name"),
        ({"classes": [["bird"]]}, "no text"),
        ({"source": "a\nb"}, "not printable"),
        ({"sources": {"colour": "x"}}, "sources is 'colour'"),
        ({"sources": [1]}, "sources is no table"),
        ({7: "x"}, "its ledger has 7"),
    ],
)
def test_hostile_declarations_are_refused(value: Any, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        declared(value, "mynet")
    assert words in caught.value.message
    assert "mynet" in caught.value.message
    assert caught.value.message.isprintable()


def test_what_is_declared_may_be_left_open() -> None:
    assert declared(None, "x") is None
    found = declared({"training": "none", "adapts": "not stated", "pretraining": "network"}, "x")
    assert found == Facts(pretraining=("network",), training="none")
    assert seen(Facts(training="none", pretraining=("my-own-set",)), None, "pascal5i", ("bird",)).by("masks") is None
