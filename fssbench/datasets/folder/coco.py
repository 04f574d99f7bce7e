"""Label maps of own data from a COCO json: outlines or run lengths, painted in the order of their ids.

Later annotations are painted over earlier ones, and crowds are background, as in COCO-20i. Outlines are filled by
COCO's own rasteriser.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, TypeAdapter, ValidationError

from fssbench.datasets.coco20i.labels import MAX_BYTES, Instance, Outlines, check_length, mask_of
from fssbench.datasets.folder.description import Fault
from fssbench.datasets.folder.files import PHOTOS, first_names
from fssbench.datasets.folder.run_lengths import SIZE, RunLengths, decoded
from fssbench.errors import BrokenFileError
from fssbench.files import file_size, without_mark
from fssbench.unique_keys import refuse_repeated

NO_PIXEL = (
    "draw such an object again, as an outline of three points or more in the photo, or remove it from the json; "
    "a box [x, y, width, height] is not an outline"
)
SHOWN_ERRORS = 20


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotation of the file."""

    id: int
    image_id: int | str
    category_id: int
    segmentation: Annotated[Outlines | RunLengths, Field(union_mode="left_to_right")]
    iscrowd: Literal[0, 1] = 0


@dataclass(frozen=True, slots=True)
class _Image:
    id: int | str
    file_name: Annotated[str, Field(min_length=1, max_length=1000)]
    height: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(ge=1)]


@dataclass(frozen=True, slots=True)
class _Category:
    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Document:
    """The part of a COCO json that is read."""

    images: list[_Image]
    annotations: list[Annotation]
    categories: list[_Category]


@dataclass(frozen=True, slots=True)
class AnnotatedPhoto:
    """The annotations of one photo.

    Attributes:
        size: (height, width).
        painted: Label values and annotations, in the order of painting.
        crowds: Label values and annotations of crowds, which are not painted.
    """

    size: tuple[int, int]
    painted: tuple[tuple[int, Annotation], ...]
    crowds: tuple[tuple[int, Annotation], ...] = ()


def read_annotations(
    path: Path, classes: Mapping[int, str] | None, photos: Mapping[str, Path]
) -> tuple[dict[str, AnnotatedPhoto], list[Fault], list[str]]:
    """Return the annotations of each photo in a COCO json, all faults of the file, and the names of its categories.

    Args:
        path: The file.
        classes: Name of each label value; None if they are not known, and then nothing is painted.
        photos: The paths of the photos, by image name.
    """
    document, faults = parse(path)
    if document is None:
        return {}, faults, []
    used = {annotation.category_id for annotation in document.annotations}
    names = {category.id: unicodedata.normalize("NFC", category.name) for category in document.categories}
    images, found = _images(document, photos, path)
    faults += [*found, *_foreign(document, path, names)]
    if classes is None:
        return {}, faults, list(names.values())
    values = {name: class_id for class_id, name in classes.items()}
    faults += [
        Fault(
            f"{path}: the category {names[number][:80]!r} is not a class of dataset.toml",
            "add the class to [classes] of dataset.toml, or remove its annotations from the json",
        )
        for number in sorted(used & set(names))
        if names[number] not in values
    ]
    of_photo: dict[int | str, list[tuple[int, Annotation]]] = {}
    crowds: dict[int | str, list[tuple[int, Annotation]]] = {}
    for annotation in sorted(document.annotations, key=lambda annotation: annotation.id):
        value = values.get(names.get(annotation.category_id, ""))
        if value is not None:
            kind = crowds if annotation.iscrowd else of_photo
            kind.setdefault(annotation.image_id, []).append((value, annotation))
    return (
        {
            name: AnnotatedPhoto(
                (image.height, image.width), tuple(of_photo.get(image.id, ())), tuple(crowds.get(image.id, ()))
            )
            for name, image in images.items()
        },
        faults,
        list(names.values()),
    )


def paint(
    annotated: AnnotatedPhoto, photo: Path, size: tuple[int, int], *, every_object: bool = False
) -> npt.NDArray[np.uint8]:
    """Return the label map of a photo: uint8 (height, width), 0 and label values.

    Args:
        annotated: The annotations.
        photo: The photo, for messages.
        size: (height, width) of the photo.
        every_object: Whether each annotation must have a pixel.

    Raises:
        BrokenFileError: If the json has another size, a mask is invalid or has no pixel although it must, or outlines
            are too long.
    """
    if annotated.size != size:
        raise BrokenFileError(
            f"{photo} has {size[1]} x {size[0]} pixels, in the json {annotated.size[1]} x {annotated.size[0]}", SIZE
        )
    shapes = [annotation.segmentation for _, annotation in annotated.painted]
    outlines = (outline for shape in shapes if not isinstance(shape, RunLengths) for outline in shape)
    check_length(outlines, *size, str(photo))
    label = np.zeros(size, dtype=np.uint8)
    for value, annotation in annotated.painted:
        mask = mask_in(annotation, photo, size)
        if every_object and not mask.any():
            raise BrokenFileError(f"no pixel of {photo} belongs to annotation {annotation.id} of the json", NO_PIXEL)
        label[mask] = value
    return label


def mask_in(annotation: Annotation, photo: Path, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return the mask of an annotation in a photo of `size` (height, width): bool (height, width).

    Raises:
        BrokenFileError: If its run lengths do not fit the photo.
    """
    if isinstance(annotation.segmentation, RunLengths):
        return decoded(annotation.segmentation, size, f"annotation {annotation.id} of {photo}")
    return mask_of(Instance(annotation.id, 0, tuple(annotation.segmentation)), *size)


def annotation_bytes(path: Path, most: int = MAX_BYTES) -> bytes:
    """Return the content of a file of annotations.

    Args:
        path: The file.
        most: A larger file is refused; bytes.

    Raises:
        BrokenFileError: If it can't be read, or is too large.
    """
    try:
        if file_size(path) > most:
            raise BrokenFileError(
                f"{path} is too large for annotations", f"name another file; {most >> 20} MiB are read"
            )
        return without_mark(path.read_bytes())
    except OSError as error:
        raise BrokenFileError(
            f"can't read {path}: {error.strerror}", f"make {path} readable, or name another"
        ) from error


def parse(path: Path) -> tuple[Document | None, list[Fault]]:
    """Return the content of a COCO json, or None with its faults."""
    try:
        return parsed(annotation_bytes(path), path)
    except BrokenFileError as error:
        return None, [Fault(error.message, error.remedy or _export_again(path))]


def _export_again(path: Path) -> str:
    return f"export {path.name} again as COCO's instance annotations"


def parsed(raw: bytes, path: Path) -> tuple[Document | None, list[Fault]]:
    """Return the content of a COCO json, or None with its faults.

    Args:
        raw: The content of the file.
        path: The file, for messages.
    """
    remedy = _export_again(path)
    try:
        document = TypeAdapter(Document).validate_json(raw)
        refuse_repeated(raw, path, remedy)
    except BrokenFileError as error:
        return None, [Fault(error.message, remedy)]
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False, include_context=False)
    else:
        return document, []
    # An invalid polygon is also invalid as run lengths: one message per annotation is enough.
    messages = {".".join(map(str, one["loc"][:3])): one["msg"] for one in reversed(errors)}
    faults = [
        Fault(f"{path} is not a COCO json{f' ({place})' if place else ''}: {message}", remedy)
        for place, message in sorted(messages.items())
    ]
    more = len(faults) - SHOWN_ERRORS
    return None, faults[:SHOWN_ERRORS] + ([Fault(f"{path}: and {more} more of the kind", remedy)] if more > 0 else [])


def _images(document: Document, photos: Mapping[str, Path], path: Path) -> tuple[dict[str, _Image], list[Fault]]:
    """Return the images of the file by image name, and the faults of those that do not match the photos."""
    found: dict[str, _Image] = {}
    faults = []
    for image in document.images:
        # Some tools include the folder in the name, others do not.
        file = PurePosixPath(image.file_name.replace("\\", "/"))
        parts = file.parts[1:] if file.parts[:1] == (PHOTOS,) else file.parts
        name = unicodedata.normalize("NFC", PurePosixPath(*parts).with_suffix("").as_posix()) if parts else ""
        if name in found:
            faults.append(
                Fault(f"{path} has two images with the name {name[:80]!r}", "remove one of each two from the json")
            )
        elif name in photos:
            found[name] = image
        else:
            faults.append(
                Fault(
                    f"{path}: there is no photo {image.file_name[:80]!r}",
                    f"put the photo into {PHOTOS}/, or remove it from the json",
                )
            )
    faults += [
        Fault(f"{photo} is not in {path.name}", f"annotate it, or move it out of {PHOTOS}/")
        for name, photo in photos.items()
        if name not in found
    ]
    return found, faults


def _foreign(document: Document, path: Path, names: Mapping[int, str]) -> Iterator[Fault]:
    """Yield the contradictions in the file: unknown images and categories of annotations, repeated ids."""
    ids = [image.id for image in document.images]
    repeated = {
        "images": len(ids) - len(set(ids)),
        "annotations": len(document.annotations) - len({annotation.id for annotation in document.annotations}),
        "categories": len(document.categories) - len(names),
    }
    remedy = f"export {path.name} again; it contradicts itself"
    yield from (
        Fault(f"{path}: {count} {what} have the id of another one", remedy) for what, count in repeated.items() if count
    )
    known = set(ids)
    for what, wrong in (
        ("image", [annotation.id for annotation in document.annotations if annotation.image_id not in known]),
        ("category", [annotation.id for annotation in document.annotations if annotation.category_id not in names]),
        (
            "outline",
            [
                annotation.id
                for annotation in document.annotations
                if not annotation.iscrowd and annotation.segmentation == []
            ],
        ),
    ):
        if wrong:
            numbers = first_names(map(str, wrong))
            yield Fault(
                f"{path}: {len(wrong)} annotations have no {what} that is in the file, with the ids {numbers}", remedy
            )
