"""A COCO json as the masks of one's own photos."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fssbench
from fssbench.datasets.folder.check import check_folder
from fssbench.datasets.folder.dataset import Folder, survey
from fssbench.datasets.folder.run_lengths import counts_of
from fssbench.errors import BrokenFileError
from tests.datasets.trees import box, save_photo

SIZE = (40, 60)
CLASSES = '[classes]\n1 = "leaf"\n2 = "stem"\n'


def document() -> dict[str, Any]:
    """Two photos; b.jpg has nothing on it."""
    return {
        "images": [
            {"id": 5, "file_name": "images/a.jpg", "height": SIZE[0], "width": SIZE[1], "license": 1},
            {"id": 6, "file_name": "b.jpg", "height": SIZE[0], "width": SIZE[1]},
        ],
        "categories": [{"id": 30, "name": "stem"}, {"id": 31, "name": "leaf"}, {"id": 32, "name": "unused"}],
        "annotations": [
            {"id": 2, "image_id": 5, "category_id": 30, "segmentation": [box(10, 10, 20, 10)], "bbox": []},
            {"id": 1, "image_id": 5, "category_id": 31, "segmentation": [box(0, 0, 20, 20)], "iscrowd": 0},
        ],
    }


@pytest.fixture
def write(tmp_path: Path) -> Callable[[object], Path]:
    for name in ("a", "b"):
        save_photo(tmp_path / "images" / f"{name}.jpg", SIZE)
    (tmp_path / "dataset.toml").write_text(CLASSES)

    def written(content: object) -> Path:
        (tmp_path / "export.json").write_text(content if isinstance(content, str) else json.dumps(content))
        return tmp_path

    return written


def faults(root: Path) -> list[str]:
    return [fault.text.replace(f"{root}/", "") for fault in survey(root).faults]


def test_outlines_are_painted_in_rising_id_by_class_name(write) -> None:
    label = fssbench.open_dataset("folder", write(document())).label("a")
    assert (label.dtype, label.shape) == (np.uint8, SIZE)
    assert np.bincount(label.ravel(), minlength=3)[1:].tolist() == [300, 200]
    assert label[15, 15] == 2, "the later id is on top, and its class has another number in the json"
    dataset = fssbench.open_dataset("folder", write(document()))
    assert dataset.index("val")["name"].tolist() == ["a", "a"]
    assert not dataset.label("b").any()


@pytest.mark.parametrize("compressed", [False, True])
def test_run_lengths_are_those_of_pycocotools(write, compressed: bool) -> None:
    from pycocotools import mask as coco_mask

    mask = np.zeros(SIZE, dtype=np.uint8)
    mask[3:30, 7:50] = 1
    mask[::7, 20:] ^= 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        packed = coco_mask.encode(np.asfortranarray(mask))
    text = packed["counts"].decode()
    counts: object = text if compressed else counts_of(text)
    content = document()
    content["annotations"] = [
        {"id": 1, "image_id": 5, "category_id": 31, "segmentation": {"counts": counts, "size": list(SIZE)}}
    ]
    assert (fssbench.open_dataset("folder", write(content)).label("a") == mask).all()


def test_two_points_are_no_box(write) -> None:
    content = document()
    content["annotations"][0]["segmentation"] = [[0, 0, 30, 30]]
    content["annotations"][1]["segmentation"].append([5, 5, 50, 30])
    label = fssbench.open_dataset("folder", write(content)).label("a")
    assert np.bincount(label.ravel(), minlength=3).tolist() == [2000, 400, 0]


def with_outlines(*outlines: object) -> dict[str, Any]:
    """The document with a third annotation, 7, of a stem in b.jpg."""
    content = document()
    content["annotations"].append({"id": 7, "image_id": 6, "category_id": 30, "segmentation": list(outlines)})
    return content


@pytest.mark.parametrize(
    "outline",
    [
        [30, 10, 20, 10],
        [5, 5, 5, 5, 5, 5],
        box(100, 100, 9, 9),
        box(-30, -30, 20, 20),
        [3, 3, 20, 3, 9, 3],
        box(4.1, 4.1, 0.2, 0.2),
    ],
    ids=["a box", "equal points", "outside", "before the photo", "a line", "within a pixel"],
)
def test_an_object_without_a_pixel_is_counted_named_and_refused(write, outline: list[float]) -> None:
    root = write(with_outlines(outline))
    ((text, remedy),) = check_folder(root).faults
    assert text == f"{root}/export.json: no pixel of the photo belongs to 1 annotation (1 of 'stem'; id 7)"
    assert "outline of three points or more" in remedy
    with pytest.raises(BrokenFileError, match=r"no pixel of .*b\.jpg belongs to annotation 7"):
        fssbench.open_dataset("folder", root).index("val")


def test_run_lengths_of_background_alone_are_no_object(write) -> None:
    content = with_outlines()
    content["annotations"][2]["segmentation"] = {"counts": [2400], "size": list(SIZE)}
    content["annotations"][0]["segmentation"] = [[1, 1, 2, 2]]
    content["annotations"][1]["segmentation"] = [[1, 1, 2, 2], [7, 7, 7, 7, 7, 7]]
    ((text, _),) = check_folder(write(content)).faults
    assert text.endswith("belongs to 3 annotations (1 of 'leaf', 2 of 'stem'; ids 1, 2, 7)")


def test_objects_under_others_and_parts_that_enclose_nothing_are_said(write) -> None:
    content = with_outlines(box(2, 2, 9, 9), [1, 1, 30, 30])
    content["annotations"] += [
        {"id": 8, "image_id": 6, "category_id": 31, "segmentation": [box(0, 0, 20, 20)]},
        {"id": 9, "image_id": 5, "category_id": 30, "segmentation": [box(0, 0, 40, 40)]},
    ]
    root = write(content)
    said = [note.replace(f"{root}/", "") for note in check_folder(root).notes]
    assert said[:2] == [
        "export.json: outlines of two points are left out of 1 annotation (1 of 'stem'; id 7)",
        "export.json: annotations of other classes with higher ids cover all of 2 annotations "
        "(1 of 'leaf', 1 of 'stem'; ids 1, 7)",
    ], "2 is under 9, but of the same class"


def test_crowds_are_counted_by_class(write) -> None:
    content = document()
    assert fssbench.open_dataset("folder", write(content)).remarks == ()
    runs = {"counts": [0, 9], "size": [3, 3]}
    content["annotations"] += [
        {"id": 10 + n, "image_id": 5 + n % 2, "category_id": 30 + n % 2, "segmentation": runs, "iscrowd": 1}
        for n in range(7)
    ]
    root = write(content)
    (said,) = fssbench.open_dataset("folder", root).remarks
    counted = "7 annotations (3 of 'leaf', 4 of 'stem'; ids 10, 11, 12, 13, 14 and 2 more), next to 2 that are painted"
    assert f"{root}/export.json: crowds (iscrowd 1) are background: {counted}" in said
    assert said in check_folder(root).notes
    seen = fssbench.open_dataset("folder", root, train_dataset="shapes20i", test_classes="own")
    assert seen.remarks == (said,)


def test_crowds_are_background(write) -> None:
    content = document()
    content["annotations"][0] |= {"iscrowd": 1, "segmentation": {"counts": [0, 9], "size": [3, 3]}}
    assert fssbench.open_dataset("folder", write(content)).index("val")["class_id"].tolist() == [1]


@pytest.mark.parametrize(
    ("counts", "size"),
    [
        ([0, 2400, 1], SIZE),
        ([0, 2399], SIZE),
        ([2400], (60, 40)),
        ([], SIZE),
        ("~", SIZE),
        ("P", SIZE),
        ("oooooooooooooooo0", SIZE),
        ("5O", SIZE),
    ],
)
def test_run_lengths_that_do_not_fit_the_photo(write, counts: object, size: tuple[int, int]) -> None:
    content = document()
    content["annotations"][1]["segmentation"] = {"counts": counts, "size": list(size)}
    with pytest.raises(
        BrokenFileError, match=r"annotation 1 of .*a\.jpg has run lengths that do not fill 60 x 40"
    ) as raised:
        fssbench.open_dataset("folder", write(content)).label("a")
    assert ("another size" if size != SIZE else "cut off") in (raised.value.remedy or "")


def test_every_fault_of_the_json_is_named(write) -> None:
    content = document()
    content["images"][1]["file_name"] = "gone\u001b.jpg"
    content["categories"][1]["name"] = "bark"
    content["annotations"] += [
        {"id": 1, "image_id": 5, "category_id": 30, "segmentation": []},
        {"id": 3, "image_id": 99, "category_id": 30, "segmentation": [box(0, 0, 9, 9)]},
        {"id": 4, "image_id": 5, "category_id": 99, "segmentation": [box(0, 0, 9, 9)]},
    ]
    assert faults(write(content)) == [
        "export.json: there is no photo 'gone\\x1b.jpg'",
        "images/b.jpg is not in export.json",
        "export.json: 1 annotations have the id of another one",
        "export.json: 1 annotations have no image that is in the file, with the ids 3",
        "export.json: 1 annotations have no category that is in the file, with the ids 4",
        "export.json: 1 annotations have no outline that is in the file, with the ids 1",
        "export.json: the category 'bark' is not a class of dataset.toml",
    ]


def test_what_is_no_coco_json(write) -> None:
    assert faults(write("{"))[0].startswith("export.json is not a COCO json: Invalid JSON")
    assert faults(write([1]))[0].startswith("export.json is not a COCO json")
    content = document()
    content["images"][0]["height"] = "tall"
    content["annotations"][0]["segmentation"] = [[1, 2, 3]]
    del content["annotations"][1]["image_id"]
    found = faults(write(content))
    assert len(found) == 3
    assert any("(images.0.height)" in fault for fault in found)
    assert any("(annotations.0.segmentation): " in fault for fault in found)
    content["annotations"] = [{}] * 50
    assert "and" in faults(write(content))[-1]
    assert len(faults(write(content))) <= 21


@pytest.mark.parametrize("iscrowd", [0, 1])
def test_outlines_that_no_photo_holds_are_refused(write, iscrowd: int) -> None:
    zigzag = [value for n in range(2000) for value in ((65_000, n % 50) if n % 2 else (-65_000, n % 50))]
    content = with_outlines(zigzag)
    content["annotations"][2]["iscrowd"] = iscrowd
    (found,) = faults(write(content))
    assert "(annotations.2.segmentation)" in found
    assert "outlines are longer than 4194304 pixels" in found


def test_a_json_of_other_sizes(write) -> None:
    content = document()
    content["images"][0]["width"] = 61
    dataset = fssbench.open_dataset("folder", write(content))
    assert isinstance(dataset, Folder)
    with pytest.raises(BrokenFileError, match=r"a\.jpg has 60 x 40 pixels, in the json 61 x 40"):
        dataset.index("val")


def test_many_objects_whose_outlines_no_photo_holds_are_refused(write) -> None:
    content = document()
    zigzag = [value for n in range(32) for value in ((65_000, n % 50) if n % 2 else (-65_000, n % 50))]
    for annotation in content["annotations"]:
        annotation["segmentation"] = [zigzag]
    with pytest.raises(BrokenFileError, match=r"the outlines of .*a\.jpg are \d+ pixels long, the image has 60 x 40"):
        fssbench.open_dataset("folder", write(content)).label("a")
