"""Masks of one's own photos: every kind that tools write is a label map, or a sentence."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fssbench.datasets.folder.masks import BINARY, FORMAT, OVERLAP, SIZE, VALUES, read_binary, read_indexed
from fssbench.errors import BrokenFileError, FSSBenchError, MissingError
from tests.datasets.trees import label_map, save_binary, save_palette, save_photo

SHAPE = (20, 30)
LABEL = label_map((1, 0, 0, 5, 5), (7, 9, 9, 5, 5), (255, 15, 0, 1, 30), size=SHAPE)
NAMES = {1: "leaf", 7: "stem"}


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    save_photo(tmp_path / "a.jpg", SHAPE)
    return tmp_path / "a.jpg"


def test_palette_and_grey_masks_hold_values(photo: Path, tmp_path: Path) -> None:
    save_palette(tmp_path / "p.png", LABEL)
    Image.fromarray(LABEL).save(tmp_path / "l.png")
    for name in ("p", "l"):
        assert (read_indexed(tmp_path / f"{name}.png", photo, SHAPE, NAMES) == LABEL).all()


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_masks_of_few_bits_hold_the_same_values(photo: Path, tmp_path: Path, bits: int) -> None:
    few = np.minimum(LABEL, 1)
    picture = Image.fromarray(few)
    picture.putpalette([0, 0, 0, 9, 9, 9])
    picture.save(tmp_path / "few.png", bits=bits)
    with Image.open(tmp_path / "few.png") as saved:
        assert (saved.mode, saved.info.get("bits", bits)) == ("P", bits)
    assert (read_indexed(tmp_path / "few.png", photo, SHAPE, NAMES) == few).all()
    Image.fromarray(few.astype(bool)).save(tmp_path / "one.png")
    assert (read_indexed(tmp_path / "one.png", photo, SHAPE, NAMES) == few).all()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "I;16"])
def test_pictures_that_hold_no_values(photo: Path, tmp_path: Path, mode: str) -> None:
    Image.new(mode, (30, 20)).save(tmp_path / "m.png")
    with pytest.raises(
        BrokenFileError, match=r"m\.png has pixels that are .*, not palette or grey of 8 bits"
    ) as caught:
        read_indexed(tmp_path / "m.png", photo, SHAPE, NAMES)
    assert caught.value.remedy == FORMAT


def test_values_that_are_no_class(photo: Path, tmp_path: Path) -> None:
    save_palette(tmp_path / "m.png", label_map((2, 0, 0, 2, 2), (9, 5, 5, 1, 3), (7, 9, 9, 2, 2), size=SHAPE))
    with pytest.raises(BrokenFileError, match=r"not classes: 2 \(4 pixels\), 9 \(3 pixels\)\n") as caught:
        read_indexed(tmp_path / "m.png", photo, SHAPE, NAMES)
    assert caught.value.remedy == VALUES
    save_palette(tmp_path / "m.png", np.arange(600, dtype=np.uint16).reshape(SHAPE).astype(np.uint8))
    with pytest.raises(BrokenFileError, match=r"6 \(3 pixels\) and 247 more"):
        read_indexed(tmp_path / "m.png", photo, SHAPE, NAMES)


def test_masks_of_another_size(photo: Path, tmp_path: Path) -> None:
    save_palette(tmp_path / "m.png", LABEL[:, :-1])
    with pytest.raises(BrokenFileError, match=r"m\.png has 29 x 20 pixels, its photo a\.jpg 30 x 20\n") as caught:
        read_indexed(tmp_path / "m.png", photo, SHAPE, NAMES)
    assert caught.value.remedy == SIZE
    with pytest.raises(BrokenFileError, match=r"its photo a\.jpg 20 x 30, turned by its EXIF orientation\n"):
        read_indexed(tmp_path / "m.png", photo, (30, 20), NAMES)


def test_missing_and_foreign_masks(photo: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="there is no file"):
        read_indexed(tmp_path / "m.png", photo, SHAPE, NAMES)
    (tmp_path / "m.png").write_text("<html>")
    with pytest.raises(BrokenFileError, match=r"m\.png is not a"):
        read_indexed(tmp_path / "m.png", photo, SHAPE, NAMES)


@pytest.mark.parametrize("mode", ["1", "L0", "L1", "L128", "P", "RGB", "RGBA", "LA", "I;16"])
def test_every_kind_of_black_and_one_colour_is_binary(photo: Path, tmp_path: Path, mode: str) -> None:
    shown = LABEL == 7
    if mode[0] == "L" and mode[1:].isdecimal():
        picture = Image.fromarray(np.where(shown, int(mode[1:]), 0).astype(np.uint8))
    elif mode == "I;16":
        picture = Image.fromarray(np.where(shown, 65_535, 0).astype(np.uint16))
    else:
        picture = Image.fromarray(np.where(shown, 255, 0).astype(np.uint8)).convert(mode)
    picture.save(tmp_path / "m.png")
    expected = np.where(shown & (mode != "L0"), 7, 0)
    assert (read_binary({7: tmp_path / "m.png"}, photo, SHAPE, NAMES) == expected).all()


def test_several_classes_and_an_empty_one(photo: Path, tmp_path: Path) -> None:
    save_binary(tmp_path / "leaf.png", LABEL == 1)
    save_binary(tmp_path / "stem.png", LABEL == 7, value=1)
    save_binary(tmp_path / "none.png", LABEL == 99)
    masks = {7: tmp_path / "stem.png", 3: tmp_path / "none.png", 1: tmp_path / "leaf.png"}
    label = read_binary(masks, photo, SHAPE, NAMES)
    assert label.dtype == np.uint8
    assert (label == np.where(LABEL == 255, 0, LABEL)).all()


def test_overlap_is_counted(photo: Path, tmp_path: Path) -> None:
    save_binary(tmp_path / "leaf.png", LABEL == 1)
    save_binary(tmp_path / "stem.png", (LABEL == 7) | (np.indices(SHAPE).sum(axis=0) < 3))
    with pytest.raises(BrokenFileError, match=r"masks of .*a\.jpg overlap: 6 pixels are both leaf and stem") as caught:
        read_binary({1: tmp_path / "leaf.png", 7: tmp_path / "stem.png"}, photo, SHAPE, NAMES)
    assert caught.value.remedy == OVERLAP


def test_what_is_not_binary(photo: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.png"
    for pixels in (LABEL, np.stack([LABEL, 255 - LABEL, LABEL], axis=-1)):
        Image.fromarray(pixels).save(path)
        with pytest.raises(BrokenFileError, match=r"m\.png is not a binary mask: it has more than") as caught:
            read_binary({1: path}, photo, SHAPE, NAMES)
        assert caught.value.remedy == BINARY
    Image.fromarray(np.where(LABEL == 1, 255, 0).astype(np.uint8)).convert("RGBA").save(path)
    with Image.open(path) as picture:
        picture.putalpha(200)
        picture.save(path)
    with pytest.raises(BrokenFileError, match=r"m\.png has transparent pixels"):
        read_binary({1: path}, photo, SHAPE, NAMES)
    save_binary(path, LABEL[:-1] == 1)
    with pytest.raises(BrokenFileError, match=r"m\.png has 30 x 19 pixels, its photo a\.jpg 30 x 20"):
        read_binary({1: path}, photo, SHAPE, NAMES)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=8))
def test_a_damaged_mask_is_a_label_map_or_one_of_our_errors(tmp_path: Path, damage: list[tuple[float, int]]) -> None:
    photo, path = tmp_path / "a.jpg", tmp_path / "m.png"
    save_photo(photo, SHAPE)
    save_palette(path, LABEL)
    content = bytearray(path.read_bytes())
    for place, value in damage:
        content[int(place * len(content))] = value
    path.write_bytes(content)
    # Anything else than one of the project's errors fails the test.
    with contextlib.suppress(FSSBenchError):
        assert read_indexed(path, photo, SHAPE, NAMES).shape == SHAPE
    with contextlib.suppress(FSSBenchError):
        assert read_binary({1: path}, photo, SHAPE, NAMES).shape == SHAPE


def test_a_grey_mask_that_was_indexed_anew_is_refused(photo: Path, tmp_path: Path) -> None:
    """0 and 7 of a grey mask are 0 and 1 of a palette that shows the same greys."""
    picture = Image.fromarray((LABEL == 7).astype(np.uint8))
    picture.putpalette([0, 0, 0, 7, 7, 7])
    picture.save(tmp_path / "m.png")
    with pytest.raises(BrokenFileError, match=r"m\.png has a palette that shows the value 1 as grey 7") as caught:
        read_indexed(tmp_path / "m.png", photo, SHAPE, NAMES)
    assert FORMAT in (caught.value.remedy or "")
