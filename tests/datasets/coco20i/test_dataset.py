"""COCO-20i: lists, label rules, imported order, COCO 2017's files, and what a broken COCO2014 is answered."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fssbench import episodes, open_dataset
from fssbench.datasets.coco20i.dataset import Coco20i
from fssbench.datasets.coco20i.facts import image_name
from fssbench.datasets.io.images import read_photo
from fssbench.datasets.splits import stored as imported
from fssbench.datasets.splits.importing import import_splits
from fssbench.episode.verify import official
from fssbench.errors import BrokenFileError, MissingError, UsageError
from tests.datasets.trees import annotation, box, coco_tree, instances, label_map, truncate

LARGE = box(0, 0, 60, 60)
SMALL = box(70, 70, 10, 10)
VAL = (
    [30, 7, 100],
    [
        annotation(1, 30, 1, LARGE),
        annotation(2, 30, 2, SMALL),
        annotation(3, 7, 1, LARGE),
        annotation(4, 7, 13, box(0, 60, 60, 60)),
        annotation(5, 100, 2, LARGE),
        annotation(6, 100, 1, iscrowd=1),
    ],
)
TRAIN = ([8, 2], [annotation(9, 8, 2, LARGE), annotation(10, 2, 1, LARGE)])


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    return coco_tree(tmp_path, {"val": VAL, "train": TRAIN})


def opened(root: Path, **options: object) -> Coco20i:
    dataset = open_dataset("coco20i", root, **options)
    assert isinstance(dataset, Coco20i)
    return dataset


def ids(dataset: Coco20i, fold: int, split: str = "val") -> dict[int, list[int]]:
    lists = dataset.class_lists(fold, split)
    return {c: [int(name[-16:-4]) for name in names] for c, names in lists.items() if names}


def import_lists(side: str, lists: dict[int, list[int]]) -> None:
    imported.store("coco20i", side, {str(c): lists.get(c, []) for c in range(1, 81)})


def test_large_objects_alone(tmp_path: Path) -> None:
    large, small = annotation(1, 30, 1, LARGE), annotation(2, 30, 2, box(70, 0, 20, 20))
    dataset = opened(
        coco_tree(tmp_path, {"val": ([30], [large | {"area": 3600.0}, small | {"area": 400.0}])}), labels="large"
    )
    label = dataset.label(image_name("val", 30))
    assert (label[30, 30], label[10, 80]) == (1, 0)
    assert opened(tmp_path / "COCO2014", labels="pycocotools").label(image_name("val", 30))[10, 80] == 2
    lists = dataset.object_lists("val")
    assert lists is not None
    assert [class_id for class_id, names in lists.items() if names] == [1]


def test_large_objects_need_an_area(tmp_path: Path) -> None:
    one = annotation(1, 30, 1, LARGE)
    del one["area"]
    dataset = opened(coco_tree(tmp_path, {"val": ([30], [one])}), labels="large")
    with pytest.raises(BrokenFileError, match="annotation 1 has no area"):
        dataset.label(image_name("val", 30))


def test_folds_take_every_fourth_class(coco: Path) -> None:
    dataset = opened(coco)
    assert dataset.fold_classes(0)[:3] == (1, 5, 9)
    assert dataset.fold_classes(3)[-1] == 80
    for fold in range(4):
        assert len(dataset.fold_classes(fold)) == 20
        assert sorted(dataset.fold_classes(fold) + dataset.fold_classes(fold, "train")) == list(range(1, 81))
    assert (dataset.class_names[1], dataset.class_names[12], dataset.class_names[80]) == (
        "person", "stop sign", "toothbrush"
    )  # fmt: skip
    assert not dataset.has_ignore


def test_lists_without_import_are_in_order_of_image_id(coco: Path) -> None:
    dataset = opened(coco.parent)
    assert ids(dataset, 0) == {1: [7, 30]}
    assert ids(dataset, 1) == {2: [100]}, "an object of 121 pixels is not listed"
    assert ids(dataset, 3) == {12: [7]}
    assert ids(dataset, 0, "train") == {2: [8]}
    assert ids(dataset, 1, "train") == {1: [2]}
    assert dataset.list_order == "canonical (by image id)"
    entries = dataset.entries(0)
    assert entries["name"].tolist() == [image_name("val", 7), image_name("val", 30)]
    assert entries["class_id"].dtype == np.int64


def test_the_threshold_is_2048_pixels(tmp_path: Path) -> None:
    # Edges are included: 32 x 64 pixels are exactly enough, 32 x 63 are not.
    sides = {"val": ([1, 2], [annotation(1, 1, 1, box(0, 0, 31, 63)), annotation(2, 2, 1, box(0, 0, 31, 62))])}
    dataset = opened(coco_tree(tmp_path, sides))
    assert dataset.index("val")["pixels"].tolist() == [2048, 32 * 63]
    assert ids(dataset, 0) == {1: [1]}


def test_the_index_has_small_objects_too(coco: Path) -> None:
    rows = list(opened(coco).index("val").itertuples(index=False, name=None))
    assert rows == [
        (image_name("val", 7), 1, 60 * 61), (image_name("val", 7), 12, 61 * 61),
        (image_name("val", 30), 1, 61 * 61), (image_name("val", 30), 2, 121),
        (image_name("val", 100), 2, 61 * 61),
    ]  # fmt: skip


def test_imported_lists_decide_order_and_membership(coco: Path) -> None:
    import_lists("val", {1: [30, 7], 2: [30, 100]})
    dataset = opened(coco)
    assert ids(dataset, 0) == {1: [30, 7]}
    assert ids(dataset, 1) == {2: [30, 100]}
    assert ids(dataset, 3) == {}
    assert dataset.list_order == "imported (not HSNet's)"
    assert ids(dataset, 0, "train") == {2: [8]}, "the other side was not imported"


def test_imported_lists_ask_everybody_the_same(coco: Path) -> None:
    import_lists("val", {1: [555, 30, 7], 12: [30]})
    dataset = opened(coco)
    assert ids(dataset, 0) == {1: [555, 30, 7]}
    assert ids(dataset, 3) == {12: [30]}
    with pytest.raises(MissingError, match="have no image") as caught:
        dataset.label(image_name("val", 555))
    assert "--lists here" in str(caught.value.remedy)


def test_imported_lists_can_be_cut_to_what_is_here_and_say_so(coco: Path) -> None:
    import_lists("val", {1: [555, 30, 7], 2: [666, 100], 12: [30]})
    dataset = opened(coco, lists="here")
    assert ids(dataset, 0) == {1: [30, 7]}
    assert ids(dataset, 3) == {}, "the image is here, but without the class"
    assert dataset.list_order == "imported (not HSNet's), 3 of 6 entries are here"


def test_label_rules_differ_and_are_part_of_the_fingerprint(coco: Path) -> None:
    hsnet, plain = opened(coco), opened(coco, labels="pycocotools")
    assert hsnet.index("val")["pixels"].tolist() != plain.index("val")["pixels"].tolist()
    assert plain.label(image_name("val", 30)).sum() == 60 * 60 + 2 * 100
    assert hsnet.fingerprint != plain.fingerprint
    with pytest.raises(UsageError, match="no label rule 'masks'; there are hsnet, pycocotools, png"):
        opened(coco, labels="masks")
    with pytest.raises(UsageError, match="no option 'label'; its options: labels, lists"):
        opened(coco, label="png")


def test_the_extent_of_lists_has_two_names(coco: Path) -> None:
    with pytest.raises(UsageError, match="can be all or here, not 'some'"):
        opened(coco, lists="some")


def test_the_fingerprint_follows_the_order_and_not_the_place(coco: Path, tmp_path: Path) -> None:
    fingerprint = opened(coco).fingerprint
    copy = coco_tree(tmp_path / "copy", {"val": VAL})
    assert opened(copy).fingerprint == fingerprint, "the train side is not needed"
    import_lists("val", {1: [30, 7], 2: [100], 12: [7]})
    assert opened(copy).fingerprint != fingerprint
    assert opened(coco).split_fingerprint("train") != opened(coco).fingerprint


def test_ready_made_masks(coco: Path) -> None:
    names = [image_name("val", i) for i in (7, 30)]
    painted = opened(coco)
    fingerprint = painted.fingerprint
    for name in names:
        path = (coco / "annotations" / name).with_suffix(".png")
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(painted.label(name).astype(np.uint8)).save(path)
    (coco / "annotations" / "instances_val2014.json").unlink()
    dataset = opened(coco, labels="png")
    assert ids(dataset, 0) == {1: [7, 30]}
    assert (dataset.label(names[0]) == painted.label(names[0])).all()
    assert dataset.image_size(names[0]) == (128, 96)
    assert dataset.fingerprint != fingerprint
    Image.fromarray(label_map((81, 0, 0, 2, 2))).save((coco / "annotations" / names[1]).with_suffix(".png"))
    with pytest.raises(BrokenFileError, match=r"000000000030\.png has the label 81 \(4 pixels\); labels are 0 to 80"):
        opened(coco, labels="png").index("val")
    with pytest.raises(MissingError, match="has no masks COCO_train2014"):
        dataset.index("train")


def test_photos_by_either_name(coco: Path) -> None:
    name = image_name("val", 7)
    dataset = opened(coco)
    photo = dataset.image(name)
    assert (photo == read_photo(coco / name)).all()
    for folder in ("val2017", "train2017"):
        (coco / folder).mkdir()
    (coco / name).rename(coco / "train2017" / "000000000007.jpg")
    assert (dataset.image(name) == photo).all()
    (coco / "train2017" / "000000000007.jpg").unlink()
    with pytest.raises(MissingError, match=r"val2014.COCO_val2014_000000000007\.jpg"):
        dataset.image(name)


def test_a_grey_photo_is_rgb(coco: Path) -> None:
    path = coco / image_name("val", 7)
    Image.new("L", (96, 128), 70).save(path)
    assert opened(coco).image(image_name("val", 7)).shape == (128, 96, 3)


class Test2017:
    """COCO 2017's annotations do not say what was val in 2014."""

    @pytest.fixture
    def coco2017(self, tmp_path: Path) -> Path:
        folder = tmp_path / "COCO2014"
        (folder / "annotations").mkdir(parents=True)
        parts = {"train": ([30, 8], [VAL[1][0], TRAIN[1][0]]), "val": ([7, 100], VAL[1][2:5])}
        for side, (image_ids, instance_list) in parts.items():
            text = instances(side, image_ids, instance_list, year=2017)
            (folder / "annotations" / f"instances_{side}2017.json").write_text(text)
        return folder

    def test_without_imported_lists_it_is_refused_with_the_reason(self, coco2017: Path) -> None:
        with pytest.raises(
            MissingError, match=r"COCO 2017 only, which do not tell which images were val in COCO 2014"
        ) as caught:
            opened(coco2017).entries(0)
        assert "import-splits" in str(caught.value.remedy)

    def test_with_imported_lists_the_lists_say_it(self, coco2017: Path) -> None:
        import_lists("val", {1: [30, 7], 2: [100]})
        dataset = opened(coco2017)
        assert ids(dataset, 0) == {1: [30, 7]}
        assert ids(dataset, 1) == {2: [100]}
        assert set(dataset.index("val")["name"]) == {image_name("val", i) for i in (7, 30, 100)}

    def test_an_image_in_both_files_is_refused(self, coco2017: Path) -> None:
        import_lists("val", {1: [30, 7], 2: [100]})
        text = instances("val", [7, 30, 100], [], year=2017)
        (coco2017 / "annotations" / "instances_val2017.json").write_text(text)
        with pytest.raises(BrokenFileError, match=r"val2017.json has the image 30, which instances_train2017"):
            opened(coco2017).index("val")

    def test_a_renamed_file_is_recognised(self, coco2017: Path) -> None:
        folder = coco2017 / "annotations"
        (folder / "instances_val2017.json").rename(folder / "instances_val2014.json")
        with pytest.raises(BrokenFileError, match="these are not the annotations of COCO 2014 val"):
            opened(coco2017).entries(0)


def test_missing_and_broken_files(coco: Path) -> None:
    with pytest.raises(MissingError, match="was not found"):
        opened(None)  # type: ignore[arg-type]
    with pytest.raises(MissingError, match="no folder annotations"):
        opened(coco / "val2014")
    truncate(coco / "annotations" / "instances_val2014.json")
    with pytest.raises(BrokenFileError, match=r"instances_val2014\.json is truncated"):
        opened(coco).entries(0)
    (coco / "annotations" / "instances_val2014.json").unlink()
    with pytest.raises(MissingError, match=r"no file .*instances_val2014\.json"):
        opened(coco).entries(0)
    truncate(coco / image_name("train", 2))
    with pytest.raises(BrokenFileError, match=r"COCO_train2014_000000000002\.jpg is truncated"):
        opened(coco).image(image_name("train", 2))


@pytest.mark.parametrize("name", ["val2014/000000000007.jpg", "../x.jpg", "val2014/COCO_val2014_7.jpg", "", "x"])
def test_names_of_another_kind(coco: Path, name: str) -> None:
    for read in (opened(coco).label, opened(coco).image, opened(coco, labels="png").label):
        with pytest.raises(UsageError, match="not an image name of coco20i"):
            read(name)


def test_an_image_that_the_annotations_do_not_have(coco: Path) -> None:
    with pytest.raises(MissingError, match="have no image"):
        opened(coco).label(image_name("val", 8))


def test_a_test_side_is_refused(coco: Path) -> None:
    with pytest.raises(UsageError, match="no test images"):
        opened(coco).entries(0, "test")


@pytest.mark.parametrize("text", ["", "{}", '{"dataset": "coco20i", "side": "val", "lists": {"1": ["a"]}}',
    '{"dataset": "coco20i", "side": "val", "lists": {"81": [1]}}', '{"dataset": "fss1000", "side": "val", "lists": {}}',
    '{"dataset": "coco20i", "side": "val", "lists": {"1": [-1]}}'])  # fmt: skip
def test_broken_imported_lists(coco: Path, text: str) -> None:
    path = imported.path_of("coco20i", "val")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(BrokenFileError, match="coco20i-val") as caught:
        opened(coco).entries(0)
    assert "import-splits coco20i" in str(caught.value.remedy)


def test_lists_of_the_real_sample(shared: Path) -> None:
    expected = json.loads(gzip.decompress((shared / "reference/splits/coco/our_images.json.gz").read_bytes()))
    dataset = opened(shared / "data")
    for side in ("val", "train"):
        listed: dict[int, list[int]] = {}
        for fold in range(4):
            for class_id, image_ids in ids(dataset, fold, side).items():
                for image_id in image_ids:
                    listed.setdefault(image_id, []).append(class_id)
        official = {int(i): e["listed"] for i, e in expected.items() if e["split"] == f"{side}2014" and e["listed"]}
        assert {i: sorted(set(classes)) for i, classes in listed.items()} == official
    name = image_name("val", 139)
    assert dataset.image(name).shape[:2] == dataset.label(name).shape == dataset.image_size(name)


@pytest.mark.parametrize("shots", [1, 5])
def test_the_released_episodes_from_the_released_lists(shared: Path, shots: int) -> None:
    """A part of the data is enough to be asked what the release asks."""
    import_splits("coco20i", shared / "reference" / "splits")
    dataset = opened(shared / "data")
    assert dataset.list_order == "official (HSNet)"
    drawn = episodes(dataset, fold=0, shot=shots, protocol="hsnet")
    assert official(drawn) is True
    cut = episodes(opened(shared / "data", lists="here"), fold=0, shot=shots, protocol="hsnet", skip_short_classes=True)
    assert official(cut) is False
    assert cut.list_order == "official (HSNet), 580 of 82573 entries are here"
