"""PASCAL-5i: lists from masks by the rule, and what a broken or partial VOC2012 is answered."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from fssbench import open_dataset
from fssbench.datasets.io.images import read_photo
from fssbench.datasets.pascal5i.common_masks import CommonMask, common_masks, short_hash
from fssbench.datasets.pascal5i.dataset import LIST_SPLITS, Pascal5i, facts, index_of, lines_of, listed
from fssbench.errors import BrokenFileError, MissingError, UsageError
from tests.datasets.trees import SIZE, label_map, save_palette, truncate, voc_tree

BIG = (0, 0, 96, 64)
"""Top, left, height, width of a box that meets 3 x 2 cells."""

LABELS = {
    "2008_000002": label_map((1, *BIG)),
    "2008_000001": label_map((1, *BIG), (7, 0, 64, 128, 32), (255, 0, 0, 1, 96)),
    "2008_000004": label_map((16, *BIG), (2, 100, 0, 2, 2)),
    "2008_000003": label_map((7, *BIG), (1, 0, 64, 128, 32)),
    "2008_000005": label_map((15, *BIG)),
}
VAL = ["2008_000002", "2008_000001", "2008_000004"]


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    return voc_tree(tmp_path, LABELS, VAL)


def pairs(dataset: Pascal5i, fold: int, split: str) -> list[tuple[str, int]]:
    entries = dataset.entries(fold, split)
    return list(zip(entries["name"], entries["class_id"].tolist(), strict=True))


# --- the rule ---------------------------------------------------------------------------------------------------


def masks(shared: Path) -> Iterator[tuple[str, npt.NDArray[np.uint8]]]:
    with zipfile.ZipFile(shared / "data" / "VOC2012-masks.zip") as archive:
        for member in archive.namelist():
            with Image.open(io.BytesIO(archive.read(member))) as picture:
                yield Path(member).stem, np.array(picture)


@pytest.fixture(scope="module")
def whole(shared: Path) -> tuple[pd.DataFrame, dict[str, CommonMask]]:
    """The index of all masks, and what the table of common masks says of them; reading them takes seconds."""
    table: dict[str, CommonMask] = {}

    def noted() -> Iterator[tuple[str, npt.NDArray[np.uint8]]]:
        for name, label in masks(shared):
            table[name] = CommonMask("voc" if (label == 255).any() else "sbd", short_hash(label))
            yield name, label

    return index_of(noted()), table


@pytest.mark.long  # a sample of them is tested in test_common_masks.py
def test_the_table_of_common_masks_is_that_of_all(whole: tuple[pd.DataFrame, dict[str, CommonMask]]) -> None:
    assert whole[1] == common_masks()


@pytest.mark.long  # the facts and the rule of one pixel are tested below
def test_all_eight_lists_are_the_release_line_for_line(
    whole: tuple[pd.DataFrame, dict[str, CommonMask]], shared: Path
) -> None:
    val = {Path(line.split()[0]).stem for line in (shared / "reference/splits/pfenet/val.txt").read_text().splitlines()}
    index = whole[0]
    of_val = index["name"].isin(val)
    release = shared / "reference" / "splits" / "pascal"
    for side, rows, folder in (("val", of_val, "val"), ("train", ~of_val, "trn")):
        entries = listed(index[rows], side)
        for fold in range(4):
            own = entries[entries["class_id"].between(5 * fold + 1, 5 * fold + 5)]
            assert lines_of(own) == (release / folder / f"fold{fold}.txt").read_text(), f"{side} {fold}"
    assert index["name"].nunique() == facts().official.masks
    assert len(val) == facts().official.val_names


def test_the_official_facts_are_those_of_the_release(shared: Path) -> None:
    release = shared / "reference" / "splits" / "pascal"
    for side, folder in (("val", "val"), ("train", "trn")):
        counts = [len((release / folder / f"fold{f}.txt").read_text().splitlines()) for f in range(4)]
        assert facts().official.entries[side] == tuple(counts)


label_maps = arrays.arrays(
    np.uint8,
    st.tuples(st.integers(1, 130), st.integers(1, 130)),
    elements=st.sampled_from([0, 3, 12, 20, 255]),
    fill=st.sampled_from([0, 3]),
)


@settings(max_examples=60, deadline=None)
@given(label=label_maps)
def test_the_rule_looks_at_one_pixel_of_each_cell(label: npt.NDArray[np.uint8]) -> None:
    index = index_of([("x", label)])
    in_list = listed(index, "val")["class_id"].tolist()
    height, width = label.shape
    for class_id in range(1, 21):
        row = index[index["class_id"] == class_id]
        pixels = int((label == class_id).sum())
        assert row["pixels"].tolist() == ([pixels] if pixels else [])
        cells = sum(
            label[32 * i + 1, 32 * j + 1] == class_id
            for i in range(5)
            for j in range(5)
            if 32 * i + 1 < height and 32 * j + 1 < width
        )
        assert (class_id in in_list) == (cells > 2)
    assert 255 not in index["class_id"].tolist()


def test_val_lists_go_by_name_and_train_lists_by_class() -> None:
    index = index_of(sorted(LABELS.items()))
    by_name = [("2008_000001", 1), ("2008_000001", 7), ("2008_000002", 1), ("2008_000003", 1), ("2008_000003", 7)]
    for side, key in (("val", lambda pair: pair), ("train", lambda pair: pair[::-1])):
        entries = listed(index, side)
        found = [p for p in zip(entries["name"], entries["class_id"].tolist(), strict=True) if p[1] < 15]
        assert found == sorted(by_name, key=key)


@pytest.mark.parametrize("side", LIST_SPLITS)
def test_exceptions_decide_only_for_their_own_masks(side: str) -> None:
    added = sorted(facts().exceptions[side]["add"])[0]
    removed = sorted(facts().exceptions[side]["remove"])[0]
    small, large = label_map((added[1], 3, 3, 1, 1)), label_map((removed[1], 0, 0, *SIZE))
    entries = listed(index_of([(added[0], small), (removed[0], large)]), side)
    assert lines_of(entries) == f"{added[0]}__{added[1]:02d}\n"
    # A mask of that name without the class, and a class without that name, follow the rule.
    assert listed(index_of([(added[0], large * 0), ("other", small)]), side).empty
    assert len(listed(index_of([("other", large)]), side)) == 1


# --- the data set -----------------------------------------------------------------------------------------------


def test_lists_of_a_small_voc(voc: Path) -> None:
    dataset = open_dataset("pascal5i", voc.parent)
    assert isinstance(dataset, Pascal5i)
    assert pairs(dataset, 0, "val") == [("2008_000001", 1), ("2008_000002", 1)]
    assert pairs(dataset, 1, "val") == [("2008_000001", 7)]
    assert pairs(dataset, 3, "val") == [("2008_000004", 16)]
    # The three other folds' lists one after the other; nothing of val.
    assert pairs(dataset, 0, "train") == [("2008_000003", 7), ("2008_000005", 15)]
    assert pairs(dataset, 1, "train") == [("2008_000003", 1), ("2008_000005", 15)]
    assert dataset.class_lists(0, "val") == {1: ["2008_000001", "2008_000002"], 2: [], 3: [], 4: [], 5: []}
    assert dataset.list_order == "official (HSNet), of the masks that are here"


def test_the_index_has_every_class_that_has_a_pixel(voc: Path) -> None:
    index = open_dataset("pascal5i", voc).index("val")
    rows = list(index.itertuples(index=False, name=None))
    assert rows == [
        ("2008_000001", 1, 96 * 64 - 64),
        ("2008_000001", 7, 128 * 32 - 32),
        ("2008_000002", 1, 96 * 64),
        ("2008_000004", 2, 4),
        ("2008_000004", 16, 96 * 64),
    ]
    assert index["class_id"].dtype == index["pixels"].dtype == np.int64


def test_folds_and_classes(voc: Path) -> None:
    dataset = open_dataset("pascal5i", voc)
    assert [dataset.fold_classes(fold) for fold in range(4)] == [
        (1, 2, 3, 4, 5), (6, 7, 8, 9, 10), (11, 12, 13, 14, 15), (16, 17, 18, 19, 20)
    ]  # fmt: skip
    for fold in range(4):
        assert sorted(dataset.fold_classes(fold, "val") + dataset.fold_classes(fold, "train")) == list(range(1, 21))
    assert (dataset.class_names[1], dataset.class_names[20], len(dataset.class_names)) == ("aeroplane", "tvmonitor", 20)
    with pytest.raises(UsageError, match="no fold 4"):
        dataset.entries(4)
    with pytest.raises(UsageError, match="no test images"):
        dataset.index("test")


def test_photos_are_needed_only_when_read(tmp_path: Path) -> None:
    dataset = open_dataset("pascal5i", voc_tree(tmp_path, LABELS, VAL, photos=False))
    assert len(dataset.entries(0)) == 2
    assert (dataset.label("2008_000001") == LABELS["2008_000001"]).all()
    assert dataset.image_size("2008_000001") == SIZE
    with pytest.raises(MissingError, match=r"JPEGImages.2008_000001\.jpg"):
        dataset.image("2008_000001")


def test_photo_and_label_of_a_name(voc: Path) -> None:
    dataset = open_dataset("pascal5i", voc)
    assert (dataset.image("2008_000003") == read_photo(voc / "JPEGImages" / "2008_000003.jpg")).all()
    assert set(np.unique(dataset.label("2008_000001"))) == {0, 1, 7, 255}


def test_the_fingerprint_is_of_content_and_not_of_place_or_time(voc: Path, tmp_path: Path) -> None:
    fingerprint = open_dataset("pascal5i", voc).fingerprint
    copy = voc_tree(tmp_path / "copy", LABELS, VAL, photos=False)
    dataset = open_dataset("pascal5i", copy)
    assert dataset.fingerprint == fingerprint
    train = dataset.split_fingerprint("train")
    save_palette(copy / "SegmentationClassAug" / "2008_000005.png", label_map((14, *BIG)))
    changed = open_dataset("pascal5i", copy)
    assert changed.fingerprint == fingerprint, "the val side is the same"
    assert changed.split_fingerprint("train") != train
    save_palette(copy / "SegmentationClassAug" / "2008_000002.png", label_map((1, 0, 0, 96, 65)))
    assert open_dataset("pascal5i", copy).fingerprint != fingerprint


def test_a_cached_index_is_not_read_from_masks_again(voc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_dataset("pascal5i", voc).index("val")
    with monkeypatch.context() as patch:
        patch.setattr(Pascal5i, "label", lambda *_: pytest.fail("read again"))
        assert open_dataset("pascal5i", voc).index("val").equals(first)
    save_palette(voc / "SegmentationClassAug" / "2008_000002.png", label_map((5, *BIG)))
    assert 5 in open_dataset("pascal5i", voc).index("val")["class_id"].tolist(), "a changed mask is read"


# --- what is wrong ----------------------------------------------------------------------------------------------


def test_a_wrong_class_id_in_a_mask_names_file_and_value(voc: Path) -> None:
    save_palette(voc / "SegmentationClassAug" / "2008_000002.png", label_map((21, 3, 3, 4, 4)))
    dataset = open_dataset("pascal5i", voc)
    with pytest.raises(BrokenFileError, match=r"2008_000002\.png has the label 21 \(16 pixels\)") as caught:
        dataset.entries(0)
    assert f"fssbench data check pascal5i --root {dataset.root}" in str(caught.value.remedy)


def test_a_truncated_photo_and_mask(voc: Path) -> None:
    truncate(voc / "JPEGImages" / "2008_000001.jpg")
    truncate(voc / "SegmentationClassAug" / "2008_000001.png")
    dataset = open_dataset("pascal5i", voc)
    with pytest.raises(BrokenFileError, match=r"2008_000001\.jpg is truncated"):
        dataset.image("2008_000001")
    with pytest.raises(BrokenFileError, match=r"2008_000001\.png"):
        dataset.index("val")


def test_missing_folders_and_lists(voc: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="was not found"):
        open_dataset("pascal5i")
    with pytest.raises(MissingError, match="no folder SegmentationClassAug"):
        open_dataset("pascal5i", voc / "JPEGImages")
    (voc / "ImageSets" / "Segmentation" / "val.txt").unlink()
    with pytest.raises(MissingError, match=r"no .*val\.txt: it lists the val images") as caught:
        open_dataset("pascal5i", voc).entries(0)
    assert "VOC 2012 release" in str(caught.value.remedy)
    (tmp_path / "empty" / "SegmentationClassAug").mkdir(parents=True)
    with pytest.raises(MissingError, match="has no masks"):
        open_dataset("pascal5i", tmp_path / "empty").entries(0)


def test_an_unknown_option(voc: Path) -> None:
    with pytest.raises(UsageError, match="pascal5i has no option 'labels'; it has none") as told:
        open_dataset("pascal5i", voc, labels="hsnet")
    assert told.value.remedy == "leave --labels out (in Python labels=...)"


def test_the_real_sample(shared: Path) -> None:
    dataset = open_dataset("pascal5i", shared / "data")
    official = {
        line for f in range(4) for line in (shared / f"reference/splits/pascal/val/fold{f}.txt").read_text().split()
    }
    here = [line for f in range(4) for line in lines_of(dataset.entries(f)).split()]
    names = set(dataset.split_names("val"))  # type: ignore[attr-defined]
    assert len(names) == 445
    assert sorted(here) == sorted(line for line in official if line.partition("__")[0] in names)
    assert dataset.image(here[0][:11]).shape[:2] == dataset.label(here[0][:11]).shape
