"""Masks of a person's own: every way to name one, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from fssbench.errors import BrokenFileError, FSSBenchError, MissingError, UsageError
from fssbench.photos.masks import Pointed, read_mask

SIZE = (30, 40)
PHOTO = Path("photos/a.jpg")


def square(value: int = 1, dtype: type[np.uint8 | np.uint16] = np.uint8) -> np.ndarray:
    values: np.ndarray = np.zeros(SIZE, dtype=dtype)
    values[5:15, 10:30] = value
    return values


def saved(path: Path, values: np.ndarray, mode: str | None = None) -> str:
    image = PillowImage.fromarray(values)
    if mode == "P":
        image = PillowImage.frombytes("P", image.size, values.tobytes())
        image.putpalette([part for value in range(256) for part in (value, 255 - value, value // 2)])
    image.save(path)
    return str(path)


def read(text: str) -> np.ndarray:
    mask = read_mask(text, PHOTO, SIZE, SIZE)
    assert not isinstance(mask, Pointed)
    assert mask.dtype == np.uint8
    return mask


@pytest.mark.parametrize("value", [1, 15, 200, 255])
@pytest.mark.parametrize("mode", ["L", "P"])
def test_one_value_is_the_object(value: int, mode: str, tmp_path: Path) -> None:
    assert np.array_equal(read(saved(tmp_path / "a.png", square(value), mode)), square())


def test_the_ignore_region_is_neither(tmp_path: Path) -> None:
    values = square(15)
    values[:3] = 255
    found = read(saved(tmp_path / "a.png", values, "P"))
    assert np.array_equal(found == 1, square() == 1)
    assert (found[:3] == 255).all()
    # Where 255 alone is there, it is the object.
    assert read(saved(tmp_path / "b.png", np.where(values == 255, 255, 0).astype(np.uint8)))[0, 0] == 1


def test_of_a_label_map_a_value_is_named(tmp_path: Path) -> None:
    values = square(15)
    values[20:] = 3
    name = saved(tmp_path / "a.png", values, "P")
    assert np.array_equal(read(f"{name}:15"), square())
    assert np.array_equal(read(f"{name}:3"), (values == 3).astype(np.uint8))
    with pytest.raises(BrokenFileError, match=r"2 values besides 0: 3, 15") as refused:
        read(name)
    assert f"{name}:3" in str(refused.value.remedy)
    with pytest.raises(BrokenFileError, match="no pixel"):
        read(f"{name}:4")


def test_a_soft_edge_takes_a_range(tmp_path: Path) -> None:
    values = square(255)
    values[4, 10:30], values[15, 10:30] = 90, 200
    name = saved(tmp_path / "a.png", values)
    with pytest.raises(BrokenFileError, match="values besides 0"):
        read(name)
    assert np.array_equal(read(f"{name}:128-255"), (values >= 128).astype(np.uint8))


def test_colours(tmp_path: Path) -> None:
    rgb = np.zeros((*SIZE, 3), np.uint8)
    rgb[5:15, 10:30] = (255, 0, 10)
    name = saved(tmp_path / "a.png", rgb)
    assert np.array_equal(read(name), square())
    rgb[20:] = (0, 200, 0)
    name = saved(tmp_path / "b.png", rgb)
    with pytest.raises(BrokenFileError, match=r"2 colours besides black: #00c800, #ff000a"):
        read(name)
    assert np.array_equal(read(f"{name}:#FF000A"), square())
    grey = np.repeat(square(255)[..., None], 3, axis=2)
    assert np.array_equal(read(saved(tmp_path / "c.png", grey)), square())


def test_a_cut_out_is_its_opaque_part(tmp_path: Path) -> None:
    rgba = np.full((*SIZE, 4), 77, np.uint8)
    rgba[..., 3] = square(255)
    assert np.array_equal(read(saved(tmp_path / "a.png", rgba)), square())


def test_sixteen_bits(tmp_path: Path) -> None:
    assert np.array_equal(read(saved(tmp_path / "a.png", square(40_000, np.uint16))), square())


def test_another_size_is_refused_with_both(tmp_path: Path) -> None:
    name = saved(tmp_path / "a.png", np.ones((40, 30), np.uint8))
    with pytest.raises(BrokenFileError, match=r"has 30 x 40 pixels, photos/a.jpg has 40 x 30\n"):
        read(name)
    with pytest.raises(BrokenFileError, match="turned by its EXIF"):
        read_mask(name, PHOTO, SIZE, (40, 30))


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"{}"])
def test_what_is_no_image_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(BrokenFileError):
        read(str(tmp_path / "a.png"))


def test_missing_files_and_empty_masks(tmp_path: Path) -> None:
    for name in ("none.png", "none.json", "none.png:3"):
        with pytest.raises(MissingError, match="there is no file"):
            read(str(tmp_path / name))
    with pytest.raises(BrokenFileError, match="no pixel of"):
        read(saved(tmp_path / "a.png", np.zeros(SIZE, np.uint8)))
    with pytest.raises(UsageError, match="is no value"):
        read(f"{tmp_path / 'a.png'}:dog")


OUTLINE = [10.0, 5.0, 30.0, 5.0, 30.0, 15.0, 10.0, 15.0]


def document(**changes: object) -> dict[str, object]:
    return {
        "images": [{"id": 7, "file_name": "train/a.jpg", "height": 30, "width": 40}],
        "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 1, "segmentation": [OUTLINE], "iscrowd": 0}],
    } | changes


def written(path: Path, content: object) -> str:
    path.write_text(json.dumps(content))
    return str(path)


def test_a_coco_json(tmp_path: Path) -> None:
    name = written(tmp_path / "a.json", document())
    assert np.array_equal(read(name), square())
    assert np.array_equal(read(f"{name}:dog"), square())
    with pytest.raises(BrokenFileError, match=r"no object 'cat' in a.jpg; it has dog"):
        read(f"{name}:cat")


def test_of_several_categories_one_is_named(tmp_path: Path) -> None:
    other = {"id": 2, "image_id": 7, "category_id": 2, "segmentation": [[0, 20, 9, 20, 9, 29]], "iscrowd": 0}
    annotations = document()["annotations"]
    assert isinstance(annotations, list)
    name = written(tmp_path / "a.json", document(annotations=[*annotations, other]))
    assert np.array_equal(read(f"{name}:dog"), square())
    with pytest.raises(BrokenFileError, match=r"2 categories in a\.jpg: cat, dog"):
        read(name)


def test_an_object_alone_and_run_lengths(tmp_path: Path) -> None:
    assert np.array_equal(read(written(tmp_path / "a.json", {"segmentation": [OUTLINE]})), square())
    assert np.array_equal(read(written(tmp_path / "b.json", [{"segmentation": [OUTLINE], "bbox": [1]}])), square())
    # Column by column: ten columns of 30 pixels before the square.
    counts = [10 * 30 + 5, *([10, 20] * 19), 10, 10 * 30 + 15]
    runs = {"segmentation": {"size": [30, 40], "counts": counts}}
    assert np.array_equal(read(written(tmp_path / "c.json", runs)), square())


@pytest.mark.parametrize(
    "content",
    [
        "not json",
        [],
        {"segmentation": []},
        {"segmentation": [[1, 2]]},
        {"segmentation": [[1e9, 0, 5, 5, 9, 9]]},
        {"segmentation": {"size": [99, 99], "counts": [99 * 99]}},
        document(images=[{"id": 7, "file_name": "b.jpg", "height": 30, "width": 40}]),
        document(images=[{"id": 7, "file_name": "a.jpg", "height": 31, "width": 40}]),
        document(annotations=[]),
    ],
)
def test_a_json_that_shows_no_object_is_refused(content: object, tmp_path: Path) -> None:
    with pytest.raises(BrokenFileError):
        read(written(tmp_path / "a.json", content))


def test_boxes() -> None:
    found = read_mask("box:10,5,30,15", PHOTO, SIZE, SIZE)
    assert isinstance(found, Pointed)
    assert found.boxes == ((10, 5, 30, 15),)
    assert np.array_equal(found.filled, square())
    two = read_mask("box:0,0,1,1; 39,29,40,30", PHOTO, SIZE, SIZE)
    assert isinstance(two, Pointed)
    assert two.filled.sum() == 2


@pytest.mark.parametrize("text", ["box:", "box:1,2,3", "box:5,5,5,9", "box:0,0,41,30", "box:-1,0,3,3", "box:a,b,c,d"])
def test_boxes_that_are_none(text: str) -> None:
    with pytest.raises(UsageError):
        read(text)


def test_points() -> None:
    assert read_mask("points:3,4;5.5,6", PHOTO, SIZE, SIZE) == Pointed(SIZE, points=((3.0, 4.0), (5.5, 6.0)))
    for text in ("points:40,3", "points:3", "points:nan,1"):
        with pytest.raises(UsageError):
            read_mask(text, PHOTO, SIZE, SIZE)


def test_a_file_whose_name_has_a_colon(tmp_path: Path) -> None:
    assert np.array_equal(read(saved(tmp_path / "a:15.png", square(7))), square())


def test_errors_are_for_the_person_at_the_terminal(tmp_path: Path) -> None:
    with pytest.raises(FSSBenchError) as refused:
        read(saved(tmp_path / "a.png", np.arange(1200, dtype=np.uint8).reshape(SIZE)))
    assert "255 values" in refused.value.message or "254 values" in refused.value.message
    assert refused.value.remedy is not None
