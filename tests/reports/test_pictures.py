"""Layers on photos, where a photo lies in what is counted, and how alike query and supports are."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fssbench.errors import MissingError
from fssbench.figures.palette import BLUE, EXTRA, GREY, HIT, MISSED
from fssbench.protocols.label_maps import counted_label, input_label
from fssbench.protocols.rules import protocol
from fssbench.reports import similarity
from fssbench.reports.cases import plain_cases
from fssbench.reports.pictures import error_layer, mask_layer, outline, photo_part, shown_size
from fssbench.reports.runs import Compared
from fssbench.reports.scene import Scene
from fssbench.reports.sheets import _short


def test_errors_are_coloured_by_what_they_are() -> None:
    truth = np.array([[7, 7, 0, 0, 255, 9, 9, 9]], dtype=np.uint8)
    labels = np.array([[1, 0, 1, 0, 1, 1, 2, 3]], dtype=np.uint8)  # 3: a base class, which is none of the episode
    layer = error_layer(labels, truth, (7, 9))
    colours = [layer.palette[value][0] if layer.palette[value][1] else None for value in layer.values[0]]
    assert colours == [HIT, MISSED, EXTRA, None, GREY, EXTRA, HIT, MISSED]


def test_a_layer_is_see_through_where_nothing_is_and_its_file_is_the_layer() -> None:
    labels = np.zeros((60, 60), dtype=np.uint8)
    labels[20:40, 20:40] = 4
    layer = mask_layer(labels, {4: BLUE})
    with Image.open(BytesIO(layer.png())) as image:
        shown = np.asarray(image.convert("RGBA"))
    assert shown[0, 0, 3] == 0
    assert tuple(shown[20, 20]) == (*BLUE, 255)  # the outline
    assert 0 < shown[30, 30, 3] < 255
    photo = np.full((60, 60, 3), 200, dtype=np.uint8)
    drawn = layer.on(photo)
    assert drawn[0, 0].tolist() == [200] * 3
    assert drawn[20, 20].tolist() == list(BLUE)
    assert outline(labels == 4).sum() == 20**2 - 16**2
    assert not outline(labels == 5).any()


@pytest.mark.parametrize("name", ["hsnet", "pfenet@input", "pfenet@original", "fssdino@original"])
@pytest.mark.parametrize("shape", [(60, 90), (90, 60)])
def test_the_photo_lies_where_its_label_map_was_put(name: str, shape: tuple[int, int]) -> None:
    rules = protocol(name)
    label = np.full(shape, 3, dtype=np.uint8)
    at_size = input_label if rules.score_at == "input" else counted_label
    counted = at_size(label, rules.input, rules.resize)
    height, width = photo_part(counted, shape, rules)
    assert (counted[:height, :width] == 3).all()
    assert abs(int((counted == 3).sum()) - height * width) <= max(counted.shape)


def test_a_picture_is_as_large_as_its_place() -> None:
    assert shown_size((300, 600), 320) == (160, 320)
    assert shown_size((50, 40), 320) == (100, 80)  # twice at most
    assert shown_size((1, 4000), 320) == (1, 320)


def test_similarity_is_one_for_the_same_colours_and_none_for_others() -> None:
    photo = np.zeros((4, 4, 3), dtype=np.uint8)
    photo[:, 2:] = 255
    left, right = np.arange(4) < 2, np.arange(4) >= 2
    vectors = [similarity.colour_histogram(photo, np.tile(side, (4, 1))) for side in (left, right)]
    assert similarity.cosine(vectors[0], vectors[0]) == pytest.approx(1)
    assert similarity.cosine(vectors[0], vectors[1]) == 0
    assert similarity.cosine(vectors[0], np.zeros_like(vectors[0])) == 0


def test_query_and_supports_are_compared_by_the_class(compared: Compared, scene: Scene, monkeypatch) -> None:
    monkeypatch.setattr(similarity, "MOST", 4)
    cases = plain_cases(compared)
    row = compared.methods[0].rows[cases[0].key]
    by = similarity.Features("colours", similarity.colour_histogram)
    found = similarity.with_similarity(cases, compared, scene, by)
    known = [case for case in found if case.similarity is not None]
    assert len(known) == 4
    case = known[0]
    row = compared.methods[0].rows[case.key]
    names = (row.query, row.supports[0][0])
    one, other = (by.of(scene.dataset.image(name), scene.dataset.label(name) == case.class_id) for name in names)
    assert case.similarity == pytest.approx(similarity.cosine(one, other))


def test_without_the_package_colours_are_compared_and_the_page_names_them(monkeypatch) -> None:
    assert similarity.features().name == "EfficientNet-Lite0, ImageNet weights"

    def absent(_: object) -> tuple[Path, ...]:
        raise MissingError("the package is not installed")

    monkeypatch.setattr("fssbench.checkpoints.locate", absent)
    assert similarity.features().name.startswith("colours in 6 x 6 x 6")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("val2014/COCO_val2014_000000283113.jpg", "…00283113"),
        ("2007_000464", "2007_000464"),
        ("images/cat1.jpg", "images/cat1"),
    ],
)
def test_a_long_name_on_a_sheet_keeps_its_end(name: str, shown: str) -> None:
    assert _short(name) == shown
