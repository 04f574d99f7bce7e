"""Reading photos and label maps from untrusted files."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL.Image

from fssbench.datasets.dataset import Image, Label
from fssbench.datasets.io.reindexed import refuse_reindexed
from fssbench.errors import BrokenFileError, MissingError
from fssbench.files import file_size
from fssbench.label_values import IGNORE

MAX_PIXELS = 64_000_000
"""Larger images are refused, as they would only fill the memory."""

_BIT_DEPTH = 24
"""The offset of the bit depth in a PNG file."""

_ORIENTATION = 0x0112
"""The EXIF tag of the orientation of a photo."""

_UPRIGHT = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}
"""The operation that turns a photo of each orientation upright; from 5 on it swaps height and width."""


def read_photo(path: Path, remedy: str | None = None, *, upright: bool = False) -> Image:
    """Return a photo: RGB uint8 (H, W, 3).

    Grey, palette and CMYK (without its colour profile) are converted to RGB, alpha is dropped, and of 16 bits the
    higher 8 are kept. Except for 16 bits, this is what `convert("RGB")` does in the releases.

    Args:
        path: A JPEG or PNG file.
        remedy: What to do if it is missing or broken.
        upright: Whether it is turned by its EXIF orientation. Otherwise it is read as stored, as in the releases that
            use Pillow (HSNet, iFSL, PANet); OpenCV (PFENet's family) turns it.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it is not a photo, truncated, or too large.
    """
    with opened(path, ("JPEG", "PNG"), remedy) as photo:
        turn = _UPRIGHT.get(_orientation(photo)) if upright else None
        pixels = _rgb(photo)
        return np.array(pixels if turn is None else pixels.transpose(turn), dtype=np.uint8)


def _rgb(photo: PIL.Image.Image) -> PIL.Image.Image:
    """Return a decoded photo as RGB of 8 bits."""
    if photo.mode == "RGB":
        return photo  # A conversion would copy it, and photos can be large.
    if _is_wide(photo):
        # Pillow's own conversion would make everything above 255 of 65,535 white.
        levels = np.asarray(photo).astype(np.int64).clip(0, 65_535) >> 8
        return PIL.Image.fromarray(levels.astype(np.uint8)).convert("RGB")
    if photo.mode == "P" and "transparency" in photo.info:
        # Pillow warns about palettes with transparency, unless they are converted to RGBA first.
        return photo.convert("RGBA").convert("RGB")
    return photo.convert("RGB")


def _is_wide(image: PIL.Image.Image) -> bool:
    """Return whether an image is grey with 16 bits; Pillow reduces other images with 16 bits when it decodes them."""
    return image.mode == "I" or image.mode.startswith("I;16")


def _orientation(image: PIL.Image.Image) -> int:
    """Return the EXIF orientation 1 to 8; 1 if there is none that can be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = image.getexif().get(_ORIENTATION)
    except Exception:  # A hostile EXIF block can raise anything inside Pillow; the photo is valid without it.
        return 1
    return value if isinstance(value, int) and value in _UPRIGHT else 1


def turned_in_place(path: Path) -> bool:
    """Return whether the EXIF orientation mirrors or turns a photo without changing its size.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it is not a photo.
    """
    with opened(path, ("JPEG", "PNG"), None, decode=False) as image:
        turn = _orientation(image)
        return turn in _UPRIGHT and (turn < 5 or image.height == image.width)


def read_foreground(path: Path, remedy: str | None = None) -> npt.NDArray[np.bool_]:
    """Return where a binary mask is not black: bool (H, W).

    Args:
        path: A PNG of any kind with one colour on black: 0 and 1, 0 and 255, a palette, RGB.
        remedy: What to do if it is broken.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it can't be decoded, has transparent pixels, or a third colour (a soft edge, another class).
    """
    with opened(path, ("PNG",), remedy) as image:
        if image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < IGNORE:
            raise BrokenFileError(f"{path} has transparent pixels, which are neither object nor background", remedy)
        plain = image.mode in ("L", "1") or _is_wide(image)
        pixels = np.asarray(image if plain else image.convert("RGB"))
        pixels = pixels.reshape(image.height, image.width, -1)
        foreground: npt.NDArray[np.bool_] = np.asarray(pixels.any(axis=2))
        # Selecting by a mask would need 16 bytes per pixel.
        colour = pixels.reshape(foreground.size, -1)[foreground.argmax()]
        if (foreground & (pixels != colour).any(axis=2)).any():
            raise BrokenFileError(f"{path} is not a binary mask: it has more than black and one colour", remedy)
        return foreground


def read_grey(path: Path, remedy: str | None = None) -> Label:
    """Return an image as grey levels (ITU-R 601-2 luma, as Pillow computes it): uint8 (H, W).

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it can't be decoded.
    """
    with opened(path, ("PNG", "JPEG"), remedy) as image:
        return np.array(image.convert("L"), dtype=np.uint8)


def read_colours(path: Path, remedy: str | None = None) -> Image:
    """Return a colour-coded mask: RGB uint8 (H, W, 3).

    Args:
        path: A BMP or PNG file; JPEG would blur the colours.
        remedy: What to do if it is missing or broken.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it can't be decoded.
    """
    with opened(path, ("BMP", "PNG"), remedy) as image:
        return np.array(image.convert("RGB"), dtype=np.uint8)


def read_label(
    path: Path, class_count: int, *, ignore: bool, remedy: str | None = None, raw: bytes | None = None
) -> Label:
    """Return a label map stored as a palette or grey PNG: uint8 (H, W).

    Args:
        path: The file.
        class_count: The largest class.
        ignore: Whether 255 may occur.
        remedy: What to do if it is missing or broken.
        raw: The content, if it was read already; the path is then for messages only.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it can't be decoded, is not a label map, has a value that is not a class, or was re-indexed.
    """
    with opened(path, ("PNG",), remedy, raw=raw) as image:
        if image.mode not in ("P", "L"):
            raise BrokenFileError(
                f"{path} is not a label map: its pixels are {image.mode}, not palette or grey", remedy
            )
        if raw is None:
            with path.open("rb") as file:
                raw = file.read(_BIT_DEPTH + 1)
        label = _values(image, raw)
        labels = {*range(class_count + 1), *([IGNORE] if ignore else [])}
        refuse_reindexed(image, label, labels, path, remedy)
    check_values(label, class_count, ignore=ignore, where=str(path), remedy=remedy)
    return label


def read_values(
    path: Path, raw: bytes, size: tuple[int, int], remedy: str | None = None, labels: Collection[int] | None = None
) -> npt.NDArray[np.uint8]:
    """Return the values of a palette or grey PNG: uint8 (height, width).

    A file of another size is refused before it is decoded.

    Args:
        path: The path of the file, for messages.
        raw: The content of the file.
        size: The required (height, width).
        remedy: What to do if it is broken.
        labels: The possible values; None if they are not known, and then re-indexed masks are not detected.

    Raises:
        BrokenFileError: If it is not such a PNG, is truncated, has another size, or was re-indexed.
    """
    with opened(path, ("PNG",), remedy, raw=raw, decode=False) as image:
        if image.mode not in ("P", "L", "1"):
            raise BrokenFileError(f"{path} has pixels that are {image.mode}, not palette or grey of 8 bits", remedy)
        if (image.height, image.width) != size:
            raise BrokenFileError(
                f"{path} has {image.height} x {image.width} pixels, not {size[0]} x {size[1]}", remedy
            )
        _decode(image, path, remedy)
        values = _values(image, raw)
        if labels is not None:
            refuse_reindexed(image, values, labels, path, remedy)
        return values


def _values(image: PIL.Image.Image, head: bytes) -> npt.NDArray[np.uint8]:
    """Return the values of a decoded palette or grey PNG; `head` is the beginning of the file."""
    values = np.array(image, dtype=np.uint8)
    depth = head[_BIT_DEPTH]
    # Pillow scales grey with 2 and 4 bits to 0..255.
    return values // (255 // (2**depth - 1)) if image.mode == "L" and depth in (2, 4) else values


def check_values(label: Label, class_count: int, *, ignore: bool, where: str, remedy: str | None = None) -> None:
    """Refuse a label map with a value that is not 0, a class, or (if allowed) 255.

    Raises:
        BrokenFileError: With `where` and the first such value.
    """
    counts = value_counts(label)
    if ignore:
        counts[IGNORE] = 0
    wrong = np.flatnonzero(counts[class_count + 1 :])
    if wrong.size:
        value = int(wrong[0]) + class_count + 1
        allowed = f"0 to {class_count}" + (f" or {IGNORE}" if ignore else "")
        raise BrokenFileError(
            f"{where} has the label {value} ({int(counts[value])} pixels); labels are {allowed}", remedy
        )


def value_counts(label: Label) -> npt.NDArray[np.int64]:
    """Return the number of pixels with each value 0..255: int64 (256,)."""
    return np.bincount(label.ravel(), minlength=256).astype(np.int64)


def size_of(path: Path, remedy: str | None = None, *, upright: bool = False) -> tuple[int, int]:
    """Return (height, width) of an image from its header, without decoding it; `upright` as in `read_photo`.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it is not an image.
    """
    with opened(path, ("JPEG", "PNG", "BMP"), remedy, decode=False) as image:
        height, width = image.height, image.width
        return (width, height) if upright and _orientation(image) >= 5 else (height, width)


@contextmanager
def opened(
    path: Path, formats: tuple[str, ...], remedy: str | None, *, decode: bool = True, raw: bytes | None = None
) -> Iterator[PIL.Image.Image]:
    """Yield an image of one of the formats, decoded unless that is not wanted; its number of pixels is limited.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it is not such an image, truncated, or too large.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns about large images, which are refused below, and about broken EXIF blocks, which do no harm.
            warnings.simplefilter("ignore")
            if raw is None:
                file_size(path)
            image = PIL.Image.open(path if raw is None else BytesIO(raw), formats=formats)
    except FileNotFoundError as error:
        raise MissingError(f"there is no file {path}", remedy) from error
    except PIL.UnidentifiedImageError as error:
        raise BrokenFileError(f"{path} is not a {' or '.join(formats)} image", remedy) from error
    except PIL.Image.DecompressionBombError as error:
        raise BrokenFileError(f"{path} claims to be far too large for a photo and is not decoded", remedy) from error
    except Exception as error:  # A hostile header can raise anything inside Pillow.
        raise BrokenFileError(f"can't read {path}: {_reason(error)}", remedy) from error
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise BrokenFileError(
                f"{path} claims {image.width} x {image.height} pixels, too many for a photo; it is not decoded",
                remedy,
            )
        if decode:
            _decode(image, path, remedy)
        yield image


def _decode(image: PIL.Image.Image, path: Path, remedy: str | None) -> None:
    try:
        image.load()
    except Exception as error:  # As above: decoders can raise anything.
        raise BrokenFileError(f"{path} is truncated or broken: {_reason(error)}", remedy) from error


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.splitlines()[0] if text else type(error).__name__
