"""Counts and files held against the release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from fssbench import open_dataset
from fssbench.datasets.checks import NOT_AT_HAND, Report, check
from fssbench.datasets.coco20i import facts as coco_facts
from fssbench.datasets.coco20i.facts import hash_of, image_name
from fssbench.datasets.fss1000 import facts as fss_facts
from fssbench.datasets.pascal5i import common_masks as common
from fssbench.datasets.pascal5i import dataset as pascal5i
from fssbench.datasets.pascal5i.dataset import Pascal5i
from fssbench.datasets.shapes20i import dataset as shapes20i
from fssbench.datasets.splits import stored as imported
from tests.datasets.trees import (
    annotation,
    box,
    coco_tree,
    fss_tree,
    label_map,
    save_palette,
    save_photo,
    truncate,
    voc_tree,
)

LABELS = {
    "2008_000001": label_map((1, 0, 0, 96, 96)),
    "2008_000002": label_map((7, 0, 0, 96, 96)),
    "2008_000003": label_map((20, 0, 0, 96, 96)),
}


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    return voc_tree(tmp_path, LABELS, ["2008_000001", "2008_000002"])


def numbers(report: Report) -> dict[str, tuple[int | str, int | None, bool]]:
    return {count.what: (count.here, count.official, count.same) for count in report.counts}


def test_a_part_of_voc_is_not_complete(voc: Path) -> None:
    report = check(open_dataset("pascal5i", voc))
    found = numbers(report)
    assert found["masks"] == (3, 12031, False)
    assert found["names in val.txt"] == (2, 1449, False)
    assert found["val entries, fold 0"] == (1, 346, False)
    assert found["train entries, fold 3"] == (1, 2086, False)
    assert {c.official for c in report.counts if "entries" in c.what} == {346, 451, 725, 2286, 3425, 5883, 2086}
    assert report.missing[0] == "there is no mask of 2007_000032", "the first of the common copy"
    assert len(report.missing) == 12031 - 2, "2008_000001 is not in it"
    assert not report.complete


def let_be_common(labels: Mapping[str, npt.NDArray[np.uint8]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let these masks be the common copy."""
    masks = {name: common.CommonMask("voc", common.short_hash(label)) for name, label in labels.items()}
    monkeypatch.setattr(common, "common_masks", lambda: masks)


def test_each_mask_is_the_common_one_another_or_missing(voc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rim = label_map((7, 0, 0, 96, 96), (255, 96, 0, 2, 96))
    copy = LABELS | {"2008_000002": rim, "2008_000009": label_map((3, 0, 0, 9, 9))}
    del copy["2008_000003"]
    let_be_common(copy, monkeypatch)
    report = check(open_dataset("pascal5i", voc))
    assert report.counts[0].note == "1 of the common copy, 1 with other labels, 1 that it does not have"
    assert report.different == (
        "the mask of 2008_000002 has other labels than that of the common copy",
        "the mask of 2008_000003 is not in the common copy",
    )
    assert report.missing == ("there is no mask of 2008_000009",)
    others, foreign = report.notes
    assert others.startswith("1 masks have other labels than those of the common copy: 2008_000002; 1 of them lack the")
    assert "not in how many pixels" in others
    assert foreign.endswith("does not have: 2008_000003")
    assert report.part.startswith("nothing can be evaluated yet"), "each class has one image, an episode needs two"
    assert not report.complete
    save_palette(voc / "SegmentationClassAug" / "2008_000002.png", rim)
    assert check(open_dataset("pascal5i", voc)).different == ("the mask of 2008_000003 is not in the common copy",)


@pytest.fixture
def _small_release(voc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the three masks be the whole release."""
    dataset = open_dataset("pascal5i", voc)
    assert isinstance(dataset, Pascal5i)
    hashes = {side: tuple(dataset.list_sha256(fold, side) for fold in range(4)) for side in pascal5i.LIST_SPLITS}
    entries = {side: tuple(len(dataset.fold_list(fold, side)) for fold in range(4)) for side in pascal5i.LIST_SPLITS}
    facts = pascal5i.facts()
    val = hash_of(["2008_000001", "2008_000002"])
    official = replace(facts.official, masks=3, val_names=2, val_names_sha256=val, entries=entries, sha256=hashes)
    small = replace(
        facts,
        official=official,
        exceptions={side: {"add": frozenset(), "remove": frozenset()} for side in pascal5i.LIST_SPLITS},
    )
    monkeypatch.setattr(pascal5i, "facts", lambda: small)
    let_be_common(LABELS, monkeypatch)


@pytest.mark.usefixtures("_small_release")
class TestCompleteVoc:
    def test_it_is_complete(self, voc: Path) -> None:
        dataset = open_dataset("pascal5i", voc)
        report = check(dataset)
        assert report.complete
        assert {count.note for count in report.counts if "entries" in count.what} == {"HSNet's list"}
        assert dataset.list_order == "official (HSNet)"

    def test_lists_of_equal_length_may_differ(self, voc: Path) -> None:
        save_palette(voc / "SegmentationClassAug" / "2008_000001.png", label_map((2, 0, 0, 96, 96)))
        report = check(open_dataset("pascal5i", voc))
        assert numbers(report)["val entries, fold 0"] == (1, 1, False)
        assert not report.complete

    def test_missing_and_broken_files_are_named(self, voc: Path) -> None:
        (voc / "JPEGImages" / "2008_000001.jpg").unlink()
        truncate(voc / "JPEGImages" / "2008_000002.jpg")
        save_photo(voc / "JPEGImages" / "2008_000003.jpg", (50, 60))
        report = check(open_dataset("pascal5i", voc))
        (missing,), (truncated, of_other_size) = report.missing, report.broken
        assert "2008_000001.jpg" in missing
        assert "2008_000002.jpg is truncated" in truncated
        assert "2008_000003.jpg has 60 x 50 pixels, its labels 96 x 128" in of_other_size

    def test_quick_opens_photos_without_decoding(self, voc: Path) -> None:
        truncate(voc / "JPEGImages" / "2008_000002.jpg", 0.8)
        assert check(open_dataset("pascal5i", voc), decode=False).complete
        assert not check(open_dataset("pascal5i", voc)).complete

    def test_a_broken_mask_keeps_lists_from_being_counted(self, voc: Path) -> None:
        save_palette(voc / "SegmentationClassAug" / "2008_000003.png", label_map((33, 0, 0, 2, 2)))
        report = check(open_dataset("pascal5i", voc))
        assert numbers(report)["val entries, fold 0"] == (NOT_AT_HAND, 1, False)
        assert "has the label 33" in (report.broken + report.missing)[0]

    def test_val_alone_is_enough_for_evaluation(self, voc: Path) -> None:
        (voc / "SegmentationClassAug" / "2008_000003.png").unlink()
        assert check(open_dataset("pascal5i", voc)).part == "the lists of val are complete, on which papers evaluate"

    def test_a_mask_of_val_that_is_missing_is_named(self, voc: Path) -> None:
        (voc / "SegmentationClassAug" / "2008_000002.png").unlink()
        report = check(open_dataset("pascal5i", voc))
        assert "there is no mask of 2008_000002" in (report.broken + report.missing)[0]

    def test_without_val_names(self, voc: Path) -> None:
        (voc / "ImageSets" / "Segmentation" / "val.txt").unlink()
        report = check(open_dataset("pascal5i", voc))
        assert "val.txt" in (report.broken + report.missing)[0]
        assert numbers(report)["val entries, fold 0"][0] == NOT_AT_HAND


def coco(root: Path) -> Path:
    large = box(0, 0, 60, 60)
    return coco_tree(root, {"val": ([1, 2], [annotation(1, 1, 1, large), annotation(2, 2, 1, large)])})


def test_coco_counts_images_photos_and_entries(tmp_path: Path) -> None:
    root = coco(tmp_path)
    (root / image_name("val", 2)).unlink()
    report = check(open_dataset("coco20i", root))
    found = numbers(report)
    assert found["val images"] == (2, 40504, False)
    assert found["val photos"] == (1, 40504, False)
    assert found["val entries, fold 0"] == (2, 35783, False)
    assert found["train images"] == (NOT_AT_HAND, 82783, False)
    assert any("instances_train2014.json" in problem for problem in report.broken + report.missing)
    assert any("COCO_val2014_000000000002.jpg" in problem for problem in report.broken + report.missing)
    assert "order of the val lists: canonical (by image id)" in report.notes
    assert any("import-splits" in note for note in report.notes)


def test_coco_tells_the_releases_order_from_its_entries(tmp_path: Path, monkeypatch) -> None:
    root = coco(tmp_path)
    lines = [f"{image_name('val', i)} 0" for i in (2, 1)]
    facts = coco_facts.facts()
    sha = {"val": (hash_of(lines), *(hash_of([]) for _ in range(3))), "train": facts.sha256["train"]}
    ordered = {"val": (hash_of(sorted(lines)), *(hash_of([]) for _ in range(3))), "train": facts.sha256["train"]}
    small = replace(
        facts, images={"val": 2, "train": 1}, entries={"val": (2, 0, 0, 0), "train": (0,) * 4},
        sha256=sha, sha256_sorted=ordered,
    )  # fmt: skip
    monkeypatch.setattr(coco_facts, "facts", lambda: small)

    def first_list() -> tuple[bool, str]:
        count = next(c for c in check(open_dataset("coco20i", root)).counts if c.what == "val entries, fold 0")
        return count.same, count.note

    assert first_list() == (True, "HSNet's entries, another order")
    imported.store("coco20i", "val", {"1": [2, 1]})
    assert first_list() == (True, "HSNet's list")
    imported.store("coco20i", "val", {"1": [2, 3]})
    assert any(
        "no image val2014/COCO_val2014_000000000003.jpg" in p for p in check(open_dataset("coco20i", root)).missing
    )
    assert first_list() == (False, "not HSNet's list")


def test_fss_counts_classes_and_images(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(fss_facts, "IMAGES_PER_CLASS", 3)
    root = fss_tree(tmp_path, ["ant", "bus", "cup"])
    for side, names in (("train", ["ant"]), ("val", ["bus"]), ("test", ["cup", "gone"])):
        imported.store("fss1000", side, {"classes": names})  # type: ignore[arg-type]
    truncate(root / "cup" / "2.jpg")
    truncate(root / "bus" / "3.png", 0.7)
    (root / "ant" / "1.png").unlink()
    report = check(open_dataset("fss1000", root))
    assert numbers(report)["test classes"] == (1, 240, False)
    assert numbers(report)["train images"] == (2, 1560, False)
    assert [str(root / file) in text for file, text in zip(("bus/3.png", "cup/2.jpg"), report.broken, strict=True)] == [
        True,
        True,
    ]
    assert f"there is no mask of {root / 'ant' / '1.jpg'}" in report.missing
    assert f"there is no folder {root / 'gone'}" in report.missing
    imported.path_of("fss1000", "val").unlink()
    assert any("val.txt was not imported" in p for p in check(open_dataset("fss1000", root)).missing)


def test_fss_masks_that_are_photos_or_of_another_size_are_named(tmp_path: Path) -> None:
    root = fss_tree(tmp_path, ["cup", "hat"])
    imported.store("fss1000", "test", {"classes": ["cup", "hat"]})
    assert check(open_dataset("fss1000", root)).notes == ()
    save_photo(root / "cup" / "photo.jpg", (60, 90), shade=160)
    for name, size in (("cup/2", (60, 90)), ("hat/1", (32, 32))):
        with Image.open(root / "cup" / "photo.jpg") as photo:
            photo.resize((size[1], size[0])).save(root / f"{name}.png")
    (root / "cup" / "photo.jpg").unlink()
    with Image.open(root / "hat" / "3.png") as mask:
        mask.resize((20, 16)).save(root / "hat" / "3.png")
    dataset = open_dataset("fss1000", root)
    report = check(dataset)
    assert dataset.remarks == (
        "masks of another size than their photo: 2, cup/2.png (90 x 60, its photo 32 x 32), "
        "hat/3.png (20 x 16, its photo 32 x 32); they are stretched onto it",
    )
    assert report.notes == (
        "masks that are photos, of which all pixels lighter than grey count as the object: 2, cup/2.png, hat/1.png",
        "masks of another size than their photo: 2, cup/2.png (90 x 60, its photo 32 x 32), "
        "hat/3.png (20 x 16, its photo 32 x 32)",
    )


def test_fss_masks_without_an_object_or_of_nothing_else_are_named(tmp_path: Path) -> None:
    root = fss_tree(tmp_path, ["cup", "hat"])
    imported.store("fss1000", "test", {"classes": ["cup", "hat"]})
    ones = (np.arange(32 * 32).reshape(32, 32) % 5 == 0).astype(np.uint8)
    Image.fromarray(ones).save(root / "cup" / "1.png")
    Image.fromarray(np.stack([255 * ones, 0 * ones, 0 * ones], axis=-1)).save(root / "cup" / "3.png")
    Image.fromarray(np.stack([np.full_like(ones, 255)] * 3 + [255 * ones], axis=-1)).save(root / "hat" / "2.png")
    assert check(open_dataset("fss1000", root)).notes == (
        "masks without an object, as no pixel has grey 128 or lighter: 2, cup/1.png (lightest 1), "
        "cup/3.png (lightest 76)",
        "masks that are all object, as every pixel has grey 128 or lighter: 1, hat/2.png",
    )


@pytest.mark.parametrize(("orientation", "size"), [(3, (32, 24)), (2, (32, 24)), (6, (32, 32))])
def test_photos_that_turn_without_another_size_are_counted(
    tmp_path: Path, orientation: int, size: tuple[int, int]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    root = fss_tree(tmp_path, ["cup"])
    imported.store("fss1000", "test", {"classes": ["cup"]})
    voc = voc_tree(tmp_path, {"2007_000001": label_map((1, 0, 0, 9, 9), size=size)}, ["2007_000001"])
    for photo in (root / "cup" / "2.jpg", voc / "JPEGImages" / "2007_000001.jpg"):
        with Image.open(photo) as picture:
            picture.resize((size[1], size[0])).save(photo, exif=exif)
    for name, folder, shown in (("fss1000", root, "2.jpg"), ("pascal5i", voc, "2007_000001.jpg")):
        assert check(open_dataset(name, folder)).notes[-1] == (
            f"photos whose EXIF orientation keeps their size: 1, {shown}; they are read as stored, which masks "
            "are assumed to match"
        )


def test_a_rendered_data_set_has_nothing_to_miss(monkeypatch) -> None:
    monkeypatch.setattr(shapes20i, "COUNTS", {"train": 60, "val": 40})
    report = check(open_dataset("shapes20i"))
    assert report.complete
    assert report.root is None
    assert len(report.counts) == 8
    assert all(isinstance(count.here, int) and count.here > 0 for count in report.counts)


def test_what_of_a_part_can_be_evaluated_is_told(voc: Path) -> None:
    label = label_map((1, 0, 0, 96, 96))
    for name in ("2008_000010", "2008_000011"):
        save_palette(voc / "SegmentationClassAug" / f"{name}.png", label)
        save_photo(voc / "JPEGImages" / f"{name}.jpg")
    val = voc / "ImageSets" / "Segmentation" / "val.txt"
    val.write_text(f"{val.read_text()}2008_000010\n2008_000011\n")
    part = check(open_dataset("pascal5i", voc)).part
    assert part.startswith("a part can be evaluated all the same, with ")
    assert (
        "of 1868 val entries: fold 0 with --skip-short-classes (4 of 5 classes of fold 0 have too few images)" in part
    )
    (voc / "JPEGImages" / "2008_000011.jpg").unlink()
    assert "1 entries have no photo here" in check(open_dataset("pascal5i", voc)).part
