"""LVIS-92i: folds by the number of shots, overlapping masks, and episodes held against NumPy's own generator."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fssbench
from fssbench import episodes, open_dataset
from fssbench.datasets.checks import check
from fssbench.datasets.lvis92i.dataset import Lvis92i
from fssbench.episode.verify import verify
from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.planning.plan import plan
from fssbench.planning.request import Request
from tests.datasets.objects.trees import lvis_tree, mask, run_lengths
from tests.datasets.trees import SIZE, box

NAMES = [f"{'val' if number % 3 else 'train'}2017/{number:012d}.jpg" for number in range(8)]
ORDER = [(17 * number) % 101 + 1 for number in range(23)]
"""The categories in the order of the file, which is not sorted."""


def photos_of(place: int) -> list[str]:
    """From one to eight photos; the class at place 4 has one."""
    return NAMES[: 1 + (place + 4) % 8]


def masks_of(place: int) -> list[Any]:
    """A box that overlaps those of other classes, and a second one as run lengths."""
    return [[box(2 + place, 3, 20, 10)], run_lengths(mask((50, 50, 60, 55)))]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    content = {c: {photo: masks_of(place) for photo in photos_of(place)} for place, c in enumerate(ORDER)}
    return lvis_tree(tmp_path_factory.mktemp("lvis"), content)


@pytest.fixture
def lvis(root: Path) -> Lvis92i:
    dataset = open_dataset("lvis92i", root.parent)
    assert isinstance(dataset, Lvis92i)
    return dataset


def kept(shots: int) -> list[int]:
    """The label values of the classes with more photos than shots, whole tens of them."""
    values = [place + 1 for place in range(len(ORDER)) if len(photos_of(place)) > shots]
    return values[: len(values) // 10 * 10]


def test_folds_depend_on_the_shots(lvis: Lvis92i) -> None:
    assert (lvis.fold_count, len(kept(1)), len(kept(5))) == (10, 20, 0)
    assert len(kept(4)) == 10
    for shots in (1, 4):
        folds = lvis.for_shots(shots).folds
        assert folds == tuple(tuple(kept(shots)[fold::10]) for fold in range(10))
    assert lvis.for_shots(1) is lvis
    assert lvis.for_shots(4).fingerprint != lvis.fingerprint
    assert lvis.class_names[2] == f"LVIS category {ORDER[1]}"


def test_a_label_map_has_one_category_so_overlaps_are_kept(lvis: Lvis92i) -> None:
    for place in (0, 1):
        label = lvis.label(f"{NAMES[0]}/{ORDER[place]}")
        expected = mask((2 + place, 3, 22 + place, 13), (50, 50, 60, 55))
        assert (label.dtype, label.shape) == (np.uint16, SIZE)
        assert np.array_equal(label, np.where(expected, place + 1, 0))
    index = lvis.index("val").set_index("name")["pixels"]
    assert index[f"{NAMES[0]}/{ORDER[1]}"] == 250
    assert lvis.image(f"{NAMES[0]}/{ORDER[1]}").shape == (*SIZE, 3)
    for name in (f"{NAMES[0]}/999", f"{NAMES[7]}/{ORDER[4]}", "../x/1", NAMES[0], "a/b"):
        with pytest.raises(UsageError):
            lvis.label(name)


@pytest.mark.usefixtures("generator")
@pytest.mark.parametrize(("protocol", "shot"), [("gfsam", 1), ("matcher", 4), ("insid3", 4)])
def test_the_draws_are_those_of_the_releases(lvis: Lvis92i, protocol: str, shot: int) -> None:
    drawn = episodes(lvis, 3, 1, shot, protocol, count=30)
    classes = kept(shot)[3::10]
    np.random.seed(0)  # noqa: NPY002 - what the release does
    for number, episode in enumerate(drawn):
        class_id = classes[number % len(classes)]
        query = _draw(class_id)
        supports: list[str] = []
        while len(supports) < shot:
            if (name := _draw(class_id)) != query:
                supports.append(name)
        assert (episode.query, episode.classes, episode.supports) == (query, (class_id,), (tuple(supports),))
    assert {finding.state for finding in verify(drawn, lvis)} == {"ok"}


def _draw(class_id: int) -> str:
    photo = np.random.choice(list(photos_of(class_id - 1)), 1, replace=False)[0]  # noqa: NPY002 - as the release
    return f"{photo}/{ORDER[class_id - 1]}"


def test_the_record_of_a_run_has_the_classes_of_its_shots(lvis: Lvis92i) -> None:
    drawn = episodes(lvis, 0, 1, 4, "gfsam", count=2)
    results = fssbench.evaluate(fssbench.build("copy-mask"), lvis, drawn)
    assert results.run.folds[0].classes == tuple(kept(4)[0::10])
    assert results.run.dataset.fingerprint == lvis.for_shots(4).fingerprint == drawn.data_fingerprint


def test_a_plan_has_the_data_set_of_its_shots(lvis: Lvis92i, root: Path, tmp_path: Path) -> None:
    request = Request("copy-mask", "lvis92i", protocol="gfsam", shots=4, episodes="2", root=root, out=tmp_path / "run")
    planned = plan(request)
    assert planned.dataset.fingerprint == lvis.for_shots(4).fingerprint
    assert [len({episode.classes for episode in one}) for one in planned.lists] == [1] * 10


def test_drawing_needs_no_photo(root: Path, tmp_path: Path) -> None:
    (tmp_path / "LVIS").mkdir()
    (tmp_path / "LVIS" / "lvis_val.pkl").write_bytes((root / "lvis_val.pkl").read_bytes())
    bare = Lvis92i(tmp_path / "LVIS")
    drawn = episodes(bare, 0, 1, 1, "gfsam", count=3)
    assert len(drawn) == 3
    with pytest.raises(MissingError):
        bare.label(drawn[0].query)


def test_the_check_compares_the_number_of_classes(lvis: Lvis92i) -> None:
    report = check(lvis)
    counts = {count.what: (count.here, count.official) for count in report.counts}
    assert counts["classes for 1 shots, fold 9"] == (2, 92)
    assert counts["classes for 5 shots, fold 0"] == (0, 68)
    assert counts["photos"] == (8, None)
    assert not report.missing


@pytest.mark.parametrize(
    "content",
    [
        [1],
        {"a": {}},
        {1: {"../a.jpg": {"annotations": [{"segmentation": [box(0, 0, 9, 9)]}]}}},
        {1: {NAMES[0]: {"annotations": []}}},
        {1: {NAMES[0]: {"annotations": [{}]}}},
        {1: {NAMES[0]: {"annotations": [{"segmentation": np.ones((3, 3))}]}}},
        {1: {NAMES[0]: {"annotations": [{"segmentation": [[1.0, 2.0, 3.0]]}]}}},
        {1: {NAMES[0]: {"annotations": [{"segmentation": {"size": [-1, 3], "counts": "1"}}]}}},
    ],
)
def test_other_content_is_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "lvis_val.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(BrokenFileError, match=r"lvis_val\.pkl"):
        Lvis92i(tmp_path).folds  # noqa: B018 - read when it is needed
    path.unlink()
    with pytest.raises(MissingError, match=r"lvis_val\.pkl"):
        Lvis92i(tmp_path)
