"""PACO-Part: folds by the training file, objects in their boxes, and episodes held against NumPy's own generator."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import fssbench
from fssbench import episodes, open_dataset
from fssbench.datasets.checks import check
from fssbench.datasets.pacopart.dataset import PacoPart
from fssbench.episode.verify import verify
from fssbench.errors import BrokenFileError, MissingError, UsageError
from tests.datasets.objects.trees import PacoPhotos, mask, paco_tree, run_lengths
from tests.datasets.trees import box

NAMES = [f"{'val' if number % 3 else 'train'}2017/{number:012d}.jpg" for number in range(6)]
ORDER = [31, 7, 12, 5, 90, 44, 3, 18, 61]
"""The categories in the order of the training file; the last is in no fold, as nine are not divisible by four."""


def photos_of(category: int) -> PacoPhotos:
    """Six photos (two of category 5, one of 90) of one or two objects; the second of photo 2 has an empty box."""
    found = {}
    for number, photo in enumerate(NAMES[: {5: 2, 90: 1}.get(category, 6)]):
        objects = {100 + number: ([2.9, 3.2, 40.5, 50.0], [run_lengths(mask((5, 5, 15, 25))), [box(20, 30, 10, 5)]])}
        if number % 2 == 0:
            height = 0.4 if number == 2 else 30.0
            objects[50 + number] = ([10.0, 10.1, 30.0, height], [run_lengths(mask((5, 5, 15, 25), size=(128, 96)))])
        found[photo] = objects
    return found


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return paco_tree(tmp_path_factory.mktemp("paco"), ORDER, {c: photos_of(c) for c in sorted(ORDER)})


@pytest.fixture
def paco(root: Path) -> PacoPart:
    dataset = open_dataset("pacopart", root.parent)
    assert isinstance(dataset, PacoPart)
    return dataset


def test_folds_are_every_fourth_category_with_enough_images(paco: PacoPart) -> None:
    # Category 90 (value 5) has one image, and 5 (value 4) two.
    assert paco.folds == ((1,), (2, 6), (3, 7), (4, 8))
    assert paco.for_shots(2).folds == ((1,), (2, 6), (3, 7), (8,))
    assert paco.class_names[4] == "PACO category 5"
    assert paco.for_shots(2).fingerprint != paco.fingerprint


def test_an_image_is_one_object_in_its_box(paco: PacoPart) -> None:
    name = f"{NAMES[1]}/101/31"
    label = paco.label(name)
    expected = mask((5, 5, 15, 25), (20, 30, 30, 35))[3:53, 2:43]
    assert np.array_equal(label, np.where(expected, 1, 0))
    assert paco.image(name).shape == (*label.shape, 3) == (50, 41, 3)
    assert paco.index("val").set_index("name")["pixels"][name] == expected.sum() == 250
    assert int((paco.label(f"{NAMES[0]}/50/31") > 0).sum()) == 5 * 15
    for wrong in (f"{NAMES[1]}/999/31", f"{NAMES[1]}/101/32", NAMES[1], "a/b/c", "../x/1/31"):
        with pytest.raises(UsageError):
            paco.label(wrong)
    with pytest.raises(BrokenFileError, match="empty"):
        paco.label(f"{NAMES[2]}/52/31")


@pytest.mark.usefixtures("generator")
@pytest.mark.parametrize(("protocol", "shot"), [("gfsam", 1), ("matcher", 2), ("insid3", 5)])
def test_the_draws_are_those_of_the_releases(paco: PacoPart, protocol: str, shot: int) -> None:
    fold = 1
    drawn = episodes(paco, fold, 1, shot, protocol, count=40)
    np.random.seed(0)  # noqa: NPY002 - what the release does
    found = 0
    redrawn = 0
    while found < 40:
        category = int(np.random.choice([7, 44], 1, replace=False)[0])  # noqa: NPY002 - as the release does
        query = _photo()
        images = [f"{query}/{_object(query)}/{category}"]
        while len(images) < shot + 1:
            support = _photo()
            if support != query:
                images.append(f"{support}/{_object(support)}/{category}")
        if any(f"{NAMES[2]}/52/" in image for image in images):
            redrawn += 1
            continue
        expected = (images[0], (ORDER.index(category) + 1,), (tuple(images[1:]),))
        assert (drawn[found].query, drawn[found].classes, drawn[found].supports) == expected
        found += 1
    assert redrawn > 0
    assert {finding.state for finding in verify(drawn, paco)} == {"ok"}


def _photo() -> str:
    return str(np.random.choice(NAMES, 1, replace=False)[0])  # noqa: NPY002 - as the release does


def _object(photo: str) -> int:
    return int(np.random.choice(list(photos_of(7)[photo]), 1, replace=False)[0])  # noqa: NPY002 - as the release does


def test_it_is_evaluated_with_the_classes_of_its_shots(paco: PacoPart) -> None:
    drawn = episodes(paco, 3, 1, 2, "gfsam", count=2)
    results = fssbench.evaluate(fssbench.build("copy-mask"), paco, drawn)
    assert results.run.folds[0].classes == (8,)
    assert len(results.frame) == 2


def test_the_check_compares_with_the_release(paco: PacoPart) -> None:
    report = check(paco)
    counts = {count.what: (count.here, count.official) for count in report.counts}
    assert counts["categories"] == (9, 448)
    assert counts["classes for 1 shot, fold 1"] == (2, 82)
    assert not report.missing
    assert not report.broken


@pytest.mark.parametrize(
    ("images", "annotations"),
    [
        ({1: [{1: "x/val2017/../a.jpg"}]}, {}),
        ({1: [{1: NAMES[1], 2: NAMES[2]}]}, {}),
        ({1: [{1: NAMES[1]}]}, {}),
        ({1: [{1: NAMES[1]}]}, {1: []}),
        ({1: [{1: NAMES[1]}]}, {1: [{"category_id": 1, "obj_ann_id": 1, "obj_bbox": [0, 0, float("nan"), 1]}]}),
        ({1: [{1: NAMES[1]}]}, {1: [{"category_id": 1, "obj_ann_id": 1, "obj_bbox": [0, 0, 9, 9], "segmentation": 3}]}),
        ({"a": []}, {}),
        ([], {}),
    ],
)
def test_other_content_is_refused(root: Path, tmp_path: Path, images: object, annotations: object) -> None:
    (tmp_path / "paco").mkdir()
    path = tmp_path / "paco" / "paco_part_val.pkl"
    (tmp_path / "paco" / "paco_part_train.pkl").write_bytes((root / "paco" / "paco_part_train.pkl").read_bytes())
    with pytest.raises(MissingError, match=r"paco_part_val\.pkl"):
        PacoPart(tmp_path)
    path.write_bytes(pickle.dumps({"cid2img": images, "img2anno": annotations}))
    with pytest.raises(BrokenFileError, match=r"paco_part_val\.pkl"):
        PacoPart(tmp_path).folds  # noqa: B018 - read when it is needed
