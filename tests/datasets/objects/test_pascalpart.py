"""PASCAL-Part: folds, images of objects, and episodes held against draws by NumPy's own global generator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fssbench
from fssbench import episodes, open_dataset
from fssbench.datasets.checks import check
from fssbench.datasets.pascalpart.dataset import PascalPart
from fssbench.episode.verify import verify
from fssbench.errors import BrokenFileError, MissingError, UsageError
from tests.datasets.objects.trees import part_tree, voc_object
from tests.datasets.trees import SIZE

PHOTOS = [f"2008_{number:06d}" for number in range(6)]
HEAD, LEG = (4, 4, 20, 12), (6, 20, 12, 30)
LISTS = {
    "animals": {"cow+HEAD": PHOTOS[:5], "cow+LEG": PHOTOS[::-1], "cat+TAIL": []},
    "indoor": {"bottle+CAP": PHOTOS[1:4]},
    "person": {"person+ARM": PHOTOS[:4]},
    "vehicles": {"aeroplane+TAIL": PHOTOS[:4], "car+WHEEL": PHOTOS[:3]},
}


def objects_of(number: int) -> list[dict[str, Any]]:
    """Two cows, of which one may lack its head, and one of everything else."""
    return [
        voc_object("cow", (2, 2, 42, 34), {"HEAD": [HEAD], "LEG": [LEG, (30, 20, 36, 30)]}),
        voc_object("bottle", (0, 0, 20, 20), {"CAP": [(2, 2, 9, 9)]}),
        voc_object("cow", (10, 0, 50, 40), {"HEAD": [(12, 2, 30, 9)]} if number % 2 else {"LEG": [(12, 9, 18, 30)]}),
        voc_object("person", (5, 5, 50, 38), {"ARM": [(8, 8, 20, 11)]}),
        voc_object("aeroplane", (5, 5, 50, 38), {"TAIL": [(8, 8, 20, 11)]}),
        voc_object("car", (5, 5, 50, 38), {"WHEEL": [(8, 8, 20, 11), (8, 8, 9, 9)]}),
    ]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return part_tree(tmp_path, LISTS, {photo: objects_of(number) for number, photo in enumerate(PHOTOS)})


@pytest.fixture
def parts(root: Path) -> PascalPart:
    dataset = open_dataset("pascalpart", root.parent)
    assert isinstance(dataset, PascalPart)
    return dataset


def test_folds_are_the_categories_and_classes_the_parts_in_train_and_val(parts: PascalPart) -> None:
    assert dict(parts.class_names) == {1: "cow+HEAD", 2: "cow+LEG", 3: "bottle+CAP", 4: "person+ARM", 5: "car+WHEEL"}
    assert [parts.fold_classes(fold) for fold in range(4)] == [(1, 2), (3,), (4,), (5,)]
    assert parts.fold_classes(0, "train") == ()
    with pytest.raises(UsageError, match="no fold 4"):
        parts.fold_classes(4)
    with pytest.raises(UsageError, match="no train images"):
        parts.index("train")


def test_an_image_is_one_object_in_its_box_with_one_part(parts: PascalPart) -> None:
    label = parts.label("2008_000001/0/cow+LEG")
    assert label.shape == (32, 40) == parts.image_size("2008_000001/0/cow+LEG")
    assert parts.image("2008_000001/0/cow+LEG").shape == (32, 40, 3)
    expected = np.zeros(SIZE, dtype=np.uint8)
    expected[20:30, 6:12] = expected[20:30, 30:36] = 2
    assert np.array_equal(label, expected[2:34, 2:42])
    # The other cow has a head of its own.
    assert set(np.unique(parts.label("2008_000001/2/cow+HEAD"))) == {0, 1}
    for name in ("2008_000001/9/cow+LEG", "2008_000001/x/cow+LEG", "2009_000001/0/cow+LEG", "../0/cow+LEG", "a"):
        with pytest.raises(UsageError):
            parts.label(name)
    with pytest.raises(UsageError, match="has no part"):
        parts.label("2008_000000/2/cow+HEAD")


def test_the_index_counts_pixels_in_the_box(parts: PascalPart) -> None:
    index = parts.index("val").set_index("name")["pixels"]
    assert index["2008_000001/0/cow+HEAD"] == 16 * 8
    assert index["2008_000001/5/car+WHEEL"] == 12 * 3
    assert "2008_000000/2/cow+HEAD" not in index
    assert all(int((parts.label(name) > 0).sum()) == pixels for name, pixels in index.items())


def test_the_fingerprint_sees_a_part_that_is_missing(root: Path, parts: PascalPart) -> None:
    before = parts.fingerprint
    path = parts.annotation_path(PHOTOS[0])
    content = json.loads(path.read_text())
    del content["object"][2]["parts"][0]
    path.write_text(json.dumps(content))
    assert PascalPart(root).fingerprint != before


@pytest.mark.usefixtures("generator")
@pytest.mark.parametrize(("protocol", "shot"), [("gfsam", 1), ("matcher", 3), ("insid3", 3)])
def test_the_draws_are_those_of_the_releases(parts: PascalPart, protocol: str, shot: int) -> None:
    drawn = episodes(parts, 0, 1, shot, protocol, count=40)
    np.random.seed(0)  # noqa: NPY002 - what the release does
    for number, episode in enumerate(drawn):
        kind, part = [("cow", "HEAD"), ("cow", "LEG")][number % 2]
        query, image = _draw(kind, part, [])
        photos = [query]
        supports: list[str] = []
        while len(supports) < shot:
            photo, support = _draw(kind, part, photos)
            photos.append(photo)
            supports.append(support)
        assert (episode.query, episode.classes, episode.supports) == (image, (number % 2 + 1,), (tuple(supports),))
    assert {finding.state for finding in verify(drawn, parts)} == {"ok"}


def _draw(kind: str, part: str, used: list[str]) -> tuple[str, str]:
    """A photo of the list, again while it is in use; an object; both again if it lacks the part."""
    while True:
        photo = str(np.random.choice(LISTS["animals"][f"{kind}+{part}"], 1, replace=False)[0])  # noqa: NPY002
        if photo in used:
            continue
        objects = objects_of(PHOTOS.index(photo))
        of_kind = [place for place, one in enumerate(objects) if one["name"] == kind]
        place = int(np.random.choice(of_kind, 1, replace=False)[0])  # noqa: NPY002
        if any(one["name"] == part for one in objects[place]["parts"]):
            return photo, f"{photo}/{place}/{kind}+{part}"


def test_there_are_as_many_episodes_as_the_lists_have_entries(parts: PascalPart) -> None:
    assert [len(episodes(parts, fold, 1, 1, "gfsam")) for fold in range(4)] == [11, 3, 4, 7]
    assert len(episodes(parts, 1, 1, 1, "gfsam", count=20)) == 20


def test_shots_need_so_many_different_photos(parts: PascalPart) -> None:
    with pytest.raises(MissingError, match=r"car\+WHEEL \(3\).*needs 4 different"):
        episodes(parts, 3, 1, 3, "gfsam")
    with pytest.raises(UsageError, match="not defined"):
        episodes(parts, 0, 1, 1, "hsnet")


def test_what_training_on_other_data_has_seen_of_it_is_not_known(root: Path) -> None:
    with pytest.raises(UsageError, match="not known which classes of pascalpart training on coco20i has seen"):
        open_dataset("pascalpart", root, train_dataset="coco20i")


def test_it_is_evaluated(parts: PascalPart) -> None:
    results = fssbench.evaluate(fssbench.build("copy-mask"), parts, episodes(parts, 3, 1, 1, "gfsam", count=2))
    assert len(results.frame) == 2
    assert results.run.folds[0].classes == (5,)


def test_the_check_compares_with_the_release_and_names_files(root: Path, parts: PascalPart) -> None:
    counts = {count.what: (count.here, count.official) for count in check(parts).counts}
    assert counts["classes, fold 0 (animals)"] == (2, 31)
    assert counts["episodes, fold 1"] == (3, 959)
    (parts.base / "JPEGImages" / "2008_000003.jpg").unlink()
    assert any("2008_000003.jpg" in message for message in check(PascalPart(root)).missing)
    parts.annotation_path(PHOTOS[2]).unlink()
    assert any("2008_000002.json" in message for message in check(PascalPart(root)).missing)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: one["parts"][0]["mask"][0].update(counts="0"), "run lengths"),
        (lambda one: one["parts"][0]["mask"][0].update(size=[10**6, 10**6]), "run lengths"),
        (lambda one: one["bndbox"].update(xmin="here"), "box"),
        (lambda one: one["bndbox"].pop("xmin"), "bndbox"),
        (lambda one: one.update(parts=7), "parts"),
    ],
)
def test_broken_annotations_are_named(parts: PascalPart, change, message: str) -> None:
    path = parts.annotation_path(PHOTOS[0])
    content = json.loads(path.read_text())
    change(content["object"][0])
    path.write_text(json.dumps(content))
    with pytest.raises(BrokenFileError, match=message) as broken:
        parts.index("val")
    assert "2008_000000" in broken.value.message


def test_lists_that_lead_elsewhere_are_refused(root: Path, parts: PascalPart) -> None:
    path = parts.base / "all_obj_part_to_image.json"
    path.write_text(path.read_text().replace("2008_000002", "../../secret"))
    with pytest.raises(BrokenFileError, match="not the name of a photo"):
        parts.class_names  # noqa: B018 - read when it is needed
    path.unlink()
    with pytest.raises(MissingError, match="all_obj_part_to_image"):
        PascalPart(root)
