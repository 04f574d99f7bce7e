"""ISIC 2018: classes by PATNet's list or by folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fssbench import episodes, open_dataset
from fssbench.datasets.checks import check
from fssbench.datasets.targets import isic2018
from fssbench.errors import BrokenFileError, MissingError, UsageError
from tests.datasets.trees import isic_tree, save_photo

CLASSES = {
    "ISIC_0000003": "melanoma", "ISIC_0000001": "nevus", "ISIC_0000002": "seborrheic_keratosis", "ISIC_0000004": "nevus"
}  # fmt: skip
FOLDERS = ("nevus", "seborrheic_keratosis", "melanoma")


@pytest.fixture
def isic(tmp_path: Path) -> Path:
    return isic_tree(tmp_path, CLASSES)


def test_the_class_is_the_images_and_the_mask_the_lesions(isic: Path) -> None:
    dataset = open_dataset("isic2018", isic.parent)
    rows = list(dataset.index("test").itertuples(index=False, name=None))
    assert rows == [
        ("ISIC_0000001", 1, 200), ("ISIC_0000002", 2, 200), ("ISIC_0000003", 3, 200), ("ISIC_0000004", 1, 200)
    ]  # fmt: skip
    assert dict(dataset.class_names) == {1: "nevus", 2: "seborrheic keratosis", 3: "melanoma"}
    assert sorted(np.unique(dataset.label("ISIC_0000003"))) == [0, 3]
    assert dataset.image("ISIC_0000003").shape == (*dataset.image_size("ISIC_0000003"), 3)


def test_class_folders_say_the_same(isic: Path, tmp_path: Path) -> None:
    listed = open_dataset("isic2018", isic)
    sorted_in = open_dataset("isic2018", isic_tree(tmp_path / "b", CLASSES, folders=FOLDERS))
    assert sorted_in.index("test").equals(listed.index("test"))
    assert sorted_in.list_order == "canonical (by name), classes by folder"
    assert listed.list_order == "canonical (by name), classes of another list than PATNet"
    drawn = [episodes(d, protocol="patnet", count=4, skip_short_classes=True) for d in (listed, sorted_in)]
    assert drawn[0].hash == drawn[1].hash


def test_photos_that_no_list_names_are_passed_over(isic: Path) -> None:
    save_photo(isic / isic2018.PHOTOS / "ISIC_9999999.jpg", (40, 60))
    assert len(open_dataset("isic2018", isic).index("test")) == 4


def test_check_compares_the_classes_with_the_release(isic: Path) -> None:
    report = check(open_dataset("isic2018", isic))
    counts = {count.what: (count.here, count.official) for count in report.counts}
    assert counts["images, all"] == (4, 2594)
    assert counts["images, nevus"] == (2, 1867)
    assert counts["images, melanoma"] == (1, 519)
    (isic / isic2018.MASKS / "ISIC_0000002_segmentation.png").unlink()
    assert "ISIC_0000002_segmentation.png" in check(open_dataset("isic2018", isic)).missing[0]
    with pytest.raises(MissingError, match="there is no mask"):
        open_dataset("isic2018", isic).index("test")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name,kind\n", "has no columns ID and Class"),
        ("ID,Class\nISIC_0000001,mole\n", "line 2: 'mole' is not a class of isic2018"),
        ("ID,Class\nISIC_0000001\n", "line 2: 'None' is not a class"),
        (b"\xff\xfe\x00", "can't read"),
    ],
)
def test_a_list_of_classes_that_is_none(isic: Path, text: str | bytes, told: str) -> None:
    (isic / "class_id.csv").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(BrokenFileError, match=told):
        open_dataset("isic2018", isic).index("test")


def test_what_is_missing(isic: Path, tmp_path: Path) -> None:
    (isic / "class_id.csv").unlink()
    with pytest.raises(MissingError, match="has the classes of the images") as missed:
        open_dataset("isic2018", isic).index("test")
    assert "slei109/PATNet" in str(missed.value.remedy)
    with pytest.raises(MissingError, match="has no folder ISIC2018_Task1-2_Training_Input"):
        open_dataset("isic2018", tmp_path / "ISIC" / isic2018.MASKS)
    dataset = open_dataset("isic2018", isic_tree(tmp_path / "b", CLASSES))
    with pytest.raises(UsageError, match="'ISIC_9' is not an image of isic2018"):
        dataset.label("ISIC_9")


def test_the_list_is_known_by_its_hash(isic: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    own = hashlib.sha256((isic / "class_id.csv").read_bytes()).hexdigest()
    facts = isic2018.ListFacts(isic2018.list_facts().names, own)
    monkeypatch.setattr(isic2018, "list_facts", lambda: facts)
    assert open_dataset("isic2018", isic).list_order == "canonical (by name), classes by PATNet"
