"""Which classes of two data sets are the same thing."""

from __future__ import annotations

import pytest

from fssbench.datasets.coco20i import facts as coco_facts
from fssbench.datasets.pascal5i import dataset as pascal5i
from fssbench.datasets.transfer.classes import choices_for, counterparts, facts, plain, seen, supposed

VOC = dict(enumerate(pascal5i.facts().classes, 1))


def test_names_are_the_same_in_any_spelling() -> None:
    assert plain("Potted Plant") == plain("potted_plant") == plain("pottedplant") == "pottedplant"
    assert plain("aeroplane") == plain("airplane")
    assert plain("crt_screen") != plain("tv monitor") == plain("tv")


def test_every_class_of_voc_is_one_of_coco() -> None:
    coco = {plain(name) for name in coco_facts.facts().classes}
    table = counterparts("coco20i", "pascal5i", VOC)
    assert set(table) == set(VOC)
    assert set(table.values()) <= coco
    assert len(set(table.values())) == 20


def test_the_table_and_the_spellings_say_the_same() -> None:
    assert counterparts("coco20i", "pascal5i", VOC) == {value: plain(name) for value, name in VOC.items()}
    names = dict(enumerate(coco_facts.facts().classes, 1))
    back = counterparts("pascal5i", "coco20i", names)
    assert len(seen(names, back, VOC.values())) == 20


def test_repris_table_swaps_car_and_cat_and_nothing_else() -> None:
    own, released = counterparts("coco20i", "pascal5i", VOC), supposed("repri-released")
    assert {VOC[value]: released[value] for value in VOC if own[value] != released[value]} == {
        "car": "cat",
        "cat": "car",
    }
    assert "7 for cat and 8 for car" in facts().choices["repri-released"].flaw


@pytest.mark.parametrize("table", [*facts().tables, *facts().choices.values()])
def test_every_table_has_a_source(table) -> None:
    assert "@" in table.source
    assert len(table.classes) == 20


def test_a_choice_is_of_one_pair() -> None:
    assert choices_for("coco20i", "pascal5i") == ("unseen", "all", "own", "repri-released")
    assert choices_for("pascal5i", "coco20i") == choices_for("coco20i", "suim") == ("unseen", "all", "own")
