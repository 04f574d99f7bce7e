"""Photos and masks as Python has them: paths, PIL images, arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.ImageOps

from fssbench.datasets.dataset import Image
from fssbench.datasets.io.images import MAX_PIXELS, read_photo, size_of
from fssbench.errors import UsageError
from fssbench.photos.masks import Mask, Pointed, check_not_empty, check_size, mask_of_image, object_in, read_mask

PhotoLike = str | Path | PIL.Image.Image | npt.NDArray[Any]
MaskLike = str | Path | PIL.Image.Image | npt.NDArray[Any]

_CHANNELS = (1, 3, 4)
"""Channels of an array: grey, RGB, RGBA."""


@dataclass(frozen=True)
class Photo:
    """A photo, upright.

    Attributes:
        pixels: RGB uint8 (H, W, 3).
        stored: (height, width) before it was turned by its EXIF orientation.
        path: Its file; None if it has none.
    """

    pixels: Image
    stored: tuple[int, int]
    path: Path | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.pixels.shape[0], self.pixels.shape[1]


def photo_from(source: PhotoLike) -> Photo:
    """Return a photo: read from its file, or converted; photos are turned by their EXIF orientation.

    Raises:
        UsageError: If it is no photo.
        MissingError: If its file does not exist.
        BrokenFileError: If its file is damaged.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        return Photo(read_photo(path, upright=True), size_of(path), path)
    if isinstance(source, PIL.Image.Image):
        upright = PIL.ImageOps.exif_transpose(source).convert("RGB")
        return Photo(np.array(upright, dtype=np.uint8), (source.height, source.width))
    pixels = np.asarray(source)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[2] not in _CHANNELS or pixels.dtype != np.uint8 or pixels.size == 0:
        shape = tuple(np.shape(source))
        raise UsageError(
            f"a photo is uint8 (H, W, 3), (H, W, 4) or (H, W), not {pixels.dtype} {shape}",
            "of an image in 0..1 give (255 * image).round().astype('uint8')" if pixels.dtype.kind == "f" else None,
        )
    if pixels.size > 4 * MAX_PIXELS:
        raise UsageError(f"a photo has at most {MAX_PIXELS} pixels, not {pixels.shape[0]} x {pixels.shape[1]}")
    # As PIL converts: grey is repeated, transparency is dropped.
    pixels = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[..., :3]
    return Photo(np.ascontiguousarray(pixels), (pixels.shape[0], pixels.shape[1]))


def mask_from(source: MaskLike, photo: Photo) -> Mask | Pointed:
    """Return the mask of an object in a photo, uint8 (H, W) of 1, 0 and 255; or how it is pointed at.

    Raises:
        UsageError: If it is no mask.
        MissingError: If its file does not exist.
        BrokenFileError: If its file is damaged, it is empty or has another size than the photo.
    """
    where = "the photo" if photo.path is None else str(photo.path)
    if isinstance(source, str | Path):
        return read_mask(str(source), photo.path or Path(where), photo.size, photo.stored)
    if isinstance(source, PIL.Image.Image):
        mask = mask_of_image(source, "the mask")
        check_size(mask, "the mask", where, photo.size, photo.stored)
        check_not_empty(mask, "the mask")
        return mask
    values = np.asarray(source)
    if values.ndim != 2 or values.dtype.kind not in ("b", "i", "u"):
        raise UsageError(f"a mask is bool or integer (H, W), not {values.dtype} {values.shape}")
    mask = object_in(values.astype(np.int64), "the mask")
    check_size(mask, "the mask", where, photo.size, photo.stored)
    check_not_empty(mask, "the mask")
    return mask
