"""The embedded data set: the same pixels everywhere, and a fair problem."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest

from fssbench.datasets import open_dataset
from fssbench.datasets.dataset import Split
from fssbench.datasets.shapes20i import dataset as shapes20i
from fssbench.datasets.shapes20i.dataset import COUNTS, MIN_PIXELS, Shapes20i
from fssbench.datasets.shapes20i.scene import Scene, plan, render, render_label
from fssbench.errors import MissingError, UsageError

# A change of any of these is a change of the data set: raise VERSION in dataset.py, since cached
# indices and the provenance of results rely on it, and train the checkpoints anew.
PIXELS: dict[tuple[int, str], str] = {
    (0, "train_0001"): "7c36b53ae6588d88530691c4ccf47638b8d68d3f132aa522038963907bc4316e",
    (0, "train_1234"): "e2d177bd7bfb9af67329b317ed6426fa8373d036fbd7b6269db912b1e12f2ee7",
    (0, "train_2000"): "07322dd48ccf118f06ad66285da7b693960b188366cc9f3fa28502c2baf17724",
    (0, "val_0001"): "7b75d64b0a2aa95e3eb0445cba33de83ade0d6a98c243ddf90d7c4dea33997cf",
    (0, "val_0137"): "a7db6e02fee65d9b0b31b7440cf2734f8465822fa28597ea5f5f703a13d68c86",
    (0, "val_0400"): "3ad327e7c4c7ab3649cc07675ffd9af1d669df9613345281153e9e9842d2a7d6",
    (20260101, "val_0020"): "3c672b0ec5d14429624039c126725f305d23ee265fee4baff6a3ae3f4cf35926",
}
INDEX = "937aff0f7119964e3b2af8978d42471a045b2abe464b800ff35f255fdbceb7d2"
FINGERPRINT = "ce67aa191e9cb4d024b8b6c1b5b5a65bf3917c1f1efc12de2ba66afd76a8728f"

SAMPLE = [f"val_{number:04d}" for number in range(1, 400, 19)]


def sha256(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def dataset() -> Shapes20i:
    return Shapes20i.open()


@pytest.mark.parametrize(("seed", "name"), sorted(PIXELS))
def test_pixels_are_the_same_on_every_machine(seed: int, name: str) -> None:
    dataset = Shapes20i.open(seed=seed)
    assert sha256(dataset.image(name), dataset.label(name)) == PIXELS[seed, name]


def test_whole_val_index_is_the_same_on_every_machine(dataset: Shapes20i) -> None:
    index = dataset.index("val")
    lines = "".join(f"{row.name} {row.class_id} {row.pixels}\n" for row in index.itertuples(index=False))
    assert hashlib.sha256(lines.encode()).hexdigest() == INDEX


def test_fingerprint_depends_on_the_seed_alone() -> None:
    assert Shapes20i.open().fingerprint == Shapes20i.open(seed=0).fingerprint == FINGERPRINT
    assert Shapes20i.open(seed=1).fingerprint != FINGERPRINT


def test_a_picture_does_not_depend_on_what_was_drawn_before() -> None:
    forth, back = Shapes20i(), Shapes20i()
    names = [f"train_{number:04d}" for number in range(1, 2000, 25)]
    first = {name: sha256(forth.image(name)) for name in names}
    shapes20i._rendered.cache_clear()
    assert first == {name: sha256(back.image(name)) for name in reversed(names)}
    assert len(set(first.values())) == len(names)


def test_changing_a_picture_does_not_change_the_next_reading() -> None:
    dataset = Shapes20i()
    before = dataset.image("val_0001"), dataset.label("val_0001")
    dataset.image("val_0001")[:] = 0
    dataset.label("val_0001")[:] = 0
    np.testing.assert_array_equal(dataset.image("val_0001"), before[0])
    np.testing.assert_array_equal(dataset.label("val_0001"), before[1])


def test_another_seed_is_another_data_set() -> None:
    one, other = Shapes20i(), Shapes20i(seed=7)
    assert all(sha256(one.image(name)) != sha256(other.image(name)) for name in SAMPLE[:4])


@pytest.mark.parametrize("name", SAMPLE)
def test_image_and_label_belong_together(name: str) -> None:
    dataset = Shapes20i()
    image, label = dataset.image(name), dataset.label(name)
    assert image.dtype == label.dtype == np.uint8
    assert image.shape == (*label.shape, 3)
    assert dataset.image_size(name) == label.shape
    assert image.std() > 10
    assert set(np.unique(label).tolist()) <= {0, 255, *dataset.class_names}


def test_label_drawn_alone_is_the_label_of_the_photo() -> None:
    for number in range(0, 400, 20):
        scene = plan(0, 1, number, held_out=False)
        np.testing.assert_array_equal(render_label(scene), render(scene)[1])


def test_sizes_vary_and_are_not_square() -> None:
    dataset = Shapes20i()
    sizes = {dataset.image_size(name) for name in SAMPLE}
    assert len(sizes) > 10
    assert all(height != width and 176 <= min(height, width) <= max(height, width) <= 240 for height, width in sizes)
    assert {height > width for height, width in sizes} == {True, False}


def test_a_rim_to_ignore_runs_between_an_object_and_all_else() -> None:
    dataset = Shapes20i()
    for name in SAMPLE:
        label = dataset.label(name).astype(int)
        assert 0.002 < (label == 255).mean() < 0.2
        for a, b in ((label[1:], label[:-1]), (label[:, 1:], label[:, :-1])):
            assert not ((a != b) & (a != 255) & (b != 255)).any()


def test_index_counts_the_pixels_of_the_labels(dataset: Shapes20i) -> None:
    index = dataset.index("val")
    assert index.dtypes[["class_id", "pixels"]].tolist() == [np.dtype("int64")] * 2
    for name in SAMPLE:
        values, counts = np.unique(dataset.label(name), return_counts=True)
        expected = {int(v): int(n) for v, n in zip(values, counts, strict=True) if v not in (0, 255)}
        rows = index[index["name"] == name]
        assert dict(zip(rows["class_id"], rows["pixels"], strict=True)) == expected


@pytest.mark.parametrize("split", ["val", pytest.param("train", marks=pytest.mark.long)])
def test_the_shipped_index_is_what_is_drawn(dataset: Shapes20i, split: Split) -> None:
    pd.testing.assert_frame_equal(dataset.index(split), dataset.count(split))
    if split == "train":
        assert dataset._placed == dataset.draw_placed()


def test_an_index_that_is_not_shipped_is_drawn_once_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(scene: Scene) -> None:
        raise AssertionError(f"drew {scene.key} again")

    monkeypatch.setattr("fssbench.datasets.shapes20i.dataset.COUNTS", {"train": 12, "val": 7})
    drawn = {split: Shapes20i().index(split) for split in ("val", "train")}
    assert drawn["val"]["name"].unique().tolist() == [f"val_{number:04d}" for number in range(1, 8)]
    assert len(Shapes20i()._placed) == 12
    monkeypatch.setattr("fssbench.datasets.shapes20i.dataset.render_label", refuse)
    for split in ("val", "train"):
        pd.testing.assert_frame_equal(Shapes20i().index(split), drawn[split])
    with pytest.raises(AssertionError, match="again"):
        Shapes20i(seed=1).index("val")


@pytest.mark.parametrize("fold", range(4))
def test_val_lists_hold_the_novel_classes_by_name_then_class(dataset: Shapes20i, fold: int) -> None:
    entries = dataset.entries(fold)
    assert dataset.fold_classes(fold) == tuple(range(5 * fold + 1, 5 * fold + 6))
    pairs = list(zip(entries["name"], entries["class_id"], strict=True))
    assert pairs == sorted(set(pairs))
    assert entries["class_id"].value_counts().reindex(dataset.fold_classes(fold)).min() >= 20
    pixels = dataset.index("val").set_index(["name", "class_id"])["pixels"]
    assert min(pixels[pair] for pair in pairs) >= MIN_PIXELS


@pytest.mark.parametrize("fold", range(4))
def test_val_has_pictures_without_a_class_and_with_several(dataset: Shapes20i, fold: int) -> None:
    index = dataset.index("val")
    for class_id in dataset.fold_classes(fold):
        assert index.loc[index["class_id"] == class_id, "name"].nunique() < 80
    assert (index["name"].value_counts() > 1).mean() > 0.3


@pytest.mark.parametrize("fold", range(4))
def test_training_never_sees_a_novel_class(dataset: Shapes20i, fold: int) -> None:
    entries = dataset.entries(fold, "train")
    novel = dataset.fold_classes(fold, "val")
    names = sorted(set(entries["name"]))
    assert not set(dataset.fold_classes(fold, "train")) & set(novel)
    assert len(names) >= 900
    index = dataset.index("train")
    assert not index[index["name"].isin(names) & index["class_id"].isin(novel)].size
    for name in names[:: len(names) // 40]:
        assert not np.isin(dataset.label(name), novel).any()
    assert entries["class_id"].value_counts().reindex(dataset.fold_classes(fold, "train")).min() >= 80


def test_training_leaves_out_pictures_whose_novel_object_is_hidden(dataset: Shapes20i) -> None:
    for fold in range(4):
        novel = set(dataset.fold_classes(fold))
        for name in sorted(set(dataset.entries(fold, "train")["name"]))[::4]:
            items = plan(0, 0, int(name.removeprefix("train_")) - 1, held_out=True).items
            assert not novel & {item.class_id for item in items}


@pytest.mark.parametrize(
    "name", ["val_0000", "val_0401", "train_2001", "val_1", "val_00001", "test_0001", "val_०००१", ""]
)
def test_a_name_out_of_range_is_missing(name: str) -> None:
    dataset = Shapes20i()
    for read in (dataset.image, dataset.label, dataset.image_size):
        with pytest.raises(MissingError, match="val_0001 to val_0400"):
            read(name)


def test_opening_refuses_what_does_not_fit() -> None:
    with pytest.raises(UsageError, match="rendered"):
        open_dataset("shapes20i", root="somewhere")
    with pytest.raises(UsageError, match="colour"):
        open_dataset("shapes20i", colour="red")
    for seed in (-1, 1 << 63, "3", True, 1.0):
        with pytest.raises(UsageError, match="seed"):
            open_dataset("shapes20i", seed=seed)


def test_fold_and_split_are_checked(dataset: Shapes20i) -> None:
    with pytest.raises(UsageError, match="fold 4"):
        dataset.entries(4)
    with pytest.raises(UsageError, match="split"):
        dataset.entries(0, "test")
    assert set(COUNTS) == {"train", "val"}
