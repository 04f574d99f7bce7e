"""FSSDINO's draws on COCO, read from the release's data set, and its list of images, which is a Python set."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from fssbench.datasets import open_dataset
from fssbench.datasets.coco20i.facts import image_name
from fssbench.episode import Episode, episodes
from tests.datasets.trees import annotation, box, coco_tree
from tests.episode.stub import synthetic

CATEGORIES = (1, 5, 9, 14)
"""Of COCO's categories those whose classes are 1, 5, 9 and 13, the first of fold 0."""


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    drawn, shape = random.Random(7), box(0, 0, 60, 60)  # noqa: S311
    ids = drawn.sample(range(1, 200_000), 40)
    notes = []
    for number in range(160):
        one = annotation(1000 - number, drawn.choice(ids), drawn.choice(CATEGORIES), shape)
        notes.append(one | {"area": drawn.choice([2047.9, 2048.0, 5000.0])})
    notes.append(annotation(2000, ids[0], 1, iscrowd=1) | {"area": 9000.0})
    return coco_tree(tmp_path_factory.mktemp("coco"), {"val": (ids, notes)})


def as_released(coco: Path, way: int, shot: int, count: int) -> list[Episode]:
    """The episodes of the release: its dictionaries of sets, and its calls of Python's generator."""
    document = json.loads((coco / "annotations" / "instances_val2014.json").read_text())
    images: dict[int, set[int]] = {category: set() for category in CATEGORIES}
    for one in document["annotations"]:
        if one["area"] >= 2 * 32 * 32 and not one["iscrowd"]:
            images[one["category_id"]].add(one["image_id"])
    place = dict(zip(CATEGORIES, (1, 5, 9, 13), strict=True))
    stream = random.Random(0)  # noqa: S311
    found = []
    for _ in range(count):
        if way == 1:
            category = stream.choice(CATEGORIES)
            drawn = [image_name("val", i) for i in stream.sample(list(images[category]), shot + 1)]
            found.append(Episode(drawn[0], (place[category],), (tuple(drawn[1:]),), place[category]))
            continue
        chosen = stream.sample(CATEGORIES, way)
        query = stream.choice(list(images[chosen[0]]))
        supports = {}
        for category in chosen:
            supports[category] = tuple(image_name("val", i) for i in stream.sample(list(images[category]), shot))
        ordered = sorted(chosen)
        found.append(
            Episode(
                image_name("val", query),
                tuple(place[category] for category in ordered),
                tuple(supports[category] for category in ordered),
                place[chosen[0]],
            )
        )
    return found


@pytest.mark.parametrize(("way", "shot"), [(1, 1), (1, 5), (2, 1), (3, 2)])
def test_classes_and_images_come_from_pythons_generator(coco: Path, way: int, shot: int) -> None:
    dataset = open_dataset("coco20i", coco)
    found = episodes(dataset, way=way, shot=shot, protocol="fssdino", count=60, skip_short_classes=True)
    assert list(found) == as_released(coco, way, shot, 60)
    assert "Python set" in found.list_order


def test_without_annotations_of_objects_the_area_is_that_of_the_class() -> None:
    found = episodes(synthetic("shapes20i"), shot=2, protocol="fssdino", count=20)
    assert found.list_order == "canonical (by name)"
    assert all(episode.query not in episode.supports[0] for episode in found)
