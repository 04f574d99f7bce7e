"""COCO's annotations painted by the two rules, and annotation files that are not what they should be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fssbench.datasets.coco20i import labels as coco_labels
from fssbench.datasets.coco20i.facts import facts
from fssbench.datasets.coco20i.labels import AnnotatedImage, paint, read_annotations
from fssbench.errors import BrokenFileError, MissingError
from tests.datasets.trees import SIZE, annotation, box, instances, truncate


def read(tmp_path: Path, *annotations: dict[str, object]) -> AnnotatedImage:
    path = tmp_path / "instances_val2014.json"
    path.write_text(instances("val", [9], annotations))
    return read_annotations(path, "copy it again")[9]


def painted(tmp_path: Path, rule: coco_labels.PaintRule, *annotations: dict[str, object]) -> np.ndarray:
    label = paint(read(tmp_path, *annotations), rule)
    assert (label.shape, label.dtype) == (SIZE, np.uint8)
    return label


def test_hsnets_rule_truncates_vertices_and_includes_edges(tmp_path: Path) -> None:
    label = painted(tmp_path, "hsnet", annotation(1, 9, 1, box(10.9, 20.9, 30, 40)))
    expected = np.zeros(SIZE, dtype=np.uint8)
    expected[20:61, 10:41] = 1
    assert (label == expected).all()


def test_pycocotools_rule_is_pycocotools(tmp_path: Path) -> None:
    label = painted(tmp_path, "pycocotools", annotation(1, 9, 1, box(10, 20, 30, 40)))
    expected = np.zeros(SIZE, dtype=np.uint8)
    expected[20:60, 10:40] = 1
    assert (label == expected).all()


@pytest.mark.parametrize("rule", ["hsnet", "pycocotools"])
class TestBothRules:
    def test_later_ids_are_painted_over_earlier_ones_wherever_they_stand(self, tmp_path: Path, rule) -> None:
        over, under = annotation(7, 9, 2, box(0, 0, 40, 40)), annotation(3, 9, 1, box(20, 20, 60, 60))
        label = painted(tmp_path, rule, over, under)
        assert (label[10, 10], label[30, 30], label[60, 60]) == (2, 2, 1)

    def test_a_class_is_the_place_of_its_category(self, tmp_path: Path, rule) -> None:
        # Category 13 (stop sign) is the 12th, category 90 (toothbrush) the 80th.
        label = painted(tmp_path, rule, annotation(1, 9, 13, box(0, 0, 9, 9)), annotation(2, 9, 90, box(50, 50, 9, 9)))
        assert (label[4, 4], label[54, 54], facts().classes[11], facts().classes[79]) == (
            12, 80, "stop sign", "toothbrush"
        )  # fmt: skip

    def test_crowds_are_background(self, tmp_path: Path, rule) -> None:
        assert not painted(tmp_path, rule, annotation(1, 9, 1, iscrowd=1)).any()

    def test_parts_of_an_object_that_overlap_stay_filled(self, tmp_path: Path, rule) -> None:
        label = painted(tmp_path, rule, annotation(1, 9, 1, box(0, 0, 40, 40), box(20, 20, 40, 40)))
        assert label[30, 30] == 1

    def test_vertices_outside_of_the_photo(self, tmp_path: Path, rule) -> None:
        label = painted(tmp_path, rule, annotation(1, 9, 1, box(-20, -20, 4000, 4000)))
        assert (label == 1).all()

    def test_an_image_without_objects(self, tmp_path: Path, rule) -> None:
        assert not painted(tmp_path, rule).any()
        assert not painted(tmp_path, rule, annotation(1, 9, 1)).any(), "an annotation without polygons"


def test_pixels_of_the_real_sample(shared: Path) -> None:
    """Counts that were found independently, for both rules: 317 images, 1,182 pairs and more."""
    import gzip

    expected = json.loads(gzip.decompress((shared / "reference/splits/coco/our_images.json.gz").read_bytes()))
    pairs = 0
    for side in ("train", "val"):
        path = shared / f"data/COCO2014/annotations/instances_{side}2014.json"
        for image_id, image in read_annotations(path, "").items():
            facts_of = expected[str(image_id)]
            for rule, key in (("hsnet", "pixels"), ("pycocotools", "pixels_pycocotools")):
                counts = np.bincount(paint(image, rule).ravel(), minlength=81)[1:]
                known = {int(c): n for c, n in facts_of[key].items()}
                assert {c + 1: n for c, n in enumerate(counts.tolist()) if n or c + 1 in known} == known
                pairs += len(known)
    assert pairs == 2 * 1182


def zigzag(vertices: int) -> list[int]:
    """An outline across the widest strip that vertices may be in, again and again: 130,000 pixels a vertex."""
    return [value for n in range(vertices) for value in ((65_000, n % 50) if n % 2 else (-65_000, n % 50))]


def test_an_outline_as_long_as_may_be_is_painted(tmp_path: Path) -> None:
    assert painted(tmp_path, "pycocotools", annotation(1, 9, 1, zigzag(32), box(5, 5, 4, 4)))[5:9, 5:9].all()


def file_with(tmp_path: Path, change: dict[str, object]) -> Path:
    """An annotation file whose one annotation is changed."""
    path = tmp_path / "instances_val2014.json"
    path.write_text(instances("val", [9], [annotation(5, 9, 1, box(1, 1, 9, 9)) | change]))
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"category_id": 12}, "annotation 5 has the category 12, which is none of COCO's 80"),
        ({"image_id": 10}, "annotation 5 is of the image 10, which is not in the file"),
        (
            {"segmentation": {"counts": [1], "size": [1, 1]}},
            "annotation 5 is not a crowd, but its mask is in run lengths",
        ),
        ({"segmentation": [[1, 2, 3]]}, r"annotations\.0\.segmentation.*x0, y0"),
        ({"segmentation": [[1, 2, "3", 4]]}, r"annotations\.0\.segmentation"),
        ({"segmentation": [[1, 2, [3], 4]]}, r"annotations\.0\.segmentation"),
        ({"segmentation": [[0, 0, 1e9, 1e9]]}, "vertex far outside"),
        ({"segmentation": [[0, 0, float("nan"), 1]]}, "vertex far outside"),
        ({"segmentation": [zigzag(40)]}, r"annotations\.0\.segmentation.*outlines are longer than 4194304 pixels"),
        ({"segmentation": [zigzag(20), zigzag(20)]}, "outlines are longer"),
        ({"segmentation": "none"}, r"annotations\.0\.segmentation"),
        ({"iscrowd": 2}, r"annotations\.0\.iscrowd"),
        ({"id": None}, r"annotations\.0\.id"),
    ],
)
def test_annotations_that_can_not_be_painted(tmp_path: Path, change: dict[str, object], message: str) -> None:
    with pytest.raises(BrokenFileError, match=message) as caught:
        read_annotations(file_with(tmp_path, change), "copy it again")
    assert "instances_val2014.json" in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.remedy == "copy it again"


@pytest.mark.parametrize("size", [(0, 5), (-1, 5), (100_000, 100_000), ("a", 1)])
def test_images_of_impossible_size(tmp_path: Path, size: tuple[object, object]) -> None:
    path = tmp_path / "instances_val2014.json"
    document = json.loads(instances("val", [9], []))
    document["images"][0] |= {"height": size[0], "width": size[1]}
    path.write_text(json.dumps(document))
    with pytest.raises(BrokenFileError, match=r"images\.0|claims 100000 x 100000"):
        read_annotations(path, "")


@pytest.mark.parametrize("keep", [0.0, 0.4, 0.99])
def test_a_truncated_file(tmp_path: Path, keep: float) -> None:
    path = file_with(tmp_path, {})
    truncate(path, keep)
    with pytest.raises(BrokenFileError, match="is truncated or no instance annotations"):
        read_annotations(path, "copy it again")


@pytest.mark.parametrize("text", ["[]", "{}", '{"images": []}', "[" * 5000, '{"images": {}, "annotations": []}'])
def test_json_of_another_kind(tmp_path: Path, text: str) -> None:
    path = tmp_path / "captions.json"
    path.write_text(text)
    with pytest.raises(BrokenFileError, match="no instance annotations"):
        read_annotations(path, "")


def test_missing_and_too_large_files(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(MissingError, match="no file"):
        read_annotations(tmp_path / "none.json", "")
    monkeypatch.setattr(coco_labels, "MAX_BYTES", 10)
    with pytest.raises(BrokenFileError, match="too large"):
        read_annotations(file_with(tmp_path, {}), "")


def test_two_points_enclose_nothing_for_pycocotools(tmp_path: Path) -> None:
    line, object_ = [20.0, 20.0, 60.0, 50.0], box(10, 10, 60, 60)
    assert not painted(tmp_path, "pycocotools", annotation(1, 9, 1, line)).any()
    for outlines in ([line, object_], [object_, line], [line, line, object_]):
        assert (painted(tmp_path, "pycocotools", annotation(1, 9, 1, *outlines)) == 1).sum() == 3600


@pytest.mark.parametrize("what", ["image", "annotation"])
def test_an_id_that_is_there_twice(tmp_path: Path, what: str) -> None:
    path = tmp_path / "instances_val2014.json"
    document = json.loads(instances("val", [9], [annotation(5, 9, 1, box(1, 1, 9, 9))]))
    document[f"{what}s"].append(document[f"{what}s"][0] | {"height": 7, "category_id": 2})
    path.write_text(json.dumps(document))
    number = {"image": 9, "annotation": 5}[what]
    with pytest.raises(BrokenFileError, match=f"has several of the {what} id {number}"):
        read_annotations(path, "copy it again")


def test_the_length_of_an_outline_is_that_of_the_longer_side_of_each_step() -> None:
    assert coco_labels.length_of(coco_labels.vertices([0, 0, 30, 10, 30, 90])) == 30 + 80 + 90


@pytest.mark.parametrize("rule", ["hsnet", "pycocotools"])
def test_all_outlines_of_an_image_have_a_length_too(tmp_path: Path, rule: coco_labels.PaintRule) -> None:
    assert painted(tmp_path, rule, annotation(1, 9, 1, zigzag(32))).any()
    with pytest.raises(BrokenFileError, match=r"the outlines of image 9 .* are \d+ pixels long, .* 96 x 128"):
        painted(tmp_path, rule, *(annotation(n, 9, 1, zigzag(32)) for n in (1, 2)))
    # A large image may have long outlines.
    coco_labels.check_length([coco_labels.vertices(zigzag(32))] * 2, 2000, 2000, "a large image")
