"""Which files belong together, whatever they are called, and what is said of those that do not."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from fssbench.datasets.folder.description import Description
from fssbench.datasets.folder.files import Files, find_files
from tests.datasets.trees import label_map, own_tree, save_binary, save_photo

LABELS = {"a": label_map((1, 0, 0, 9, 9)), "b": label_map((2, 0, 0, 9, 9))}
TWO = Description({1: "leaf", 2: "stem"}, ((1, 2),))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return own_tree(tmp_path / "own", LABELS, "")


def found(root: Path, description: Description | None = TWO) -> tuple[Files, list[str]]:
    files, faults = find_files(root, description)
    return files, [fault.text.replace(f"{root}/", "") for fault in faults]


def test_photos_and_masks_belong_together_by_name(root: Path) -> None:
    (root / "images" / "a.jpg").rename(root / "images" / "a.JPEG")
    (root / "masks" / "b.png").rename(root / "masks" / "b.PNG")
    (root / "images" / ".DS_Store").write_text("")
    (root / "images" / "notes.txt").write_text("")
    files, faults = found(root)
    assert faults == []
    assert (files.kind, list(files.photos), list(files.masks[""])) == ("indexed", ["a", "b"], ["a", "b"])
    assert files.photos["a"].name == "a.JPEG"
    assert files.val is None
    assert files.notes == (f"1 other files in {root / 'images'} are skipped: notes.txt",)


def test_names_are_composed_however_a_machine_writes_them(root: Path) -> None:
    for folder, suffix, form in (("images", ".JPG", "NFD"), ("masks", ".png", "NFC")):
        name = unicodedata.normalize(form, "bl\u00fcte \u65e5\u672c") + suffix
        next((root / folder).glob("a.*")).rename(root / folder / name)
    files, faults = found(root)
    assert faults == []
    assert list(files.photos) == ["b", "bl\u00fcte \u65e5\u672c"]


def test_folders_below_and_links(root: Path, tmp_path: Path) -> None:
    for folder, name in (("images", "a.jpg"), ("masks", "a.png")):
        (root / folder / "wet").mkdir()
        (root / folder / name).rename(root / folder / "wet" / name)
    (root / "images" / "wet" / "round").symlink_to(root / "images")
    link = tmp_path / "link"
    link.symlink_to(root)
    files, faults = found(link)
    assert faults == []
    assert list(files.photos) == ["b", "wet/a"]
    assert files.kind == "indexed"


def test_binary_masks_are_told_by_their_folders(root: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (root / "masks" / f"{name}.png").unlink()
    save_binary(root / "masks" / "stem" / "a.png", np.ones((4, 4), dtype=bool))
    save_binary(root / "masks" / "stem" / "b.png", np.ones((4, 4), dtype=bool))
    files, faults = found(root)
    assert faults == []
    assert (files.kind, list(files.masks["stem"])) == ("binary", ["a", "b"])
    assert found(root, None)[0].kind == "binary"
    save_binary(root / "masks" / "bark" / "a.png", np.ones((4, 4), dtype=bool))
    (root / "masks" / "readme.md").write_text("")
    assert found(root)[1] == [
        "masks/bark does not have the name of a class; the classes are leaf, stem",
        "masks/readme.md is not in the folder of a class",
    ]


def test_what_does_not_belong_together(root: Path) -> None:
    save_photo(root / "images" / "c.png")
    save_photo(root / "images" / "b.png")
    (root / "images" / "d.webp").write_text("")
    (root / "masks" / "e.jpg").write_text("")
    (root / "masks" / "a.png").rename(root / "masks" / "f.png")
    save_photo(root / "images" / "x:y.jpg")
    save_photo(root / "images" / "tab\there.jpg")
    _, faults = found(root)
    assert sorted(faults) == sorted(
        [
            "images/b.png and images/b.jpg have the same name, 'b'",
            "images/d.webp is not JPEG or PNG",
            "masks/e.jpg is not PNG",
            "images/a.jpg has no mask",
            "images/c.png has no mask",
            "masks/f.png is a mask without a photo",
            "the name of 'images/x:y.jpg' is not allowed in an episode list",
            "the name of 'images/tab\\there.jpg' is not allowed in an episode list",
        ]
    )


def test_a_name_that_is_no_text(root: Path) -> None:
    Path(str(root / "images" / "n\udcff.jpg")).write_bytes(b"")
    _, (fault,) = found(root)
    fault.encode("utf-8")
    assert "is not allowed in an episode list" in fault


def test_what_is_missing(tmp_path: Path) -> None:
    _, faults = found(tmp_path)
    assert faults == ["there is no folder images", "there is no folder masks, and no COCO json"]
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    assert found(tmp_path)[1] == ["images holds no photo"]


def test_a_json_and_masks_need_a_word(root: Path) -> None:
    (root / "coco.json").write_text("{}")
    assert found(root)[1] == [f"{root} has both masks/ and coco.json"]
    assert found(root, Description({1: "a"}, ((1,),), "indexed"))[1] == []
    files, faults = found(root, Description({1: "a"}, ((1,),), "coco"))
    assert (files.kind, files.annotations, faults) == ("coco", root / "coco.json", [])
    (root / "other.json").write_text("{}")
    assert found(root, Description({1: "a"}, ((1,),), "coco"))[1] == [
        f"{root} holds several json files: coco.json, other.json"
    ]


def test_val_names_photos_with_or_without_suffix(root: Path) -> None:
    (root / "val.txt").write_text("\ufeffb.JPG\r\n\r\n", encoding="utf-8")
    assert found(root)[0].val == frozenset({"b"})
    (root / "val.txt").write_text("a\nzz\n")
    assert found(root)[1] == ["val.txt, line 2: there is no photo 'zz'"]
    (root / "val.txt").write_text("\n")
    assert found(root)[1] == ["val.txt names no photo"]
    (root / "val.txt").write_bytes(b"\xff\xff")
    assert "can't read" in found(root)[1][0]
