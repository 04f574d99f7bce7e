"""dataset.toml: what it says, and every fault of it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from fssbench.datasets.folder.description import MAX_BYTES, Description, draft, read_description

CLASSES = '[classes]\n1 = "leaf"\n7 = "stem"\n2 = "root"\n'


def said(root: Path, text: str) -> tuple[Description | None, list[str]]:
    (root / "dataset.toml").write_text(text, encoding="utf-8")
    description, faults = read_description(root)
    assert (description is None) == bool(faults)
    assert all(fault.remedy == f"edit {root / 'dataset.toml'}" for fault in faults)
    return description, [fault.text for fault in faults]


def test_names_alone_make_one_fold(tmp_path: Path) -> None:
    description, _ = said(tmp_path, CLASSES)
    assert description == Description({1: "leaf", 2: "root", 7: "stem"}, ((1, 2, 7),), None, 1, "upright")
    assert list(description.classes) == [1, 2, 7]


def test_all_that_it_can_say(tmp_path: Path) -> None:
    head = 'masks = "binary"\nmin_pixels = 9\nexif = "stored"\nfolds = [["stem", "leaf"], ["root"]]\n'
    description, _ = said(tmp_path, head + CLASSES)
    assert description == Description({1: "leaf", 2: "root", 7: "stem"}, ((1, 7), (2,)), "binary", 9, "stored")


def test_a_name_and_the_file_of_the_annotations(tmp_path: Path) -> None:
    description, _ = said(tmp_path, 'name = "Coral reef 2"\nannotations = "export/all.coco.json"\n' + CLASSES)
    assert description is not None
    assert (description.name, description.annotations) == ("Coral reef 2", "export/all.coco.json")


@pytest.mark.parametrize(
    "name", ["", " reef", "a, b", "day_to_night", "pascal5i", "PASCAL-5i", "own data", "a/b", "x" * 101]
)
def test_names_that_tables_would_take_for_something_else(tmp_path: Path, name: str) -> None:
    _, (sentence,) = said(tmp_path, f'name = "{name}"\n{CLASSES}')
    assert "line 1: name: " in sentence


@pytest.mark.parametrize("name", ["../a.json", "/a.json", "a/../../b.json", "a\\\\b.json", "a.txt", ""])
def test_annotations_are_a_json_in_the_folder(tmp_path: Path, name: str) -> None:
    _, (sentence,) = said(tmp_path, f'annotations = "{name}"\n{CLASSES}')
    assert "line 1: annotations: " in sentence


def test_a_class_may_be_in_no_fold(tmp_path: Path) -> None:
    description, _ = said(tmp_path, 'folds = [["stem"]]\n' + CLASSES)
    assert description is not None
    assert description.folds == ((7,),)


def test_names_are_composed(tmp_path: Path) -> None:
    description, _ = said(tmp_path, 'folds = [["bl\u00fcte"]]\n[classes]\n1 = "blu\u0308te"\n')
    assert description is not None
    assert (description.classes[1], description.folds) == ("bl\u00fcte", ((1,),))


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("classes = ", ["is not TOML"]),
        ("classes = " + "[" * 100_000, ["is not TOML"]),
        ("min_pixels = " + "9" * 5_000, ["is not TOML"]),
        (f"[classes]\n{'1' * 5_000} = 'a'\n", ["is not a label value"]),
        ("", ["has no table [classes]"]),
        ("[classes]\n", ["line 1: classes: Dictionary should have at least 1 item"]),
        ("fold = []\n" + CLASSES, ["line 1: unknown key 'fold'; did you mean folds?"]),
        ('min_pixels = "many"\nexif = "up"\n' + CLASSES, ["line 1: min_pixels", "line 2: exif"]),
        ("[classes]\n1 = 5\n2 = 'a/b'\n", ["line 2: classes.1", "line 3: classes.2"]),
        ("[classes]\n0 = 'a'\n255 = 'b'\n01 = 'c'\nx = 'd'\n", ["'0' in", "'255' in", "'01' in", "'x' in"]),
        ("[classes]\n1 = 'a'\n2 = 'a'\n", ["the label values 1, 2 have the same name, 'a'"]),
        (
            'folds = [["leaf", "leef"], ["leaf"], []]\n' + CLASSES,
            ["fold 2 has no class", "unknown class 'leef'; did you mean leaf", "'leaf' is in folds 2 times"],
        ),
        ("[classes]\n1 = '\\u001b[2J'\n", []),  # a literal string: no escape
        ('[classes]\n1 = "\\u001b[2J"\n', ["line 2: classes.1: String should match pattern"]),
        (CLASSES + "[more]\n", ["line 5: unknown key 'more'"]),
    ],
)
def test_every_fault_is_a_sentence(tmp_path: Path, text: str, messages: list[str]) -> None:
    _, found = said(tmp_path, text) if messages else (None, [])
    for message in messages:
        assert sum(message in one for one in found) == 1, found
    assert len(found) == len(messages)
    assert not any("\n" in one or "\x1b" in one for one in found)


def test_what_is_no_file_of_ours(tmp_path: Path) -> None:
    (fault,) = read_description(tmp_path)[1]
    assert "there is no" in fault.text
    (tmp_path / "dataset.toml").write_bytes(b"\xff\xfe\x00")
    assert "can't read" in read_description(tmp_path)[1][0].text
    (tmp_path / "dataset.toml").write_text("#" * (MAX_BYTES + 1))
    assert "too large" in read_description(tmp_path)[1][0].text
    (tmp_path / "dataset.toml").unlink()
    (tmp_path / "dataset.toml").mkdir()
    assert "can't read" in read_description(tmp_path)[1][0].text


def test_a_draft_is_toml(tmp_path: Path) -> None:
    assert tomllib.loads(draft(['say "a"', "b\\c"])) == {"classes": {"1": 'say "a"', "2": "b\\c"}}
    assert said(tmp_path, draft({3: "x", 1: "y"}))[0] == Description({1: "y", 3: "x"}, ((1, 3),))
