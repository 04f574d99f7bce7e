"""SUIM: colours to classes, the release's two folders, and the sample of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fssbench import episodes, open_dataset
from fssbench.datasets.checks import check
from fssbench.datasets.targets.suim import Suim, label_of
from fssbench.datasets.targets.target import target_facts
from fssbench.errors import MissingError, UsageError
from tests.datasets.trees import label_map, save_mask, suim_part

HD, PF, WR, RO, RI, FV, SR = range(1, 8)
"""The release's colours by 3 bits: red, green, blue (README of xahidbuffon/SUIM)."""

CODES = {
    "n_2": label_map((HD, 0, 0, 10, 10), (RI, 20, 0, 10, 30), size=(40, 60)),
    "d_1": label_map((FV, 0, 0, 10, 10), size=(40, 60)),
}


@pytest.fixture
def suim(tmp_path: Path) -> Path:
    suim_part(tmp_path / "SUIM" / "TEST", CODES)
    return suim_part(tmp_path / "SUIM" / "train_val", {"e_3": CODES["d_1"]}).parent


def opened(root: Path, **options: object) -> Suim:
    dataset = open_dataset("suim", root, **options)  # type: ignore[arg-type]
    assert isinstance(dataset, Suim)
    return dataset


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        ((0, 0, 0), None),
        ((0, 0, 255), "human divers"),
        ((0, 255, 0), "plants and sea-grass"),
        ((0, 255, 255), "wrecks and ruins"),
        ((255, 0, 0), "robots and instruments"),
        ((255, 0, 255), "reefs and invertebrates"),
        ((255, 255, 0), "fish and vertebrates"),
        ((255, 255, 255), "sea-floor and rocks"),
        ((127, 128, 130), "wrecks and ruins"),
    ],
)
def test_each_colour_is_its_class(colour: tuple[int, int, int], name: str | None) -> None:
    value = int(label_of(np.array([[colour]], dtype=np.uint8))[0, 0])
    assert (target_facts("suim").classes[value - 1] if value else None) == name


def test_the_whole_set_is_in_order_of_the_file_names(suim: Path) -> None:
    dataset = opened(suim.parent)
    assert dataset.image_names == ("test/d_1", "train_val/e_3", "test/n_2")
    rows = list(dataset.index("test").itertuples(index=False, name=None))
    assert rows == [("test/d_1", 1, 100), ("train_val/e_3", 1, 100), ("test/n_2", 2, 100), ("test/n_2", 4, 300)]
    assert dataset.list_order == "canonical (by name), whole set, of the images that are here"
    assert dataset.image("test/n_2").shape == (*dataset.image_size("test/n_2"), 3)


def test_the_test_folder_alone_has_to_be_asked_for_and_is_said(suim: Path) -> None:
    part = opened(suim, part="test")
    assert part.image_names == ("test/d_1", "test/n_2")
    assert part.list_order.startswith("canonical (by name), test folder")
    assert part.fingerprint != opened(suim).fingerprint
    counts = {count.what: count.official for count in check(part).counts if count.official is not None}
    assert counts == {"images, test": 110}
    counts = {count.what: count.official for count in check(opened(suim)).counts if count.official is not None}
    assert counts == {"images, all": 1635, "images, train_val": 1525, "images, test": 110}
    with pytest.raises(UsageError, match="the part of suim is all or test, not 'train'"):
        opened(suim, part="train")


def test_the_case_of_the_folder_does_not_matter(suim: Path) -> None:
    fingerprint = opened(suim).fingerprint
    (suim / "TEST").rename(suim / "test")
    assert opened(suim).fingerprint == fingerprint


def test_merged_folders(tmp_path: Path) -> None:
    dataset = opened(suim_part(tmp_path / "SUIM", CODES))
    assert dataset.image_names == ("d_1", "n_2")
    assert dict(dataset.parts) == {"all": 2, "merged": 2}
    assert {count.what for count in check(dataset).counts if count.official} == {"images, all"}
    with pytest.raises(MissingError, match="no folder with images and masks of SUIM TEST"):
        opened(tmp_path / "SUIM", part="test")


def test_classes_with_too_few_images_are_named_and_left_out_on_request_only(suim: Path) -> None:
    with pytest.raises(MissingError, match=r"human divers \(1\), plants and sea-grass \(0\)"):
        episodes(opened(suim), shot=1, protocol="suim")
    drawn = episodes(opened(suim), shot=1, protocol="suim", count=4, skip_short_classes=True)
    assert drawn.left_out == (2, 3, 4, 5, 6, 7)
    assert {one.classes for one in drawn} == {(1,)}


def test_what_is_missing(suim: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not an image name of suim"):
        opened(suim).label("elsewhere/n_2")
    (suim / "TEST" / "images" / "n_2.jpg").unlink()
    with pytest.raises(MissingError, match=r"n_2\.jpg"):
        opened(suim).image("test/n_2")
    assert len(check(opened(suim)).missing) == 1
    save_mask(tmp_path / "none" / "x.png", CODES["d_1"])
    with pytest.raises(MissingError, match="no folder with images and masks of SUIM"):
        opened(tmp_path / "none")


def test_the_real_sample(shared: Path) -> None:
    dataset = opened(shared / "data")
    images = dataset.index("test")["class_id"].value_counts().to_dict()
    # As the README of the sample counts them: FV 4, HD 6, RI 7, RO 2, WR 2.
    assert images == {1: 4, 2: 6, 4: 7, 5: 2, 7: 2}
    assert dataset.image("test/n_l_12_").shape[:2] == dataset.label("test/n_l_12_").shape
    assert not check(dataset).broken + check(dataset).missing
