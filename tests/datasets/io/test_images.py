"""Files that nobody has vouched for: each is an array or a sentence, never a traceback."""

from __future__ import annotations

import contextlib
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps

from fssbench.datasets.io.images import (
    read_colours,
    read_grey,
    read_label,
    read_photo,
    read_values,
    size_of,
    value_counts,
)
from fssbench.datasets.io.reindexed import voc_labels
from fssbench.errors import BrokenFileError, FSSBenchError, MissingError
from tests.datasets.trees import label_map, save_palette, save_photo, truncate


def test_a_photo_is_rgb_and_may_be_written_to(tmp_path: Path) -> None:
    Image.fromarray(np.full((5, 7), 40, dtype=np.uint8)).save(tmp_path / "grey.png")
    photo = read_photo(tmp_path / "grey.png")
    assert (photo.shape, photo.dtype) == ((5, 7, 3), np.uint8)
    assert (photo == 40).all()
    photo[0] = 1


def test_exif_rotation_is_left_alone(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 10)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_photo(tmp_path / "turned.jpg").shape == (10, 20, 3)
    assert size_of(tmp_path / "turned.jpg") == (10, 20)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_upright_is_what_viewers_show(tmp_path: Path, orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{kind}"
    corners = np.zeros((16, 32, 3), dtype=np.uint8)
    corners[:8, :16] = 255
    corners[8:, 16:] = 120
    Image.fromarray(corners).save(path, exif=exif)
    with Image.open(path) as photo:
        expected = np.asarray(ImageOps.exif_transpose(photo).convert("RGB"))
    assert (read_photo(path, upright=True) == expected).all()
    assert size_of(path, upright=True) == expected.shape[:2]


def test_a_broken_exif_block_turns_nothing(tmp_path: Path) -> None:
    for number, block in enumerate((b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0" + bytes(40))):
        path = tmp_path / f"{number}.jpg"
        Image.new("RGB", (20, 10)).save(path, exif=block)
        assert read_photo(path, upright=True).shape == (10, 20, 3)
        assert size_of(path, upright=True) == (10, 20)


@pytest.mark.parametrize(
    ("mode", "colour", "kind", "expected"),
    [
        ("L", 40, "jpg", (40, 40, 40)),
        ("1", 1, "png", (255, 255, 255)),
        ("CMYK", (0, 255, 255, 0), "jpg", (255, 0, 0)),
        ("LA", (80, 0), "png", (80, 80, 80)),
        ("RGBA", (10, 20, 30, 0), "png", (10, 20, 30)),
    ],
)
def test_every_kind_of_photo_becomes_rgb(
    tmp_path: Path, mode: str, colour: object, kind: str, expected: tuple[int, ...]
) -> None:
    path = tmp_path / f"p.{kind}"
    Image.new(mode, (6, 4), colour).save(path)  # type: ignore[arg-type]
    photo = read_photo(path)
    assert (photo.shape, photo.dtype) == ((4, 6, 3), np.uint8)
    assert np.abs(photo.astype(int) - expected).max() <= 2


def test_palettes_with_and_without_transparency(tmp_path: Path) -> None:
    picture = Image.new("P", (6, 4), 1)
    picture.putpalette([0, 0, 0, 10, 200, 30])
    picture.save(tmp_path / "plain.png")
    picture.save(tmp_path / "clear.png", transparency=bytes([255, 0]))
    for name in ("plain", "clear"):
        assert (read_photo(tmp_path / f"{name}.png") == (10, 200, 30)).all()


def test_sixteen_bits_keep_their_brightness(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65_535, 24).astype(np.uint16).reshape(4, 6)
    Image.fromarray(ramp).save(tmp_path / "grey.png")
    assert (read_photo(tmp_path / "grey.png") == (ramp >> 8)[..., None]).all()
    colour = np.stack([ramp, ramp[::-1], ramp // 2], axis=-1)
    cv2.imwrite(str(tmp_path / "colour.png"), colour[..., ::-1])
    assert np.abs(read_photo(tmp_path / "colour.png").astype(int) - (colour >> 8)).max() <= 1


def test_names_of_every_script(tmp_path: Path) -> None:
    path = tmp_path / "f\u00f6to \u5199\u771f \U0001f33f.JPEG"
    save_photo(path)
    assert read_photo(path).shape == (*size_of(path), 3)


def test_a_mask_coded_by_colour_keeps_its_colours(tmp_path: Path) -> None:
    colours = np.array([[[255, 0, 7], [0, 128, 255]], [[1, 2, 3], [0, 0, 0]]], dtype=np.uint8)
    for suffix in ("bmp", "png"):
        path = tmp_path / f"mask.{suffix}"
        Image.fromarray(colours).save(path)
        assert (read_colours(path) == colours).all()
        assert size_of(path) == (2, 2)
        truncate(path, 0.7)
        with pytest.raises(BrokenFileError, match=r"mask\.(bmp|png)"):
            read_colours(path)
    Image.fromarray(colours).save(tmp_path / "mask.jpg")
    with pytest.raises(BrokenFileError, match="is not a BMP or PNG image"):
        read_colours(tmp_path / "mask.jpg")
    with pytest.raises(MissingError):
        read_colours(tmp_path / "none.bmp")


@pytest.mark.parametrize("keep", [0.0, 0.02, 0.3, 0.9])
def test_a_truncated_jpeg_is_named_in_one_line(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "cut.jpg"
    save_photo(path)
    truncate(path, keep)
    with pytest.raises(BrokenFileError) as caught:
        read_photo(path, "copy it again")
    assert "cut.jpg" in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.remedy == "copy it again"
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.95])
def test_a_truncated_mask(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "cut.png"
    noise = np.random.default_rng(0).integers(0, 20, (60, 60), dtype=np.uint8)
    save_palette(path, noise)
    truncate(path, keep)
    with pytest.raises(BrokenFileError, match=r"cut\.png"):
        read_label(path, 20, ignore=True)


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no file"):
        read_photo(tmp_path / "none.jpg")
    (tmp_path / "page.jpg").write_text("<html>moved</html>")
    with pytest.raises(BrokenFileError, match="is not a JPEG or PNG image"):
        read_photo(tmp_path / "page.jpg")
    (tmp_path / "folder.jpg").mkdir()
    with pytest.raises(BrokenFileError, match="can't read"):
        read_photo(tmp_path / "folder.jpg")
    # A format that Pillow could decode but no release uses.
    Image.new("RGB", (4, 4)).save(tmp_path / "odd.jpg", format="BMP")
    with pytest.raises(BrokenFileError, match="is not a JPEG or PNG image"):
        read_photo(tmp_path / "odd.jpg")


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [8_001, 11_000, 60_000])
def test_a_decompression_bomb_is_refused_with_a_sentence(tmp_path: Path, side: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_that_claims(side, side))
    with pytest.raises(BrokenFileError, match="not decoded"):
        read_photo(path)


def test_label_values(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    label = label_map((20, 0, 0, 3, 3), (255, 5, 5, 2, 2))
    save_palette(path, label)
    assert (read_label(path, 20, ignore=True) == label).all()
    with pytest.raises(BrokenFileError, match=r"mask\.png has the label 255 \(4 pixels\); labels are 0 to 20"):
        read_label(path, 20, ignore=False)
    with pytest.raises(BrokenFileError, match=r"has the label 20 \(9 pixels\); labels are 0 to 19 or 255"):
        read_label(path, 19, ignore=True)
    Image.fromarray(label).save(path)
    assert (read_label(path, 20, ignore=True) == label).all(), "a grey mask is as good as a palette"


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "1", "I;16", "LA"])
def test_a_picture_that_is_no_label_map(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (4, 4)).save(tmp_path / "mask.png")
    with pytest.raises(BrokenFileError, match="is not a label map"):
        read_label(tmp_path / "mask.png", 20, ignore=True)


def test_grey_of_rgba_takes_the_luma(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 2), (255, 0, 0, 0)).save(tmp_path / "red.png")
    assert (read_grey(tmp_path / "red.png") == 76).all()


def test_value_counts() -> None:
    counts = value_counts(label_map((3, 0, 0, 2, 5), (255, 4, 4, 1, 1), size=(10, 10)))
    assert (counts[0], counts[3], counts[255], counts.sum(), counts.shape) == (89, 10, 1, 100, (256,))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=12))
def test_a_damaged_file_is_an_array_or_one_of_our_errors(tmp_path: Path, damage: list[tuple[float, int]]) -> None:
    for path, read in ((tmp_path / "p.jpg", read_photo), (tmp_path / "p.png", read_grey)):
        if path.suffix == ".jpg":
            save_photo(path, (24, 24))
        else:
            save_palette(path, label_map((3, 2, 2, 9, 9), size=(24, 24)))
        content = bytearray(path.read_bytes())
        for place, value in damage:
            content[int(place * len(content))] = value
        path.write_bytes(content)
        # Anything else than one of the project's errors fails the test.
        with contextlib.suppress(FSSBenchError):
            assert read(path).dtype == np.uint8


@pytest.mark.parametrize("depth", [2, 4])
def test_grey_label_maps_of_few_bits_hold_their_values(tmp_path: Path, depth: int) -> None:
    """Pillow spreads them over 0 to 255: 1 of 4 bits becomes 17, which is a class of PASCAL."""
    label = np.arange(64, dtype=np.uint8).reshape(8, 8) % 2**depth
    path = tmp_path / "mask.png"
    path.write_bytes(grey_png(label, depth))
    assert (read_label(path, 20, ignore=True) == label).all()
    assert (read_values(path, path.read_bytes(), (8, 8)) == label).all()


def grey_png(values: np.ndarray, depth: int) -> bytes:
    """A grey PNG of few bits with exactly these values."""
    bits = np.unpackbits(values[..., None], axis=2)[..., -depth:].reshape(len(values), -1)
    raw = b"".join(b"\0" + row.tobytes() for row in np.packbits(bits, axis=1))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], depth, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def save_greys(path: Path, values: np.ndarray, *greys: int) -> Path:
    """A palette PNG that shows value i as the i-th grey."""
    picture = Image.fromarray(values)
    picture.putpalette([channel for grey in greys for channel in (grey,) * 3])
    picture.save(path)
    return path


@pytest.mark.parametrize("greys", [(0, 2), (0, 15, 1), (0, 1, 255), (255, 0, 7)])
def test_a_grey_mask_that_was_indexed_anew_is_refused(tmp_path: Path, greys: tuple[int, ...]) -> None:
    values = np.arange(16, dtype=np.uint8).reshape(4, 4) % len(greys)
    path = save_greys(tmp_path / "mask.png", values, *greys)
    with pytest.raises(BrokenFileError, match=r"mask\.png has a palette that shows the value \d as grey \d+") as caught:
        read_label(path, 20, ignore=True, remedy="copy it again")
    assert "copy it again" in (caught.value.remedy or "")
    with pytest.raises(BrokenFileError, match="a palette that shows"):
        read_values(path, path.read_bytes(), (4, 4), labels=(0, 1, 2, 7, 15, 255))
    assert (read_values(path, path.read_bytes(), (4, 4)) == values).all(), "what labels there are is not known"


@pytest.mark.parametrize("greys", [(0, 255), (0, 1, 2), (0, 85, 170), (9, 40), (255, 0)])
def test_palettes_of_greys_that_only_show_labels_are_read(tmp_path: Path, greys: tuple[int, ...]) -> None:
    values = np.arange(16, dtype=np.uint8).reshape(4, 4) % len(greys)
    path = save_greys(tmp_path / "mask.png", values, *greys)
    assert (read_label(path, 20, ignore=True) == values).all()


def test_a_colour_in_the_palette_says_that_it_is_one(tmp_path: Path) -> None:
    values = np.arange(16, dtype=np.uint8).reshape(4, 4) % 2
    picture = Image.fromarray(values)
    picture.putpalette([0, 0, 0, 2, 2, 2, 192, 0, 0])
    picture.save(tmp_path / "mask.png")
    assert (read_label(tmp_path / "mask.png", 20, ignore=True) == values).all()


def save_colours(path: Path, label: np.ndarray, order: tuple[int, ...]) -> Path:
    """A label map in VOC's colours whose palette has only those in use, in that order."""
    colours = {value: colour for colour, value in voc_labels().items()}
    picture = Image.fromarray(np.vectorize(order.index)(label).astype(np.uint8))
    picture.putpalette([channel for value in order for channel in colours[value]])
    picture.save(path)
    return path


def test_the_colour_map_of_voc() -> None:
    known = {
        (0, 0, 0): 0,
        (128, 0, 0): 1,
        (128, 128, 0): 3,
        (192, 128, 128): 15,
        (0, 64, 128): 20,
        (224, 224, 192): 255,
    }
    assert {colour: voc_labels()[colour] for colour in known} == known
    assert sorted(voc_labels().values()) == list(range(256))


@pytest.mark.parametrize("order", [(0, 15), (15, 0), (0, 3, 15, 255), (255, 0, 3)])
def test_a_mask_in_the_colours_of_voc_that_was_indexed_anew_is_refused(tmp_path: Path, order: tuple[int, ...]) -> None:
    label = np.array(order, dtype=np.uint8)[np.arange(16).reshape(4, 4) % len(order)]
    path = save_colours(tmp_path / "mask.png", label, order)
    with pytest.raises(
        BrokenFileError, match=r"mask\.png has a palette that shows the value \d as VOC's colour of \d+"
    ):
        read_label(path, 20, ignore=True)
    with pytest.raises(BrokenFileError, match="VOC's colour"):
        read_values(path, path.read_bytes(), (4, 4), labels=(0, 3, 15, 255))


def test_masks_in_the_colours_of_voc_and_in_any_others_are_read(tmp_path: Path) -> None:
    label = (np.arange(16, dtype=np.uint8).reshape(4, 4) % 3) * 7
    path = save_colours(tmp_path / "mask.png", label, tuple(range(21)))
    assert (read_label(path, 20, ignore=True) == label).all()
    picture = Image.fromarray(label // 7)
    picture.putpalette([0, 0, 0, 0, 255, 0, 128, 0, 0])  # bright green is none of VOC's first colours
    picture.save(path)
    assert (read_label(path, 20, ignore=True) == label // 7).all()
