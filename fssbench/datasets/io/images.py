"""Reading photos and label maps from files that nobody has vouched for."""

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

MAX_PIXELS = 64_000_000
"""No photo of a segmentation data set is larger; a file that claims to be would only fill the memory."""

_BIT_DEPTH = 24
"""Where a PNG says how many bits a pixel has."""

IGNORE = 255
"""The label of pixels that belong to no class and not to the background."""


_ORIENTATION = 0x0112
"""The EXIF tag that says how a photo is turned."""

_UPRIGHT = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}
"""What brings a photo of that orientation upright; 5 and above exchange height and width."""


def read_photo(path: Path, remedy: str | None = None, *, upright: bool = False) -> Image:
    """Return a photo: RGB uint8 (H, W, 3).

    Grey and palette become RGB, CMYK too (without its colour profile), alpha is dropped, of 16 bits the higher 8 are
    kept. All but the last is what `convert("RGB")` does in the releases.

    Args:
        path: A JPEG or PNG file.
        remedy: What to do if it is missing or broken.
        upright: Whether it is turned as its EXIF orientation says. Else it is as it is stored, which is what the
            releases get that read with Pillow (HSNet, iFSL, PANet); those that read with OpenCV (PFENet's family) get
            it turned.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it is not a photo, truncated, or too large.
    """
    with _opened(path, ("JPEG", "PNG"), remedy) as photo:
        turn = _UPRIGHT.get(_orientation(photo)) if upright else None
        pixels = _rgb(photo)
        return np.array(pixels if turn is None else pixels.transpose(turn), dtype=np.uint8)


def _rgb(photo: PIL.Image.Image) -> PIL.Image.Image:
    """Return a decoded photo as RGB of 8 bits."""
    if photo.mode == "RGB":
        return photo  # A conversion would copy it, and photos can be large.
    if _is_wide(photo):
        # Pillow's own conversion would make white of all that is above 255 of 65,535.
        levels = np.asarray(photo).astype(np.int64).clip(0, 65_535) >> 8
        return PIL.Image.fromarray(levels.astype(np.uint8)).convert("RGB")
    if photo.mode == "P" and "transparency" in photo.info:
        # Pillow warns of palettes with transparency unless it is made alpha first.
        return photo.convert("RGBA").convert("RGB")
    return photo.convert("RGB")


def _is_wide(picture: PIL.Image.Image) -> bool:
    """Return whether a picture is grey of 16 bits; Pillow cuts other pictures of 16 bits down as it decodes them."""
    return picture.mode == "I" or picture.mode.startswith("I;16")


def _orientation(picture: PIL.Image.Image) -> int:
    """Return the EXIF orientation 1 to 8; 1 if there is none that can be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = picture.getexif().get(_ORIENTATION)
    except Exception:  # A hostile block can raise anything inside Pillow, and the photo is good without it.
        return 1
    return value if isinstance(value, int) and value in _UPRIGHT else 1


def turned_in_place(path: Path) -> bool:
    """Return whether a photo is mirrored or turned by its EXIF orientation and keeps its size by that.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it is no photo.
    """
    with _opened(path, ("JPEG", "PNG"), None, decode=False) as picture:
        turn = _orientation(picture)
        return turn in _UPRIGHT and (turn < 5 or picture.height == picture.width)


def read_foreground(path: Path, remedy: str | None = None) -> npt.NDArray[np.bool_]:
    """Return where a binary mask is not black: bool (H, W).

    Args:
        path: A PNG of any kind that shows one colour on black: 0 and 1, 0 and 255, a palette, RGB.
        remedy: What to do if it is broken.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it can't be decoded, has transparent pixels, or a third colour (a soft edge, another class).
    """
    with _opened(path, ("PNG",), remedy) as picture:
        if picture.has_transparency_data and np.asarray(picture.convert("RGBA"))[..., 3].min() < IGNORE:
            raise BrokenFileError(f"{path} has transparent pixels, which say neither yes nor no", remedy)
        plain = picture.mode in ("L", "1") or _is_wide(picture)
        pixels = np.asarray(picture if plain else picture.convert("RGB"))
        pixels = pixels.reshape(picture.height, picture.width, -1)
        foreground: npt.NDArray[np.bool_] = np.asarray(pixels.any(axis=2))
        # Selecting by a mask would need 16 bytes a pixel.
        colour = pixels.reshape(foreground.size, -1)[foreground.argmax()]
        if (foreground & (pixels != colour).any(axis=2)).any():
            raise BrokenFileError(f"{path} is no binary mask: it shows more than black and one colour", remedy)
        return foreground


def read_grey(path: Path, remedy: str | None = None) -> Label:
    """Return an image as grey levels (ITU-R 601-2 luma, as Pillow computes it): uint8 (H, W).

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it can't be decoded.
    """
    with _opened(path, ("PNG", "JPEG"), remedy) as picture:
        return np.array(picture.convert("L"), dtype=np.uint8)


def read_colours(path: Path, remedy: str | None = None) -> Image:
    """Return a mask that is coded by colour: RGB uint8 (H, W, 3).

    Args:
        path: A BMP or PNG file; a JPEG would blur the colours.
        remedy: What to do if it is missing or broken.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it can't be decoded.
    """
    with _opened(path, ("BMP", "PNG"), remedy) as picture:
        return np.array(picture.convert("RGB"), dtype=np.uint8)


def read_label(path: Path, class_count: int, *, ignore: bool, remedy: str | None = None) -> Label:
    """Return a label map stored as a palette or grey PNG: uint8 (H, W).

    Args:
        path: The file.
        class_count: The largest class.
        ignore: Whether 255 may occur.
        remedy: What to do if it is missing or broken.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it can't be decoded, is no label map, holds a value that is no class, or was re-indexed.
    """
    with _opened(path, ("PNG",), remedy) as picture:
        if picture.mode not in ("P", "L"):
            raise BrokenFileError(f"{path} is no label map: its pixels are {picture.mode}, not palette or grey", remedy)
        with path.open("rb") as file:
            head = file.read(_BIT_DEPTH + 1)
        label = _values(picture, head)
        labels = {*range(class_count + 1), *([IGNORE] if ignore else [])}
        refuse_reindexed(picture, label, labels, path, remedy)
    check_values(label, class_count, ignore=ignore, where=str(path), remedy=remedy)
    return label


def read_values(
    path: Path, raw: bytes, size: tuple[int, int], remedy: str | None = None, labels: Collection[int] | None = None
) -> npt.NDArray[np.uint8]:
    """Return the values of a palette or grey PNG: uint8 (height, width).

    What is not of that size is not even decoded.

    Args:
        path: What the file is called.
        raw: What it holds.
        size: The (height, width) it has to have.
        remedy: What to do if it is broken.
        labels: The values there may be; None if that is not known, and then nobody sees that it was re-indexed.

    Raises:
        BrokenFileError: If it is no such PNG, truncated, of another size, or was re-indexed.
    """
    with _opened(path, ("PNG",), remedy, raw=raw, decode=False) as picture:
        if picture.mode not in ("P", "L", "1"):
            raise BrokenFileError(f"{path} has pixels that are {picture.mode}, not palette or grey of 8 bits", remedy)
        if (picture.height, picture.width) != size:
            raise BrokenFileError(
                f"{path} has {picture.height} x {picture.width} pixels, not {size[0]} x {size[1]}", remedy
            )
        _decode(picture, path, remedy)
        values = _values(picture, raw)
        if labels is not None:
            refuse_reindexed(picture, values, labels, path, remedy)
        return values


def _values(picture: PIL.Image.Image, head: bytes) -> npt.NDArray[np.uint8]:
    """Return the values that a decoded palette or grey PNG holds, whose file begins with `head`."""
    values = np.array(picture, dtype=np.uint8)
    depth = head[_BIT_DEPTH]
    # Pillow spreads grey of 2 and 4 bits over 0..255.
    return values // (255 // (2**depth - 1)) if picture.mode == "L" and depth in (2, 4) else values


def check_values(label: Label, class_count: int, *, ignore: bool, where: str, remedy: str | None = None) -> None:
    """Refuse a label map that holds a value which is neither 0, a class, nor (where it may occur) 255.

    Raises:
        BrokenFileError: Naming `where` and the first such value.
    """
    counts = value_counts(label)
    if ignore:
        counts[IGNORE] = 0
    wrong = np.flatnonzero(counts[class_count + 1 :])
    if wrong.size:
        value = int(wrong[0]) + class_count + 1
        allowed = f"0 to {class_count}" + (f" or {IGNORE}" if ignore else "")
        raise BrokenFileError(
            f"{where} holds the label {value} ({int(counts[value])} pixels); labels are {allowed}", remedy
        )


def value_counts(label: Label) -> npt.NDArray[np.int64]:
    """Return how many pixels hold each value 0..255: int64 (256,)."""
    return np.bincount(label.ravel(), minlength=256).astype(np.int64)


def size_of(path: Path, remedy: str | None = None, *, upright: bool = False) -> tuple[int, int]:
    """Return (height, width) of an image from its header, without decoding it; `upright` as in `read_photo`.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it is no image.
    """
    with _opened(path, ("JPEG", "PNG", "BMP"), remedy, decode=False) as picture:
        height, width = picture.height, picture.width
        return (width, height) if upright and _orientation(picture) >= 5 else (height, width)


@contextmanager
def _opened(
    path: Path, formats: tuple[str, ...], remedy: str | None, *, decode: bool = True, raw: bytes | None = None
) -> Iterator[PIL.Image.Image]:
    """Yield a decoded image, or raise one of this project's errors: MissingError or BrokenFileError."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of images that it finds too large, which are refused below with one sentence, and of EXIF
            # blocks that are broken, without which the photo is good.
            warnings.simplefilter("ignore")
            if raw is None:
                file_size(path)
            picture = PIL.Image.open(path if raw is None else BytesIO(raw), formats=formats)
    except FileNotFoundError as error:
        raise MissingError(f"there is no file {path}", remedy) from error
    except PIL.UnidentifiedImageError as error:
        raise BrokenFileError(f"{path} is not a {' or '.join(formats)} image", remedy) from error
    except PIL.Image.DecompressionBombError as error:
        raise BrokenFileError(f"{path} claims to be far too large for a photo and is not decoded", remedy) from error
    except Exception as error:  # A hostile header can raise anything inside Pillow.
        raise BrokenFileError(f"can't read {path}: {_reason(error)}", remedy) from error
    with picture:
        if picture.width * picture.height > MAX_PIXELS:
            raise BrokenFileError(
                f"{path} claims {picture.width} x {picture.height} pixels, too many for a photo; it is not decoded",
                remedy,
            )
        if decode:
            _decode(picture, path, remedy)
        yield picture


def _decode(picture: PIL.Image.Image, path: Path, remedy: str | None) -> None:
    try:
        picture.load()
    except Exception as error:  # As above: decoders raise what they like.
        raise BrokenFileError(f"{path} is truncated or broken: {_reason(error)}", remedy) from error


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.splitlines()[0] if text else type(error).__name__
