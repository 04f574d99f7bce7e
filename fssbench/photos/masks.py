"""The mask of a support as a person names it: a PNG, a value of it, a COCO json, a box, or points.

- `a.png`: black and one colour or value; or a cut-out, whose transparent pixels are background
- `a.png:15`: the pixels of one value of a label map; 255 is the ignore region
- `a.png:128-255`: a range of values, for a grey mask with a soft edge
- `a.png:#ff0000`: one colour
- `a.json`, `a.json:dog`: a COCO json, the objects of the photo or those of one category; or {"segmentation": ...} alone
- `box:X0,Y0,X1,Y1`: a box in pixels of the photo; several with ";" between
- `points:X,Y;X,Y`: points on the object, for methods that take them
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated

import numpy as np
import numpy.typing as npt
import PIL.Image
from pydantic import Field, TypeAdapter, ValidationError

from fssbench.datasets.coco20i.labels import Outlines
from fssbench.datasets.folder.coco import AnnotatedPhoto, Annotation, annotation_bytes, paint, parsed
from fssbench.datasets.folder.run_lengths import RunLengths
from fssbench.datasets.io.images import opened
from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.label_values import IGNORE
from fssbench.unique_keys import refuse_repeated

Mask = npt.NDArray[np.uint8]
"""uint8 (H, W): 1 for the object, 0 for the background, 255 for what is neither."""

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_VALUES = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,6}(?:\.\d{1,6})?", re.ASCII)
_SHOWN = 6


@dataclass(frozen=True)
class Pointed:
    """An object that is pointed at.

    Attributes:
        size: (height, width) of the photo.
        points: (x, y) of points on the object in pixels of the photo.
        boxes: (left, top, right, bottom) of boxes around it, in pixels; there are points or boxes.
    """

    size: tuple[int, int]
    points: tuple[tuple[float, float], ...] = ()
    boxes: tuple[tuple[int, int, int, int], ...] = ()

    @property
    def filled(self) -> Mask:
        """The mask of all pixels in its boxes."""
        mask = np.zeros(self.size, dtype=np.uint8)
        for left, top, right, bottom in self.boxes:
            mask[top:bottom, left:right] = 1
        return mask


def read_mask(text: str, photo: Path, size: tuple[int, int], stored: tuple[int, int]) -> Mask | Pointed:
    """Return the mask of an object in a photo, or how it is pointed at.

    Args:
        text: How it was named; see above.
        photo: The photo.
        size: (height, width) of the photo as viewers show it.
        stored: (height, width) of the photo as it is stored, before its EXIF orientation.

    Raises:
        UsageError: If it is named in a way that is not known, or a box or a point is outside the photo.
        MissingError: If there is no such file.
        BrokenFileError: If it is no mask of this photo, or has no pixel.
    """
    kind, _, rest = text.partition(":")
    if kind == "box" and not Path(text).exists():
        return _boxes(rest, size)
    if kind == "points" and not Path(text).exists():
        return _points(rest, size)
    path, chosen = _parts(text)
    if path.suffix.lower() == ".json":
        mask = _of_json(path, chosen, photo, size)
    else:
        mask = _of_image(path, chosen)
        check_size(mask, str(path), str(photo), size, stored)
    check_not_empty(mask, text)
    return mask


def check_size(mask: Mask, where: str, photo: str, size: tuple[int, int], stored: tuple[int, int]) -> None:
    """Refuse a mask of another size than its photo; sizes are (height, width).

    Raises:
        BrokenFileError: With both sizes.
    """
    if mask.shape == size:
        return
    turned = mask.shape == stored
    raise BrokenFileError(
        f"{where} has {mask.shape[1]} x {mask.shape[0]} pixels, {photo} has {size[1]} x {size[0]}"
        + (": the photo is turned by its EXIF orientation, the mask is not" if turned else ""),
        "save the mask at the size of its photo, as viewers show it",
    )


def check_not_empty(mask: Mask, where: str) -> None:
    """Refuse a mask without a pixel of the object.

    Raises:
        BrokenFileError: Naming it.
    """
    if not (mask == 1).any():
        raise BrokenFileError(f"no pixel of {where} is the object", "draw the object, or name another mask")


def object_in(values: npt.NDArray[np.int64], where: str) -> Mask:
    """Return the mask in an image with one value besides 0; 255 next to another value is the ignore region.

    Args:
        values: int64 (H, W).
        where: The image, for the message.

    Raises:
        BrokenFileError: If there are several values.
    """
    found = [int(value) for value in np.unique(values) if value]
    objects = [value for value in found if value != IGNORE] or found
    if len(objects) > 1:
        raise BrokenFileError(
            f"{where} has {len(objects)} values besides 0: {_listed(map(str, objects))}",
            f"name the object's: {where}:{objects[0]}, or a range for a soft edge: {where}:128-255",
        )
    return _chosen(values, objects[0] if objects else 1)


def _chosen(values: npt.NDArray[np.int64], first: int, last: int | None = None) -> Mask:
    inside = (values >= first) & (values <= (first if last is None else last))
    mask: Mask = inside.astype(np.uint8)
    if last is None and first != IGNORE:
        mask[values == IGNORE] = IGNORE
    return mask


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    return ", ".join(found[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")


def _parts(text: str) -> tuple[Path, str]:
    """Return the file and what is chosen in it; a file whose name has a colon comes first."""
    path = Path(text)
    if path.exists() or ":" not in text:
        return path, ""
    file, _, chosen = text.rpartition(":")
    if not file or not chosen:
        raise UsageError(f"'{text}' names no mask", "--mask a.png, or --mask a.png:15")
    return Path(file), chosen


def _of_image(path: Path, chosen: str) -> Mask:
    with opened(path, ("PNG", "JPEG", "BMP"), "--mask FILE.png, FILE.json or box:X0,Y0,X1,Y1") as image:
        return mask_of_image(image, str(path), chosen)


def mask_of_image(image: PIL.Image.Image, where: str, chosen: str = "") -> Mask:
    """Return the mask in an image: what is opaque in a cut-out, or else its one value or colour, or a named one.

    Args:
        image: The image.
        where: What it is called in messages.
        chosen: A value, a range of values or a colour; empty for the only one.

    Raises:
        UsageError: If `chosen` is none of these.
        BrokenFileError: If nothing is chosen and there are several values or colours.
    """
    if not chosen and image.has_transparency_data:
        opaque = np.asarray(image.convert("RGBA"))[..., 3] >= 128
        if not opaque.all():
            return opaque.astype(np.uint8)
    if _COLOUR.fullmatch(chosen):
        return _of_colour(np.asarray(image.convert("RGB")), chosen)
    if image.mode not in ("L", "1", "P") and not image.mode.startswith("I"):
        image = _grey_or_colour(image)
        if image.mode == "RGB":
            return _only_colour(np.asarray(image), where)
    values = np.asarray(image).astype(np.int64)
    if not chosen:
        return object_in(values, where)
    found = _VALUES.fullmatch(chosen)
    if found is None:
        raise UsageError(
            f"'{chosen}' is no value of {where}", f"--mask {where}:15, {where}:128-255 for a range, {where}:#ff0000"
        )
    return _chosen(values, int(found[1]), None if found[2] is None else int(found[2]))


def _grey_or_colour(image: PIL.Image.Image) -> PIL.Image.Image:
    """Return an image as RGB, or as grey if it has no colours."""
    colours = np.asarray(image.convert("RGB"))
    grey = bool((colours == colours[..., :1]).all())
    return PIL.Image.fromarray(np.ascontiguousarray(colours[..., 0]) if grey else colours)


def _of_colour(colours: npt.NDArray[np.uint8], chosen: str) -> Mask:
    wanted = np.array([int(chosen[at : at + 2], 16) for at in (1, 3, 5)], dtype=np.uint8)
    inside: npt.NDArray[np.bool_] = np.asarray((colours == wanted).all(axis=2))
    return inside.astype(np.uint8)


def _only_colour(colours: npt.NDArray[np.uint8], where: str) -> Mask:
    packed = colours.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
    found = [f"#{value:06x}" for value in np.unique(packed) if value]
    if len(found) > 1:
        raise BrokenFileError(
            f"{where} has {len(found)} colours besides black: {_listed(found)}",
            f"name the object's: {where}:{found[0]}",
        )
    inside: npt.NDArray[np.bool_] = np.asarray(packed > 0)
    return inside.astype(np.uint8)


@dataclass(frozen=True)
class _Object:
    """What a json of one object, or of several, has to have."""

    segmentation: Annotated[Outlines | RunLengths, Field(union_mode="left_to_right")]


def _of_json(path: Path, chosen: str, photo: Path, size: tuple[int, int]) -> Mask:
    if not path.exists():
        raise MissingError(f"there is no file {path}", "--mask FILE.png or FILE.json")
    raw = annotation_bytes(path)
    refuse_repeated(raw, path)
    annotations, size_there = _objects_alone(raw), size
    if annotations is None:
        annotations, size_there = _of_photo(raw, path, chosen, photo)
    elif chosen:
        raise UsageError(f"{path} holds one object without a category", f"--mask {path}")
    return paint(AnnotatedPhoto(size_there, tuple((1, one) for one in annotations)), photo, size)


def _objects_alone(raw: bytes) -> list[Annotation] | None:
    """Return the objects of a json that is no COCO json but one annotation or a list of them; None if it is not."""
    try:
        found = TypeAdapter(_Object | list[_Object]).validate_json(raw)
    except ValidationError:
        return None
    objects = found if isinstance(found, list) else [found]
    return [Annotation(number, 0, 0, one.segmentation) for number, one in enumerate(objects)]


def _of_photo(raw: bytes, path: Path, chosen: str, photo: Path) -> tuple[list[Annotation], tuple[int, int]]:
    """Return the annotations of a photo in a COCO json, of one category if it is named, and its (height, width)."""
    document, faults = parsed(raw, path)
    if document is None:
        raise BrokenFileError(faults[0].text, faults[0].remedy)
    image = next((one for one in document.images if _same_name(one.file_name, photo)), None)
    if image is None:
        raise BrokenFileError(
            f"{path} has no image {photo.name}; its images: {_listed([one.file_name[:80] for one in document.images])}",
            "name the json of this photo",
        )
    names = {category.id: category.name for category in document.categories}
    here = [one for one in document.annotations if one.image_id == image.id and not one.iscrowd]
    categories = sorted({names.get(one.category_id, str(one.category_id)) for one in here})
    if chosen:
        wanted = unicodedata.normalize("NFC", chosen)
        here = [one for one in here if unicodedata.normalize("NFC", names.get(one.category_id, "")) == wanted]
        if not here:
            raise BrokenFileError(
                f"{path} has no object '{chosen}' in {photo.name}; it has {_listed(categories) or 'none'}",
                f"--mask {path}:CATEGORY",
            )
    elif len(categories) > 1:
        raise BrokenFileError(
            f"{path} has objects of {len(categories)} categories in {photo.name}: {_listed(categories)}",
            f"name one: {path}:{categories[0]}",
        )
    return here, (image.height, image.width)


def _same_name(name: str, photo: Path) -> bool:
    """Return whether an image of a json is the photo: the names agree, whatever folder the json says."""
    ours, theirs = photo.name, PurePosixPath(name.replace("\\", "/")).name
    return unicodedata.normalize("NFC", ours) == unicodedata.normalize("NFC", theirs)


def _boxes(text: str, size: tuple[int, int]) -> Pointed:
    boxes = []
    height, width = size
    for box in text.split(";"):
        found = _numbers(box, 4, "box:X0,Y0,X1,Y1")
        x0, y0, x1, y1 = (round(number) for number in found)
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise UsageError(
                f"the box {box.strip()} is not in the photo of {width} x {height} pixels",
                f"box:X0,Y0,X1,Y1 with 0 <= X0 < X1 <= {width} and 0 <= Y0 < Y1 <= {height}",
            )
        boxes.append((x0, y0, x1, y1))
    return Pointed(size, boxes=tuple(boxes))


def _points(text: str, size: tuple[int, int]) -> Pointed:
    height, width = size
    positions = []
    for point in text.split(";"):
        x, y = _numbers(point, 2, "points:X,Y;X,Y")
        if not (0 <= x < width and 0 <= y < height):
            raise UsageError(f"the point {point.strip()} is not in the photo of {width} x {height} pixels")
        positions.append((x, y))
    return Pointed(size, points=tuple(positions))


def _numbers(text: str, count: int, form: str) -> list[float]:
    found = [part.strip() for part in text.split(",")]
    if len(found) != count or not all(_NUMBER.fullmatch(part) for part in found):
        raise UsageError(f"'{text}' is not {count} numbers of pixels", f"--mask {form}")
    return [float(part) for part in found]
