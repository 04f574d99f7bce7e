"""What all data sets have in common that are asked whole, on chest X-rays, the plainest of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fssbench import episodes, open_dataset
from fssbench.datasets.checks import NOT_AT_HAND, check
from fssbench.datasets.targets.chestxray import ChestXray
from fssbench.datasets.targets.target import TargetDataset
from fssbench.errors import BrokenFileError, MissingError, UsageError
from tests.datasets.trees import label_map, lung_tree, save_mask, truncate

NAMES = ["CHNCXR_0010_0", "CHNCXR_0001_0", "CHNCXR_0002_1"]


@pytest.fixture
def lungs(tmp_path: Path) -> Path:
    return lung_tree(tmp_path, NAMES)


def opened(root: Path, name: str = "chestxray") -> TargetDataset:
    dataset = open_dataset(name, root)
    assert isinstance(dataset, TargetDataset)
    return dataset


def test_lungs_are_where_the_grey_is_128_or_lighter(lungs: Path) -> None:
    dataset = opened(lungs.parent)
    assert dataset.root == lungs
    assert dict(dataset.class_names) == {1: "lung"}
    label = dataset.label("CHNCXR_0001_0")
    assert (label.dtype, int(label.sum())) == (np.uint8, 600)
    assert dataset.image("CHNCXR_0001_0").shape == (*dataset.image_size("CHNCXR_0001_0"), 3) == (40, 60, 3)


def test_all_images_are_asked_in_order_of_their_names(lungs: Path) -> None:
    dataset = opened(lungs)
    assert dataset.entries(0, "test")["name"].tolist() == sorted(NAMES) == list(dataset.image_names)
    assert dataset.index("test")["pixels"].tolist() == [600, 600, 600]
    assert (dataset.fold_count, dataset.evaluated_split, dataset.has_ignore) == (1, "test", False)
    assert (dataset.fold_classes(0), dataset.fold_classes(0, "train")) == ((1,), ())
    with pytest.raises(UsageError, match="chestxray has no fold 1"):
        dataset.fold_classes(1)


@pytest.mark.parametrize("split", ["train", "val"])
def test_there_is_nothing_to_train_or_to_validate_on(lungs: Path, split: str) -> None:
    for call in (opened(lungs).index, opened(lungs).split_fingerprint, lambda side: opened(lungs).entries(0, side)):
        with pytest.raises(UsageError, match=f"chestxray has no {split} images"):
            call(split)  # type: ignore[arg-type]


def test_masks_of_another_name_are_passed_over(lungs: Path) -> None:
    save_mask(lungs / "masks" / "MCUCXR_0001_0.png", label_map((255, 0, 0, 9, 9)))
    assert len(opened(lungs).image_names) == 3


def test_the_fingerprint_is_of_content_and_not_of_place(lungs: Path, tmp_path: Path) -> None:
    fingerprint = opened(lungs).fingerprint
    copy = lung_tree(tmp_path / "copy", NAMES)
    assert opened(copy).fingerprint == fingerprint
    save_mask(copy / "masks" / f"{NAMES[0]}_mask.png", label_map((255, 0, 0, 9, 9), size=(40, 60)))
    assert opened(copy).fingerprint != fingerprint


def test_a_cached_index_is_not_read_from_masks_again(lungs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = opened(lungs).index("test")
    monkeypatch.setattr(ChestXray, "label", lambda *_: pytest.fail("read again"))
    assert opened(lungs).index("test").equals(first)


def test_episodes_take_each_class_in_turn(lungs: Path) -> None:
    drawn = episodes(opened(lungs), shot=2, protocol="patnet", count=5)
    assert {one.classes for one in drawn} == {(1,)}
    assert all(one.query not in one.supports[0] for one in drawn)
    with pytest.raises(MissingError, match="1 test classes with enough images; 1-way episodes need 2"):
        episodes(opened(lungs), shot=1, protocol="targets-fscs", count=5)


def test_one_image_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"too few images of lung \(1\)"):
        episodes(opened(lung_tree(tmp_path, NAMES[:1])), shot=1, protocol="patnet")


def test_check_counts_and_names_what_is_wrong(lungs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = check(opened(lungs))
    assert [(count.what, count.here, count.official, count.same) for count in report.counts] == [
        ("images, all", 3, 566, False), ("images with lung", 3, None, True)
    ]  # fmt: skip
    assert not report.broken + report.missing
    monkeypatch.setattr(ChestXray, "official", {"all": 3})
    assert check(opened(lungs)).complete
    truncate(lungs / "CXR_png" / f"{NAMES[0]}.png")
    (lungs / "CXR_png" / f"{NAMES[1]}.png").unlink()
    report = check(opened(lungs))
    assert (len(report.broken), len(report.missing), report.complete) == (1, 1, False)
    assert f"{NAMES[0]}.png is truncated" in report.broken[0]
    for name in NAMES[:2]:
        truncate(lungs / "masks" / f"{name}_mask.png", 0.6)
    report = check(opened(lungs))
    assert len(report.broken) == 2
    assert report.counts[0].here == NOT_AT_HAND


def test_what_is_missing_or_broken(lungs: Path, tmp_path: Path) -> None:
    truncate(lungs / "masks" / f"{NAMES[0]}_mask.png", 0.6)
    with pytest.raises(BrokenFileError, match=NAMES[0]) as broken:
        opened(lungs).index("test")
    assert "data check chestxray" in str(broken.value.remedy)
    (tmp_path / "empty" / "masks").mkdir(parents=True)
    with pytest.raises(MissingError, match=r"there is no mask NAME_mask\.png"):
        opened(tmp_path / "empty").index("test")
    with pytest.raises(MissingError, match="has no folder masks"):
        opened(tmp_path / "empty" / "masks")
    with pytest.raises(UsageError, match="chestxray has no option 'part'"):
        open_dataset("chestxray", lungs, part="all")
