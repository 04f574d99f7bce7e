"""A dataset.toml to begin with: what is guessed of each kind of folder, and that it opens as it is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import fssbench
from fssbench.datasets.folder.check import check_folder
from fssbench.datasets.folder.exports import read_export
from fssbench.datasets.folder.starter import CONVERTED, Starter, starter_for
from fssbench.errors import BrokenFileError, MissingError, UsageError
from tests.datasets.trees import SIZE, box, label_map, save_binary, save_palette, save_photo

CAT, DOG = [[10, 10], [39, 10], [39, 29], [10, 29]], [[5, 5], [24, 5], [24, 24], [5, 24]]
"""Squares as polygons."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("p0", "p1", "deep/p2"):
        save_photo(tmp_path / "reef" / "images" / f"{name}.jpg")
    return tmp_path / "reef"


def written(root: Path) -> Starter:
    found = starter_for(root)
    (root / "dataset.toml").write_text(found.description, encoding="utf-8")
    if found.annotations is not None:
        (root / CONVERTED).write_text(found.annotations, encoding="utf-8")
    return found


def labels(root: Path) -> dict[str, npt.NDArray[np.uint8]]:
    dataset = fssbench.open_dataset("folder", root)
    return {name: dataset.label(name) for name in ("deep/p2", "p0", "p1")}


def said(found: Starter, text: str) -> bool:
    return any(text in guess for guess in found.guesses)


def test_indexed_masks(root: Path) -> None:
    for number, name in enumerate(("p0", "p1", "deep/p2")):
        save_palette(root / "masks" / f"{name}.png", label_map((2 + 5 * (number % 2), 0, 0, 9, 9), (255, 9, 9, 1, 1)))
    found = written(root)
    assert found.description == 'name = "reef"\nmasks = "indexed"\n[classes]\n2 = "class 2"\n7 = "class 7"\n'
    assert said(found, "label values 2, 7")
    assert said(found, "255 means ignored")
    assert said(found, "'reef'")
    assert said(found, "all photos are for evaluation")
    dataset = fssbench.open_dataset("folder", root)
    assert dataset.given_name == "reef"
    assert dataset.class_names == {2: "class 2", 7: "class 7"}


def test_one_png_a_class_next_to_a_json_that_is_something_else(root: Path) -> None:
    for name in ("p0", "p1", "deep/p2"):
        save_binary(root / "masks" / "sea urchin" / f"{name}.png", np.indices(SIZE)[0] < 9)
    save_binary(root / "masks" / "crab" / "p0.png", np.indices(SIZE)[0] > 90)
    (root / "info.json").write_text("{}")
    found = written(root)
    assert found.description.endswith('masks = "binary"\n[classes]\n1 = "crab"\n2 = "sea urchin"\n')
    assert said(found, "the masks in masks/ count, not info.json")
    assert set(np.unique(labels(root)["p0"])) == {0, 1, 2}


@pytest.mark.parametrize("file", ["export.json", "annotations/instances_default.json"])
def test_a_coco_json_where_tools_put_it(root: Path, file: str) -> None:
    images = [
        {"id": n, "file_name": f"{p}.jpg", "height": 128, "width": 96} for n, p in enumerate(("p0", "p1", "deep/p2"))
    ]
    annotations = [{"id": n, "image_id": n, "category_id": 4, "segmentation": [box(5, 5, 9, 9)]} for n in range(3)]
    categories = [{"id": 4, "name": "crab"}, {"id": 5, "name": "never used"}]
    (root / file).parent.mkdir(exist_ok=True)
    (root / file).write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    found = written(root)
    assert found.annotations is None
    assert found.description == f'name = "reef"\nmasks = "coco"\nannotations = "{file}"\n[classes]\n1 = "crab"\n'
    (root / "more.json").write_text("[]")
    assert {int((label == 1).sum()) for label in labels(root).values()} == {81}, "the toml names the file"
    (root / "annotations.json").write_text((root / file).read_text())
    (root / "dataset.toml").unlink()
    with pytest.raises(UsageError, match="several COCO jsons"):
        starter_for(root)


def labelme(file: str, *shapes: tuple[str, object, str]) -> str:
    made = [{"label": label, "points": points, "shape_type": kind, "group_id": None} for label, points, kind in shapes]
    size = {"imageHeight": SIZE[0], "imageWidth": SIZE[1]}
    return json.dumps({"version": "5.4", "flags": {}, "shapes": made, "imagePath": file, "imageData": None, **size})


def task(file: str, *shapes: tuple[str, object, str], kind: str = "image") -> dict[str, object]:
    """A task of Label Studio; its points are percent of the photo's size."""
    results = []
    for label, points, shape in shapes:
        scaled = [[x / SIZE[1] * 100, y / SIZE[0] * 100] for x, y in points]  # type: ignore[attr-defined]
        value = {"points": scaled, shape: [label], "closed": True}
        results.append({"type": shape, "original_width": SIZE[1], "original_height": SIZE[0], "value": value})
    return {"id": 1, "data": {kind: file}, "annotations": [{"was_cancelled": True}, {"result": results}]}


def cvat(*photos: tuple[str, str]) -> str:
    images = "".join(
        f'<image id="{n}" name="{name}" width="{SIZE[1]}" height="{SIZE[0]}">{shapes}</image>'
        for n, (name, shapes) in enumerate(photos)
    )
    meta = "<meta><task><labels><label><name>cat</name></label></labels></task></meta>"
    return f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>{meta}{images}</annotations>'


def polygon(label: str, points: list[list[int]], z_order: int = 0) -> str:
    text = ";".join(f"{x}.00,{y}.00" for x, y in points)
    inner = '<attribute name="a">b</attribute>'
    return f'<polygon label="{label}" source="manual" points="{text}" z_order="{z_order}">{inner}</polygon>'


def exported(root: Path, tool: str) -> None:
    """In p0 a cat, and a dog over it; in p1 a dog; nothing in p2."""
    first = [("cat", CAT, "polygon"), ("dog", DOG, "polygon")]
    if tool == "LabelMe":
        (root / "images" / "p0.json").write_text(labelme("p0.jpg", *first))
        (root / "images" / "p1.json").write_text(labelme("..\\images\\p1.jpg", first[1]))
        (root / "images" / "deep" / "p2.json").write_text(labelme("p2.jpg"))
    elif tool == "Label Studio":
        shapes = [(label, points, "polygonlabels") for label, points, _ in first]
        tasks = [
            task("/data/upload/1/0a1b2c3d-p0.jpg", *shapes),
            task("/data/local-files/?d=images/p1.jpg", shapes[1], kind="picture"),
            task("s3://bucket/deep/p2.jpg"),
        ]
        (root / "project-1.json").write_text(json.dumps(tasks))
    else:
        over = polygon("dog", DOG, 1) + polygon("cat", CAT)
        photos = [("p0.jpg", over), ("p1.jpg", polygon("dog", DOG) + '<tag label="cat"/>'), ("deep/p2.jpg", "")]
        (root / "annotations.xml").write_text(cvat(*photos))


@pytest.mark.parametrize("tool", ["LabelMe", "CVAT", "Label Studio"])
def test_polygons_of_a_tool_are_the_same_label_maps(root: Path, tool: str) -> None:
    exported(root, tool)
    found = written(root)
    assert found.description == (
        f'name = "reef"\nmasks = "coco"\nannotations = "{CONVERTED}"\n[classes]\n1 = "cat"\n2 = "dog"\n'
    )
    assert said(found, f"polygons of {tool}")
    maps = labels(root)
    assert [int((maps["p0"] == value).sum()) for value in (1, 2)] == [29 * 19 - 14 * 14, 19 * 19]
    assert [int((maps["p1"] == value).sum()) for value in (1, 2)] == [0, 19 * 19]
    assert not maps["deep/p2"].any()
    assert not [text for text, _ in check_folder(root).faults if "only 1 photo" not in text]


@pytest.mark.parametrize("tool", ["LabelMe", "CVAT", "Label Studio"])
def test_photos_with_other_shapes_are_left_out_and_named(root: Path, tool: str) -> None:
    exported(root, tool)
    if tool == "LabelMe":
        (root / "images" / "p1.json").write_text(
            labelme("p1.jpg", ("dog", DOG[:2], "rectangle"), ("dog", DOG, "polygon"))
        )
    elif tool == "CVAT":
        boxed = '<box label="dog" xtl="1" ytl="1" xbr="9" ybr="9"/>' + polygon("dog", DOG)
        (root / "annotations.xml").write_text(cvat(("p0.jpg", polygon("cat", CAT)), ("p1.jpg", boxed), ("p2.jpg", "")))
    else:
        brushed = task("p1.jpg", ("dog", DOG, "polygonlabels"), ("dog", DOG, "brushlabels"))
        tasks = [task("p0.jpg", ("cat", CAT, "polygonlabels")), brushed, task("p2.jpg")]
        (root / "project-1.json").write_text(json.dumps(tasks))
    found = written(root)
    assert said(found, "photos with other shapes are left out")
    assert said(found, ": p1")
    assert any("p1.jpg is not in" in text for text, _ in check_folder(root).faults), "it is not background"


@pytest.mark.parametrize("label", ["__ignore__", "_background_"])
def test_regions_that_are_no_class_are_not_made_one(root: Path, label: str) -> None:
    """LabelMe's own example has such a region, no types of shapes and no size."""
    exported(root, "LabelMe")
    shapes = [{"label": name, "points": CAT, "line_color": None} for name in ("cat", label)]
    content = {"shapes": shapes, "imagePath": "p1.jpg", "imageData": None, "lineColor": [0, 255, 0, 128]}
    (root / "images" / "p1.json").write_text(json.dumps(content))
    found = starter_for(root)
    assert label not in found.description
    assert said(found, f"region labelled {label} (1): p1")
    content["shapes"] = shapes[:1]
    (root / "images" / "p1.json").write_text(json.dumps(content))
    written(root)
    assert int((labels(root)["p1"] == 1).sum()) == 29 * 19


def test_photos_that_do_not_match(root: Path) -> None:
    exported(root, "CVAT")
    (root / "annotations.xml").write_text(cvat(("gone.jpg", polygon("cat", CAT)), ("p0.jpg", polygon("cat", CAT))))
    found = starter_for(root)
    assert said(found, "photos that are not in images/ are left out: gone.jpg")
    assert said(found, "have to be annotated or moved away: deep/p2, p1")
    (root / "annotations.xml").write_text(cvat(("p0.jpg", polygon("cat", CAT)), ("images/p0.jpg", polygon("cat", CAT))))
    with pytest.raises(UsageError, match="two sets of shapes"):
        starter_for(root)


def test_what_is_there_is_not_replaced(root: Path) -> None:
    exported(root, "LabelMe")
    (root / CONVERTED).write_text("{}")
    with pytest.raises(UsageError, match=rf"{CONVERTED} is there already, and is not replaced"):
        starter_for(root)
    (root / "dataset.toml").write_text("")
    with pytest.raises(UsageError, match=r"dataset\.toml is there already, and is not replaced"):
        starter_for(root)


def test_what_is_missing(root: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no folder"):
        starter_for(tmp_path / "none")
    with pytest.raises(MissingError, match=r"no folder .*images; .* is a photo in another place"):
        starter_for(root / "images")
    with pytest.raises(MissingError, match="no COCO json or export of LabelMe, CVAT or Label Studio"):
        starter_for(root)
    (root / "masks").mkdir()
    with pytest.raises(MissingError, match="shows no class"):
        starter_for(root)


def test_a_folder_whose_name_is_that_of_another_data_set(tmp_path: Path) -> None:
    root = tmp_path / "VOC2012"
    save_photo(root / "images" / "a.jpg")
    save_palette(root / "masks" / "a.png", label_map((1, 0, 0, 9, 9)))
    found = starter_for(root)
    assert found.description.startswith("masks")
    assert said(found, "'VOC2012' is the name of another data set")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "a.json",
            labelme("p0.jpg", ("cat", [["x", 1]], "polygon")),
            "shapes.0.points.0.0: Input should be a valid num",
        ),
        ("a.json", labelme("p0.jpg", ("", CAT, "polygon")), "shapes.0.label"),
        ("a.json", '{"shapes": [{"label": "a", "points": [[NaN, 1]]}], "imagePath": "p0.jpg"}', "finite number"),
        ("a.json", json.dumps([{"data": {"image": "p0.jpg"}, "annotations": 5}]), "0.annotations"),
        ("a.xml", "<annotations><image", "not a whole export of CVAT"),
        ("a.xml", "<annotations><image name='a.jpg'/></annotations>", "not a whole export of CVAT"),
        ("a.xml", cvat(("p0.jpg", "<polygon label='a' points='1;2'/>")), "not a whole export of CVAT"),
        ("a.xml", "<annotations><track label='a'/></annotations>", "an export of a video"),
        (
            "a.xml",
            '<!DOCTYPE annotations [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><annotations>&b;</annotations>',
            "declares a document type",
        ),
    ],
)
def test_exports_that_are_damaged(tmp_path: Path, file: str, text: str, message: str) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(BrokenFileError, match=message):
        read_export(tmp_path / file)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("a.json", "{"),
        ("a.json", "[" * 100_000),
        ("a.json", "[]"),
        ("a.json", "{}"),
        ("a.xml", "<svg/>"),
        ("a.json", "5"),
    ],
)
def test_what_is_no_export(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).write_text(text)
    assert read_export(tmp_path / file) is None
