"""Label maps from anybody: which are read, and how, and which are refused."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.predictions.files import MAX_BYTES, encode_png, fold_of, named, names_in, read_file, read_label_map

LABELS = (np.indices((6, 9)).sum(axis=0) % 3).astype(np.uint8)
SIZE = (6, 9)
PATH = Path("fold0-00000.png")


def png(picture: Image.Image, **options: object) -> bytes:
    content = io.BytesIO()
    picture.save(content, "PNG", **options)
    return content.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raw_png(values: np.ndarray, depth: int, colour: int, claimed: tuple[int, int] | None = None) -> bytes:
    """A PNG made by hand, of grey (colour 0) or palette (3) of any depth, which may claim another size."""
    height, width = claimed or values.shape
    bits = np.unpackbits(values[:, :, None], axis=2)[:, :, 8 - depth :].reshape(values.shape[0], -1)
    lines = b"".join(b"\0" + np.packbits(line).tobytes() for line in bits)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    palette = chunk(b"PLTE", bytes(range(3 * 2**depth))) if colour == 3 else b""
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + palette
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


def coloured() -> Image.Image:
    picture = Image.fromarray(LABELS).convert("P")
    picture.putdata(LABELS.ravel().tolist())
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    return picture


@pytest.mark.parametrize(
    "raw",
    [
        encode_png(LABELS),
        png(Image.fromarray(LABELS)),
        png(coloured()),
        png(coloured(), bits=2),
        png(Image.fromarray(LABELS), optimize=True),
        *(raw_png(LABELS, depth, colour) for depth in (2, 4) for colour in (0, 3)),
        raw_png(LABELS, 8, 0),
    ],
)
def test_grey_and_palette_of_any_depth_are_the_same(raw: bytes) -> None:
    read = read_label_map(PATH, raw, SIZE, 2)
    assert read.dtype == np.uint8
    assert np.array_equal(read, LABELS)


@pytest.mark.parametrize("raw", [png(Image.fromarray(LABELS > 1)), raw_png((LABELS > 1).astype(np.uint8), 1, 3)])
def test_one_bit_is_zero_and_one(raw: bytes) -> None:
    assert np.array_equal(read_label_map(PATH, raw, SIZE, 1), LABELS > 1)


WHOLE = png(Image.fromarray(np.random.default_rng(0).integers(0, 3, SIZE, dtype=np.uint8)))
JPEG = io.BytesIO()
Image.fromarray(LABELS).save(JPEG, "JPEG")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "is not a PNG"),
        (b"hello", "is not a PNG"),
        (JPEG.getvalue(), "is not a PNG"),
        (WHOLE[:-30], "truncated or broken"),
        (WHOLE[:30], "fold0-00000"),
        (WHOLE[:60] + b"\0\0\0" + WHOLE[63:], "truncated or broken"),
        (png(Image.fromarray(LABELS).convert("RGB")), "pixels that are RGB"),
        (png(Image.fromarray(LABELS).convert("RGBA")), "pixels that are RGBA"),
        (png(Image.fromarray(LABELS).convert("LA")), "pixels that are LA"),
        (png(Image.fromarray(LABELS.astype(np.uint16))), "pixels that are I;16"),
        (png(Image.fromarray(LABELS.T.copy())), "has 9 x 6 pixels, not 6 x 9"),
        (png(Image.fromarray(LABELS * 100)), r"value 200 \(36 pixels above 2\), not 0 to 2"),
        (raw_png(LABELS, 8, 0, claimed=(50_000, 50_000)), "far too large|too many"),
        (raw_png(LABELS, 8, 0, claimed=(7000, 7000)), "has 7000 x 7000 pixels"),
        (raw_png(LABELS, 8, 0, claimed=(0, 9)), "fold0-00000"),
    ],
)
def test_what_is_no_label_map_is_refused(raw: bytes, message: str) -> None:
    with pytest.raises(BrokenFileError, match=message) as caught:
        read_label_map(PATH, raw, SIZE, 2)
    assert "fold0-00000.png" in caught.value.message


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")  # to open it would wait for ever
    (tmp_path / "loop.png").symlink_to("loop.png")
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    for name, message in (
        ("folder", "is not a regular file"),
        ("pipe", "is not a regular file"),
        ("loop", "can't read"),
        ("large", "too large"),
        ("gone", "can't read"),
    ):
        with pytest.raises(BrokenFileError, match=message):
            read_file(tmp_path / f"{name}.png")


def test_names_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / ".hidden").touch()
    assert names_in(tmp_path) == {"a.png"}
    with pytest.raises(MissingError, match="no folder"):
        names_in(tmp_path / "gone")
    with pytest.raises(UsageError, match="can't read"):
        names_in(tmp_path / "a.png")


def test_of_which_fold_a_name_is() -> None:
    assert [fold_of(name) for name in ("fold3-00012.png", "fold12-00012-base.png", "fold0-123456")] == [3, 12, 0]
    for name in ("fold3-12.png", "fold3-00012.PNG", "../fold3-00012.png", "fold3-00012.png\n", "fold٣-00012", "x"):
        assert fold_of(name) is None


def test_the_first_are_named_and_all_counted() -> None:
    assert named(["a"]) == "a"
    assert named(["a", "b", "c"]) == "a, b, c"
    assert named(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


def test_greys_that_were_numbered_anew_are_refused() -> None:
    """Only the second class is there: 0 and 2 of a grey map have become 0 and 1."""
    picture = Image.fromarray((LABELS == 2).astype(np.uint8))
    picture.putpalette([0, 0, 0, 2, 2, 2])
    with pytest.raises(BrokenFileError, match="a palette that shows the value 1 as grey 2"):
        read_label_map(PATH, png(picture), SIZE, 2)
    assert read_label_map(PATH, png(picture), SIZE, 1).max() == 1, "there is no second class"
