"""FSS-1000: one fold, three sides by imported class lists, grey masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fssbench import episodes, open_dataset
from fssbench.datasets.splits import stored as imported
from fssbench.datasets.splits.importing import import_splits
from fssbench.errors import BrokenFileError, MissingError, UsageError
from tests.datasets.trees import fss_tree, truncate


@pytest.fixture
def fss(tmp_path: Path) -> Path:
    imported.store("fss1000", "train", {"classes": ["zebra", "ant"]})
    imported.store("fss1000", "val", {"classes": ["bus", "absent"]})
    imported.store("fss1000", "test", {"classes": ["Yak", "cup", "abe's_fish"]})
    return fss_tree(tmp_path, ["zebra", "ant", "bus", "Yak", "cup", "abe's_fish", "in_no_list"], images=11)


def test_label_values_are_hsnets_class_ids_plus_1(fss: Path) -> None:
    dataset = open_dataset("fss1000", fss.parent)
    assert dict(dataset.class_names) == {
        1: "ant", 2: "zebra", 521: "absent", 522: "bus", 761: "Yak", 762: "abe's_fish", 763: "cup"
    }  # fmt: skip
    assert dataset.fold_classes(0, "train") == (1, 2)
    assert dataset.fold_classes(0, "val") == (521, 522)
    assert dataset.fold_classes(0, "test") == (761, 762, 763)
    assert (dataset.fold_count, dataset.has_ignore) == (1, False)
    with pytest.raises(UsageError, match="no fold 1"):
        dataset.fold_classes(1, "test")


def test_every_image_is_listed_in_order_of_its_path(fss: Path) -> None:
    entries = open_dataset("fss1000", fss).entries(0, "test")
    assert entries["name"].tolist()[:4] == ["Yak/1.jpg", "Yak/10.jpg", "Yak/11.jpg", "Yak/2.jpg"]
    assert entries["class_id"].tolist() == [761] * 11 + [762] * 11 + [763] * 11
    assert open_dataset("fss1000", fss).entries(0, "val")["class_id"].tolist() == [522] * 11


def test_grey_128_is_foreground(fss: Path) -> None:
    label = open_dataset("fss1000", fss).label("cup/2.jpg")
    assert label.dtype == np.uint16
    assert sorted(np.unique(label)) == [0, 763]
    expected = np.zeros((32, 32), dtype=bool)
    expected[6:14, 6:14] = True
    assert ((label == 763) == expected).all()


def test_index_and_sizes(fss: Path) -> None:
    dataset = open_dataset("fss1000", fss)
    index = dataset.index("train")
    assert set(index["class_id"]) == {1, 2}
    assert set(index["pixels"]) == {64}
    assert len(index) == 22
    assert dataset.image_size("cup/1.jpg") == dataset.image("cup/1.jpg").shape[:2] == (32, 32)


def test_fingerprint_and_order(fss: Path) -> None:
    dataset = open_dataset("fss1000", fss)
    assert dataset.list_order == "imported (not HSNet's test classes)"
    before = dataset.fingerprint
    imported.store("fss1000", "test", {"classes": ["Yak", "cup"]})
    assert open_dataset("fss1000", fss).fingerprint != before
    assert open_dataset("fss1000", fss).split_fingerprint("train") == dataset.split_fingerprint("train")


def test_episodes_of_hsnets_protocol(fss: Path) -> None:
    drawn = episodes(open_dataset("fss1000", fss), shot=1)
    assert len(drawn) == 33
    assert drawn[0].query == "Yak/1.jpg"
    assert {episode.classes[0] for episode in drawn} == {761, 762, 763}


def test_what_is_missing_or_broken(fss: Path, tmp_path: Path) -> None:
    dataset = open_dataset("fss1000", fss)
    truncate(fss / "cup" / "1.png", 0.6)
    with pytest.raises(BrokenFileError, match=r"cup.1\.png"):
        dataset.index("test")
    (fss / "cup" / "2.jpg").unlink()
    with pytest.raises(MissingError, match=r"cup.2\.jpg"):
        dataset.image("cup/2.jpg")
    with pytest.raises(UsageError, match="not in a class of the imported lists"):
        dataset.label("in_no_list/1.jpg")
    imported.path_of("fss1000", "test").unlink()
    with pytest.raises(
        MissingError, match=r"the test classes of FSS-1000 are not known: test\.txt was not imported"
    ) as caught:
        open_dataset("fss1000", fss).entries(0, "test")
    assert "import-splits fss1000" in str(caught.value.remedy)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingError, match="has no class folders"):
        open_dataset("fss1000", tmp_path / "empty")


def test_the_real_sample(shared: Path) -> None:
    import_splits("fss1000", shared / "reference" / "splits" / "fss")
    dataset = open_dataset("fss1000", shared / "data" / "fss1000-sample")
    entries = dataset.entries(0, "train")
    assert entries["name"].tolist() == [f"african_elephant/{n}.jpg" for n in range(3, 8)]
    assert set(entries["class_id"]) == {7}
    assert list(dataset.class_names) == list(range(1, 1001))
    label = dataset.label("african_elephant/3.jpg")
    assert (label.shape, sorted(np.unique(label))) == ((224, 224), [0, 7])
    assert dataset.list_order == "official (HSNet), 240 test classes are not here"
