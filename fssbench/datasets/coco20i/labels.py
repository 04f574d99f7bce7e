"""COCO's instance annotations, and the label maps that are painted from them.

There are three rules. All paint the non-crowd annotations sorted by id, each over the earlier ones:

- "hsnet": every polygon by OpenCV's fillPoly (edges included), with vertices truncated to whole pixels. This rule gives
  HSNet's lists and masks.
- "pycocotools": every annotation by COCO's own rasteriser.
- "large": as "pycocotools", but only annotations whose area is at least 2048 (FSSDINO).
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, Field, PlainValidator, TypeAdapter, ValidationError

from fssbench.datasets.coco20i.facts import ListSplit, facts, image_name
from fssbench.datasets.io.images import MAX_PIXELS
from fssbench.errors import BrokenFileError, MissingError
from fssbench.files import file_size, without_mark
from fssbench.unique_keys import refuse_repeated

PaintRule = Literal["hsnet", "pycocotools", "large"]

LARGE = 2048.0
"""Area of an annotation (2 * 32 * 32 pixels) from which it is large."""

MAX_BYTES = 2 << 30
"""Larger files are refused; instances_train2014.json has 0.45 GB."""

MAX_COORDINATE = 65_536
"""Vertices beyond this are refused: they are outside any photo, and rasterisers would take very long."""

MAX_LENGTH = 1 << 22
"""Largest length, in pixels, of the outlines of an object. pycocotools needs 40 bytes per pixel, and crashes without
memory."""

MOST_LENGTH = 8
"""Largest length of all outlines of an image, as a multiple of its number of pixels; `MAX_LENGTH` is always allowed."""

Vertices = npt.NDArray[np.float64]
"""A polygon (n, 2): x and y in pixels."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One non-crowd annotation.

    Attributes:
        annotation_id: The id, which decides the order of painting.
        class_id: Label value 1..80.
        polygons: The outlines.
        area: Its area in pixels, as the file states it; None if it does not.
        place: Its place in the file.
    """

    annotation_id: int
    class_id: int
    polygons: tuple[Vertices, ...]
    area: float | None = None
    place: int = 0


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """The annotations of an image: its size, its instances in the order of painting, and the classes of its crowds."""

    image_id: int
    file_name: str
    height: int
    width: int
    instances: tuple[Instance, ...]
    crowds: frozenset[int] = frozenset()


def read_annotations(path: Path, remedy: str) -> dict[int, AnnotatedImage]:
    """Read an instances_*.json file; the result is sorted by image id.

    Args:
        path: The file.
        remedy: What to do if it is missing or broken.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it is truncated, or is not COCO's instance annotations.
    """
    document = _parse(path, remedy)
    class_ids = {category: number for number, category in enumerate(facts().category_ids, 1)}
    for what, ids in (("image", document.images), ("annotation", document.annotations)):
        repeated = [number for number, count in Counter(one.id for one in ids).items() if count > 1]
        if repeated:
            raise BrokenFileError(f"{path} has several of the {what} id {repeated[0]}", remedy)
    images = {image.id: image for image in document.images}
    for image in document.images:
        if image.height * image.width > MAX_PIXELS:
            raise BrokenFileError(f"{path}: image {image.id} claims {image.width} x {image.height} pixels", remedy)
    instances: dict[int, list[Instance]] = {image_id: [] for image_id in images}
    crowds: dict[int, set[int]] = {}
    for place, annotation in enumerate(document.annotations):
        if annotation.iscrowd:
            if annotation.category_id in class_ids:
                crowds.setdefault(annotation.image_id, set()).add(class_ids[annotation.category_id])
            continue
        problem = _problem(annotation, class_ids, images)
        if problem:
            raise BrokenFileError(f"{path}: annotation {annotation.id} {problem}", remedy)
        polygons = annotation.segmentation if isinstance(annotation.segmentation, list) else []
        class_id = class_ids[annotation.category_id]
        instances[annotation.image_id].append(
            Instance(annotation.id, class_id, tuple(polygons), annotation.area, place)
        )
    return {
        image_id: AnnotatedImage(
            image_id,
            images[image_id].file_name,
            images[image_id].height,
            images[image_id].width,
            tuple(sorted(instances[image_id], key=lambda instance: instance.annotation_id)),
            frozenset(crowds.get(image_id, ())),
        )
        for image_id in sorted(images)
    }


def check_split(images: Mapping[int, AnnotatedImage], split: ListSplit, path: Path) -> None:
    """Refuse a file whose image names are not those of the split in COCO 2014.

    Raises:
        BrokenFileError: With the first such image.
    """
    for image in images.values():
        expected = Path(image_name(split, image.image_id)).name
        if image.file_name != expected:
            raise BrokenFileError(
                f"{path} names image {image.image_id} {image.file_name[:60]!r}, not {expected}: "
                f"these are not the annotations of COCO 2014 {split}",
                "put COCO 2014's own file there; a file of COCO 2017 keeps its own name",
            )


def paint(image: AnnotatedImage, rule: PaintRule) -> npt.NDArray[np.uint8]:
    """Return the label map of an image: uint8 (H, W), 0 or 1..80; crowds are background.

    Raises:
        BrokenFileError: If its outlines are too long.
    """
    outlines = (polygon for instance in image.instances for polygon in instance.polygons)
    check_length(outlines, image.height, image.width, f"image {image.image_id} ({image.file_name[:60]!r})")
    label = np.zeros((image.height, image.width), dtype=np.uint8)
    for instance in image.instances:
        if rule == "hsnet":
            _fill(label, instance)
        elif rule == "pycocotools" or is_large(instance):
            label[mask_of(instance, image.height, image.width)] = instance.class_id
    return label


def is_large(instance: Instance) -> bool:
    """Return whether the area of an annotation is at least 2048.

    Raises:
        BrokenFileError: If the file does not state its area.
    """
    if instance.area is None:
        raise BrokenFileError(
            f"annotation {instance.annotation_id} has no area", "use COCO's own file, which states it, or other labels"
        )
    return instance.area >= LARGE


def _fill(label: npt.NDArray[np.uint8], instance: Instance) -> None:
    import cv2

    for polygon in instance.polygons:
        cv2.fillPoly(label, [polygon.astype(np.int32)], color=instance.class_id)


def mask_of(instance: Instance, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Return the mask of an annotation's polygons, by COCO's own rasteriser: bool (height, width).

    Outlines of two points are left out: pycocotools would take them for the corner and the size of a box, or fail.
    """
    from pycocotools import mask as coco_mask

    outlines = [polygon.ravel().tolist() for polygon in instance.polygons if len(polygon) > 2]
    if not outlines:
        return np.zeros((height, width), dtype=np.bool_)
    merged = coco_mask.merge(coco_mask.frPyObjects(outlines, height, width))
    with warnings.catch_warnings():
        # pycocotools returns arrays in a way that NumPy 2 deprecates; the result is right.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        return np.asarray(coco_mask.decode(merged), dtype=np.bool_)


def vertices(value: object) -> Vertices:
    """Convert a flat list x0, y0, x1, ... to vertices.

    Raises:
        ValueError: If it is not such a list.
    """
    flat = np.asarray(value) if isinstance(value, list) else np.empty(0, dtype=object)
    if flat.ndim != 1 or flat.dtype.kind not in "if" or flat.size < 4 or flat.size % 2:
        raise ValueError("a polygon is a list of x0, y0, x1, y1, ...")
    if not (np.abs(flat) <= MAX_COORDINATE).all():
        raise ValueError("a polygon has a vertex far outside any photo")
    return flat.astype(np.float64).reshape(-1, 2)


def length_of(polygon: Vertices) -> float:
    """Return the number of pixels along the closed outline of a polygon."""
    # A line is as long as its longer extent: one point is drawn for each pixel of it.
    return float(np.abs(polygon - np.roll(polygon, 1, axis=0)).max(axis=1).sum())


def check_length(outlines: Iterable[Vertices], height: int, width: int, where: str) -> None:
    """Refuse the outlines of an image if all of them together would take a rasteriser very long.

    Args:
        outlines: All outlines of the image.
        height: Height of the image.
        width: Width of the image.
        where: The image, for the message.

    Raises:
        BrokenFileError: If they are far longer than an image of this size can need.
    """
    length = sum(map(length_of, outlines))
    if length > max(MAX_LENGTH, MOST_LENGTH * height * width):
        raise BrokenFileError(
            f"the outlines of {where} are {length:.0f} pixels long, the image has {width} x {height}",
            "annotate it again; outlines go around objects in the image",
        )


def bounded(polygons: list[Vertices]) -> list[Vertices]:
    """Return the outlines of an object.

    Raises:
        ValueError: If they are so long together that a rasteriser would take very long.
    """
    if sum(map(length_of, polygons)) > MAX_LENGTH:
        raise ValueError(f"its outlines are longer than {MAX_LENGTH} pixels")
    return polygons


Outlines = Annotated[list[Annotated[Vertices, PlainValidator(vertices)]], AfterValidator(bounded)]


@dataclass(frozen=True, slots=True)
class _Image:
    id: Annotated[int, Field(ge=0, lt=10**12)]
    file_name: str
    height: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(ge=1)]


@dataclass(frozen=True, slots=True)
class _Annotation:
    id: int
    image_id: int
    category_id: int
    iscrowd: Literal[0, 1]
    # Crowds are run lengths, and are not painted.
    segmentation: Annotated[Outlines | dict[str, object], Field(union_mode="left_to_right")]
    area: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


@dataclass(frozen=True, slots=True)
class _Document:
    images: list[_Image]
    annotations: list[_Annotation]


def _parse(path: Path, remedy: str) -> _Document:
    try:
        if file_size(path) > MAX_BYTES:
            raise BrokenFileError(f"{path} is too large for COCO's instance annotations", remedy)
        raw = without_mark(path.read_bytes())
    except FileNotFoundError as error:
        raise MissingError(f"there is no file {path}", remedy) from error
    except OSError as error:
        raise BrokenFileError(f"can't read {path}: {error.strerror}", remedy) from error
    try:
        document = TypeAdapter(_Document).validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"][:3])
        raise BrokenFileError(
            f"{path} is truncated or no instance annotations{f' ({where})' if where else ''}: {first['msg']}", remedy
        ) from error
    refuse_repeated(raw, path, remedy)
    return document


def _problem(annotation: _Annotation, class_ids: dict[int, int], images: dict[int, _Image]) -> str | None:
    """Return why an annotation can't be painted; None if it can."""
    if annotation.category_id not in class_ids:
        return f"has the category {annotation.category_id}, which is none of COCO's 80"
    if annotation.image_id not in images:
        return f"is of the image {annotation.image_id}, which is not in the file"
    if not isinstance(annotation.segmentation, list):
        return "is not a crowd, but its mask is in run lengths; COCO's own are polygons"
    return None
