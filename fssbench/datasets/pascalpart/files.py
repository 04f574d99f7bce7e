"""The prepared files of PASCAL-Part: which photos show which part, and the parts of each photo."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from fssbench.datasets.objects.masks import Box, CompressedMask
from fssbench.errors import BrokenFileError, MissingError
from fssbench.files import file_size, without_mark
from fssbench.unique_keys import refuse_repeated

T = TypeVar("T")

LISTS = "all_obj_part_to_image.json"
ANNOTATIONS = "Annotations_Part_json_merged_part_classes"
PHOTOS = "JPEGImages"

MAX_BYTES = 64 << 20
"""Larger files are refused."""


def _photo(name: str) -> str:
    if not re.fullmatch(r"[0-9]{4}_[0-9]{6}", name):
        raise ValueError("not the name of a photo of VOC")
    return name


def _word(name: str) -> str:
    if not re.fullmatch(r"\w[\w -]*", name) or len(name) > 100:
        raise ValueError("not the name of an object or a part")
    return name


Photo = Annotated[str, AfterValidator(_photo)]
Word = Annotated[str, AfterValidator(_word)]


@dataclass(frozen=True, slots=True)
class PartLists:
    """The photos that show a part of an object, in the order of the release."""

    train: list[Photo]
    val: list[Photo]


@dataclass(frozen=True, slots=True)
class _Object:
    part: dict[Word, PartLists]


@dataclass(frozen=True, slots=True)
class _Category:
    object: dict[Word, _Object]


@dataclass(frozen=True, slots=True)
class Part:
    """One annotated part of an object."""

    name: str
    mask: list[CompressedMask]


Edge = Annotated[int | str | float, Field(union_mode="left_to_right")]


@dataclass(frozen=True, slots=True)
class AnnotatedObject:
    """One object of a photo: class, box and parts."""

    name: str
    bndbox: Annotated[dict[str, Edge], Field(min_length=4, max_length=4)]
    parts: list[Part]

    @property
    def box(self) -> Box:
        """The box, its edges in the order of the file, as the releases take them (xmin, ymin, xmax, ymax)."""
        left, top, right, bottom = (int(edge) for edge in self.bndbox.values())
        return Box(left, top, right, bottom)


@dataclass(frozen=True, slots=True)
class _Annotation:
    object: list[AnnotatedObject]


def read_lists(path: Path, remedy: str) -> dict[str, dict[tuple[str, str], PartLists]]:
    """Return the lists of each (object, part), in the order of the file, by category (animals, ...).

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it is truncated, or has something else.
    """
    found = _read(path, TypeAdapter(dict[str, _Category]), remedy)
    return {
        category: {(name, part): lists for name, one in content.object.items() for part, lists in one.part.items()}
        for category, content in found.items()
    }


def read_objects(path: Path, remedy: str) -> list[AnnotatedObject]:
    """Return the objects of a photo, in the order of its file.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it is truncated, or has something else.
    """
    objects = _read(path, TypeAdapter(_Annotation), remedy).object
    for one in objects:
        try:
            _ = one.box
        except (ValueError, OverflowError) as error:
            raise BrokenFileError(f"{path} has a box whose edges are not whole numbers", remedy) from error
    return objects


def _read(path: Path, schema: TypeAdapter[T], remedy: str) -> T:
    try:
        if file_size(path) > MAX_BYTES:
            raise BrokenFileError(f"{path} is too large for annotations of PASCAL-Part", remedy)
        raw = without_mark(path.read_bytes())
        found = schema.validate_json(raw)
    except FileNotFoundError as error:
        raise MissingError(f"there is no file {path}", remedy) from error
    except OSError as error:
        raise BrokenFileError(f"can't read {path}: {error.strerror}", remedy) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"][:5]))
        raise BrokenFileError(
            f"{path} is truncated or no file of PASCAL-Part{f' ({where})' if where else ''}: {first['msg']}", remedy
        ) from error
    refuse_repeated(raw, path, remedy)
    return found
