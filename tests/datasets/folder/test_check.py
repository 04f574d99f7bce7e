"""A check of one's own data: all that is wrong at once, each with what mends it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fssbench
from fssbench.datasets.checks import Report, check, check_at
from fssbench.datasets.folder.check import check_folder
from fssbench.errors import BrokenFileError, MissingError, UsageError
from tests.datasets.trees import label_map, own_tree, save_binary, save_palette, save_photo, truncate

DESCRIPTION = 'folds = [["leaf", "stem"], ["root"]]\n[classes]\n1 = "leaf"\n2 = "stem"\n3 = "root"\n'
LABELS = {f"p{n}": label_map((1 + n % 2, 0, 0, 20, 20), (3, 50, 50, 9, 9)) for n in range(6)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return own_tree(tmp_path / "own", LABELS, DESCRIPTION)


def faults(report: Report) -> list[str]:
    return [text.replace(f"{report.root}/", "") for text, _ in report.faults]


def test_what_a_sound_folder_can_be_asked(root: Path) -> None:
    report = check(fssbench.open_dataset("folder", root))
    assert report.complete
    assert [(count.what, count.here, count.note) for count in report.counts] == [
        ("photos", 6, ""),
        ("masks", 6, "indexed"),
        ("fold 0: leaf", 3, "up to 2-shot"),
        ("fold 0: stem", 3, "up to 2-shot"),
        ("fold 1: root", 6, "up to 5-shot"),
    ]
    assert report.notes == (
        "all photos are for evaluation; val.txt would select some, and leave the others for training",
    )
    (root / "val.txt").write_text("p0\np2\np1\np3\n")
    counts = {count.what: count.here for count in check_folder(root).counts}
    assert counts["fold 0: leaf"] == 2
    assert counts["for training: root"] == 2
    assert check_at("folder", root).complete
    with pytest.raises(UsageError, match="no option 'labels'"):
        check_at("folder", root, labels="png")
    with pytest.raises(MissingError, match="the folder own-data of folder was not found"):
        check_at("folder")


def test_everything_is_named_at_once(root: Path) -> None:
    (root / "masks" / "p0.png").unlink()
    save_photo(root / "images" / "new.JPG")
    save_palette(root / "masks" / "lost.png", LABELS["p0"])
    save_palette(root / "masks" / "p1.png", LABELS["p1"][:-5])
    save_palette(root / "masks" / "p2.png", label_map((9, 0, 0, 2, 2)))
    Image.fromarray(LABELS["p3"]).convert("RGB").save(root / "masks" / "p3.png")
    truncate(root / "images" / "p4.jpg")
    truncate(root / "masks" / "p5.png")
    report = check_folder(root)
    assert not report.complete
    assert [text.partition(" ")[0] for text in faults(report)] == [
        "images/new.JPG",
        "images/p0.jpg",
        "masks/lost.png",
        "images/p4.jpg",
        "masks/p1.png",
        "masks/p2.png",
        "masks/p3.png",
        "can't",
    ]
    assert "can't read masks/p5.png" in faults(report)[-1]
    assert all(remedy for _, remedy in report.faults)
    assert not any("images/p4" in text for text in faults(check_folder(root, decode=False)))
    with pytest.raises(BrokenFileError, match=r"new\.JPG has no mask") as caught:
        fssbench.open_dataset("folder", root)
    assert f"and 2 more: fssbench data check folder --root {root}" in str(caught.value.remedy)


def test_a_folder_that_may_not_be_read_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "images" / "wet").mkdir()
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("wet"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(BrokenFileError, match=r"can't read .*images/wet: Permission denied"):
        check_folder(root)


def test_reading_stops_at_the_first_mask_that_is_wrong(root: Path) -> None:
    save_palette(root / "masks" / "p2.png", label_map((9, 0, 0, 2, 2)))
    dataset = fssbench.open_dataset("folder", root)
    with pytest.raises(BrokenFileError, match=r"p2\.png has values that are not classes: 9") as caught:
        dataset.entries(0)
    assert f"fssbench data check folder --root {root} shows all" in str(caught.value.remedy)


def test_empty_classes_and_classes_of_one_photo(root: Path) -> None:
    (root / "dataset.toml").write_text(f'min_pixels = 300\n{DESCRIPTION}4 = "bark"\n')
    save_palette(root / "masks" / "p0.png", label_map((1, 0, 0, 20, 20), (3, 0, 50, 20, 20)))
    assert faults(check_folder(root)) == [
        "class 'root' (3) has only 1 photo for evaluation with 300 pixels of it",
        "no mask has a pixel of class 'bark' (4)",
    ]


def test_one_class_drawn_as_255(tmp_path: Path) -> None:
    root = own_tree(tmp_path, {"a": label_map((255, 0, 0, 9, 9))}, '[classes]\n1 = "leaf"\n')
    ((text, remedy),) = check_folder(root).faults
    assert "no mask has a pixel of class 'leaf'" in text
    assert "255, the only value here, is ignored: black and white masks belong in masks/CLASS/" in remedy


def test_overlapping_masks(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_photo(tmp_path / "images" / f"{name}.jpg", (20, 20))
        for place, folder in enumerate(("leaf", "stem")):
            save_binary(tmp_path / "masks" / folder / f"{name}.png", np.indices((20, 20))[0] // 10 >= place)
    (tmp_path / "dataset.toml").write_text('[classes]\n1 = "leaf"\n2 = "stem"\n')
    assert faults(check_folder(tmp_path)) == [
        f"the masks of {tmp_path}/images/{name}.jpg overlap: 200 pixels are both leaf and stem".replace(
            f"{tmp_path}/", ""
        )
        for name in ("a", "b")
    ]


def test_a_description_to_begin_with(tmp_path: Path) -> None:
    root = own_tree(tmp_path / "own", LABELS, "")
    (root / "dataset.toml").unlink()
    report = check_folder(root)
    assert faults(report) == ["there is no dataset.toml, which names the classes"]
    assert report.notes[0] == 'a dataset.toml to begin with:\n[classes]\n1 = "class 1"\n2 = "class 2"\n3 = "class 3"'
    (root / "dataset.toml").write_text(report.notes[0].partition("\n")[2])
    assert check_folder(root).complete


def test_a_broken_description_hides_nothing_else(root: Path) -> None:
    (root / "dataset.toml").write_text("fold = 1\n")
    (root / "masks" / "p0.png").unlink()
    truncate(root / "images" / "p4.jpg")
    found = faults(check_folder(root))
    assert [sum(part in text for text in found) for part in ("unknown key", "p0.jpg has no mask", "p4.jpg is")] == [
        1,
        1,
        1,
    ]
    assert not any("to begin with" in note for note in check_folder(root).notes), (
        "the one that is there is not thrown away"
    )


@pytest.mark.parametrize(("orientation", "counts"), [(1, False), (2, True), (3, True), (4, True), (6, False)])
def test_photos_turned_in_a_way_that_keeps_their_size_are_counted(root: Path, orientation: int, counts: bool) -> None:
    """Masks of the stored pixels have the right size then, and are of another picture."""
    for name in ("p1", "p4"):
        turn(root / "images" / f"{name}.jpg", orientation)
    report = check_folder(root)
    assert report.complete is (orientation < 5), "others do not fit their masks"
    said = "photos whose EXIF orientation keeps their size: 2, p1.jpg, p4.jpg; they are read "
    assert any(note.startswith(f"{said}upright") for note in report.notes) is counts
    (root / "dataset.toml").write_text(f'exif = "stored"\n{DESCRIPTION}')
    assert any(note.startswith(f"{said}as stored") for note in check_folder(root).notes) is counts


def test_a_square_photo_keeps_its_size_whatever_turns_it(tmp_path: Path) -> None:
    square = {f"p{n}": label_map((1, 2, 2, 9, 9), size=(20, 20)) for n in range(3)}
    root = own_tree(tmp_path / "own", square, '[classes]\n1 = "leaf"\n')
    turn(root / "images" / "p2.jpg", 6)
    report = check_folder(root)
    assert report.complete
    assert any("keeps their size: 1, p2.jpg" in note for note in report.notes)


def turn(path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(path) as photo:
        photo.copy().save(path, exif=exif)


def test_objects_that_are_too_small_for_the_networks_are_counted(root: Path) -> None:
    large = (1500, 1500)
    dots = [(3, 1, 1, 1, 1), (1, 0, 0, 0, 0), (1, 200, 200, 300, 300)]
    for name, boxes in {"p0": dots, "p1": [(3, 2, 3, 600, 1)], "p2": [(3, 5, 5, 90, 90)]}.items():
        save_photo(root / "images" / f"{name}.jpg", large)
        save_palette(root / "masks" / f"{name}.png", label_map(*boxes, (2, 800, 800, 99, 99), size=large))
    report = check_folder(root)
    assert report.complete
    [note] = [note for note in report.notes if "no pixel left" in note]
    assert note.startswith("photos in which 'root' (3) has no pixel left at a network's size: 2 at 192 x 192, ")
    assert "; as supports they show no object (min_pixels in dataset.toml leaves small ones out)" in note
    assert ", 1 at 1024 x 1024; " in note
    assert note.endswith("; as supports they show no object (min_pixels in dataset.toml leaves small ones out)")
    toml = (root / "dataset.toml").read_text()
    (root / "dataset.toml").write_text(f"min_pixels = 700\n{toml}")
    assert not [note for note in check_folder(root).notes if "no pixel left" in note]


def test_an_empty_folder_is_not_ok(tmp_path: Path) -> None:
    report = check_folder(tmp_path)
    assert [(count.what, count.here, count.same) for count in report.counts] == [
        ("photos", 0, False),
        ("masks", 0, False),
    ]
    assert not report.complete
    assert not report.notes, "there is nothing of which a dataset.toml could be drafted"
    assert any("data init folder" in remedy for _, remedy in report.faults)
