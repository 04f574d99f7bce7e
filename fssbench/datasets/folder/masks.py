"""Label maps of own data from indexed masks, or from one binary mask per class."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fssbench.datasets.io.images import MAX_PIXELS, read_foreground, read_values, size_of, value_counts
from fssbench.errors import BrokenFileError, MissingError
from fssbench.files import file_size
from fssbench.label_values import IGNORE

Size = tuple[int, int]

FORMAT = "save masks as palette or grey PNG of 8 bits, whose values are the label values of dataset.toml"
BINARY = "save binary masks as PNG with hard edges: black, and one colour for the class"
SIZE = (
    "save each mask at the size of its photo, as viewers show it; if masks fit the photos as they are stored, without "
    'their EXIF orientation, set exif = "stored" in dataset.toml'
)
VALUES = "add these label values to [classes] of dataset.toml, or correct the masks"
OVERLAP = "each pixel must have one class: remove the overlap from one of each two masks"


def read_indexed(path: Path, photo: Path, size: Size, classes: Collection[int]) -> npt.NDArray[np.uint8]:
    """Return an indexed mask as a label map: uint8 (height, width), 0, values of `classes`, and 255.

    Args:
        path: A palette or grey PNG with up to 8 bits.
        photo: The photo, for messages.
        size: (height, width) of the photo.
        classes: The possible label values.

    Raises:
        MissingError: If the file does not exist.
        BrokenFileError: If it can't be decoded, has another size, or has another value.
    """
    _check_size(path, photo, size)
    label = read_values(path, _content(path), size, FORMAT, (0, IGNORE, *classes))
    counts = value_counts(label)
    wrong = [value for value in np.flatnonzero(counts).tolist() if value not in (0, IGNORE, *classes)]
    if wrong:
        found = ", ".join(f"{value} ({counts[value]} pixels)" for value in wrong[:5])
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise BrokenFileError(f"{path} has values that are not classes: {found}{more}", VALUES)
    return label


def read_binary(masks: Mapping[int, Path], photo: Path, size: Size, names: Mapping[int, str]) -> npt.NDArray[np.uint8]:
    """Return the binary masks of one photo as a label map: uint8 (height, width), 0 and label values.

    Args:
        masks: The masks, by label value.
        photo: The photo, for messages.
        size: (height, width) of the photo.
        names: The names of the classes, for messages.

    Raises:
        MissingError: If a mask does not exist.
        BrokenFileError: If a mask can't be decoded or has another size, or if two masks overlap.
    """
    label = np.zeros(size, dtype=np.uint8)
    for class_id, path in sorted(masks.items()):
        _check_size(path, photo, size)
        foreground = read_foreground(path, BINARY)
        taken = value_counts(label[foreground])
        others = np.flatnonzero(taken[1:])
        if others.size:
            other = int(others[0]) + 1
            raise BrokenFileError(
                f"the masks of {photo} overlap: {taken[other]} pixels are both {names[other]} and {names[class_id]}",
                OVERLAP,
            )
        label[foreground] = class_id
    return label


def _check_size(path: Path, photo: Path, size: Size) -> None:
    found = size_of(path, FORMAT)
    if found != size:
        turned = ", turned by its EXIF orientation" if size_of(photo) != size else ""
        raise BrokenFileError(
            f"{path} has {found[1]} x {found[0]} pixels, its photo {photo.name} {size[1]} x {size[0]}{turned}", SIZE
        )


def _content(path: Path) -> bytes:
    try:
        if file_size(path) > 2 * MAX_PIXELS:
            raise BrokenFileError(f"{path} is too large for a mask", FORMAT)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise MissingError(f"there is no file {path}") from error
    except OSError as error:
        raise BrokenFileError(f"can't read {path}: {error.strerror}", FORMAT) from error
