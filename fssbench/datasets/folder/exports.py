"""Reading the exports of annotation tools whose formats are plain: LabelMe, CVAT for images, Label Studio.

Only polygons are taken. A box is not the outline of an object, and brush masks of Label Studio and CVAT have encodings
of their own: both tools export these as COCO, too. A photo with such a shape is named, so that it is not evaluated as
if the object were background.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote
from xml.parsers import expat

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from fssbench.datasets.folder.coco import annotation_bytes
from fssbench.errors import BrokenFileError
from fssbench.unique_keys import RepeatedKeyError, loads

MAX_BYTES = 512 << 20
"""Larger files are refused. LabelMe's files may have their photo in them."""

_NO_CLASSES = ("__ignore__", "_background_")
"""Labels by which LabelMe's own converters mean 255 and 0; a COCO json can't say that."""

Tool = Literal["LabelMe", "CVAT", "Label Studio"]
Point = tuple[Annotated[float, Field(allow_inf_nan=False)], Annotated[float, Field(allow_inf_nan=False)]]
Label = Annotated[str, Field(min_length=1, max_length=100)]


@dataclass(frozen=True)
class Polygon:
    """A labelled polygon: the vertices (x, y) in pixels."""

    label: str
    points: tuple[Point, ...]


@dataclass
class ExportedPhoto:
    """The shapes of one photo, in the order in which they are painted.

    Attributes:
        file: The name of the photo in the export.
        size: (height, width); None if the export does not have it.
        polygons: The polygons.
        others: The number of other shapes, by kind.
    """

    file: str
    size: tuple[int, int] | None
    polygons: list[Polygon] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)


def read_export(path: Path) -> tuple[Tool, list[ExportedPhoto]] | None:
    """Return the tool and the photos of an export; None if the file is something else, such as a COCO json.

    Raises:
        BrokenFileError: If it is an export, but damaged, or the file can't be read.
    """
    raw = annotation_bytes(path, MAX_BYTES)
    if path.suffix.lower() == ".xml":
        found = _cvat(raw, path)
        return None if found is None else ("CVAT", found)
    try:
        content = loads(raw)
    except RepeatedKeyError as error:
        raise BrokenFileError(f"{path}: {error}", "export it again") from error
    except (ValueError, RecursionError):
        return None
    try:
        if isinstance(content, dict) and {"shapes", "imagePath"} <= content.keys():
            return "LabelMe", [_labelme(_LabelMe.model_validate(content))]
        if isinstance(content, list) and content and isinstance(content[0], dict) and "data" in content[0]:
            return "Label Studio", [_label_studio(task) for task in TypeAdapter(list[_Task]).validate_python(content)]
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise BrokenFileError(f"{path}, {place}: {first['msg']}", "export it again") from error
    return None


class _Shape(BaseModel):
    label: Label
    points: list[Point]
    shape_type: str = "polygon"


class _LabelMe(BaseModel):
    image_path: str = Field(alias="imagePath")
    height: int | None = Field(default=None, alias="imageHeight", ge=1)
    width: int | None = Field(default=None, alias="imageWidth", ge=1)
    shapes: list[_Shape]


def _labelme(content: _LabelMe) -> ExportedPhoto:
    size = None if content.height is None or content.width is None else (content.height, content.width)
    photo = ExportedPhoto(content.image_path, size)
    for shape in content.shapes:
        _add(photo, shape.shape_type, shape.label, shape.points)
    return photo


class _Result(BaseModel):
    type: str
    value: dict[str, Any] = Field(default_factory=dict)
    original_width: int = Field(default=0, ge=0)
    original_height: int = Field(default=0, ge=0)


class _Annotation(BaseModel):
    result: list[_Result] = Field(default_factory=list)
    was_cancelled: bool = False


class _Task(BaseModel):
    data: dict[str, Any]
    annotations: list[_Annotation] = Field(default_factory=list)


class _Value(BaseModel):
    points: list[Point]
    labels: list[Label] = Field(alias="polygonlabels", min_length=1)


def _label_studio(task: _Task) -> ExportedPhoto:
    """Return the shapes of a task: percent of the photo's size, of the first annotation that was not cancelled."""
    texts = [value for value in task.data.values() if isinstance(value, str)]
    file = next((text for text in texts if re.search(r"\.(?:jpe?g|png)$", text, re.IGNORECASE)), "")
    photo = ExportedPhoto(unquote(file.rpartition("?d=")[2]), None)
    annotations = [one for one in task.annotations if not one.was_cancelled]
    if not annotations:
        photo.others["task without an annotation"] += 1
        return photo
    if len(annotations) > 1:
        photo.others["second annotation of a task"] += len(annotations) - 1
    for result in annotations[0].result:
        if result.type != "polygonlabels":
            if result.type.endswith("labels"):
                photo.others[result.type.removesuffix("labels")] += 1
            continue
        value = _Value.model_validate(result.value)
        width, height = result.original_width, result.original_height
        photo.size = (height, width)
        _add(photo, "polygon", value.labels[0], [(x * width / 100, y * height / 100) for x, y in value.points])
    return photo


def _cvat(raw: bytes, path: Path) -> list[ExportedPhoto] | None:
    """Return the photos of CVAT's annotations.xml ("CVAT for images 1.1"); None if it is another XML."""
    photos: list[ExportedPhoto] = []
    waiting: list[tuple[int, str, Mapping[str, str]]] = []
    depth = 0
    known = False

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, known
        known = known or (depth == 0 and tag == "annotations")
        if tag == "track" and depth == 1:
            raise BrokenFileError(f"{path} is an export of a video", "export the task as CVAT for images, or as COCO")
        if tag == "image" and depth == 1:
            size = (int(attributes["height"]), int(attributes["width"]))
            photos.append(ExportedPhoto(attributes["name"], size))
        elif depth == 2 and photos and "label" in attributes:
            waiting.append((int(attributes.get("z_order", "0")), tag, attributes))
        depth += 1

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        if tag == "image" and depth == 1:
            for _, kind, attributes in sorted(waiting, key=lambda one: one[0]):
                pairs = [pair.split(",") for pair in attributes.get("points", "").split(";") if pair]
                points = [(float(x), float(y)) for x, y in pairs] if kind == "polygon" else []
                if kind != "tag":  # a tag is of the whole photo
                    _add(photos[-1], kind, attributes["label"], points)
            waiting.clear()

    def refuse(*_: object) -> None:
        raise BrokenFileError(f"{path} declares a document type, which annotations don't need", "export it again")

    parser = expat.ParserCreate()
    # Entities, which could grow without limit, are declared in a document type.
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        parser.Parse(raw, True)
    except (expat.ExpatError, KeyError, ValueError, OverflowError) as error:
        if isinstance(error, BrokenFileError):
            raise
        raise BrokenFileError(f"{path} is not a whole export of CVAT: {error}", "export it again") from error
    return photos if known else None


def _add(photo: ExportedPhoto, kind: str, label: str, points: list[Point]) -> None:
    """Add a shape to a photo: a polygon of three points or more, or one of the others."""
    if label in _NO_CLASSES:
        photo.others[f"region labelled {label}"] += 1
    elif kind == "polygon" and len(points) > 2:
        photo.polygons.append(Polygon(label, tuple(points)))
    else:
        photo.others[kind if kind != "polygon" else "polygon of less than three points"] += 1
