"""A dataset.toml to begin with, from what is in a folder of own data. Nothing is asked: what is guessed is said."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np

from fssbench.datasets.folder.description import FILE, MAX_CLASSES, draft, name_fault, quoted
from fssbench.datasets.folder.exports import ExportedPhoto, read_export
from fssbench.datasets.folder.files import MASKS, PHOTO_SUFFIXES, PHOTOS, VAL, first_names, images_in, kind_of_masks
from fssbench.datasets.io.images import read_values, size_of
from fssbench.errors import BrokenFileError, FSSBenchError, MissingError, UsageError
from fssbench.label_values import IGNORE
from fssbench.progress import tracked

CONVERTED = "annotations.coco.json"
MAX_FILES = 200_000
PLACES = (".", "annotations", "labels", "labelme", PHOTOS)
"""The folders in which annotations are looked for; below images/ also in its subfolders."""


@dataclass
class Starter:
    """What is written.

    Attributes:
        description: The text of dataset.toml.
        annotations: The text of the COCO json that an export was converted to; None if there is none.
        guesses: Sentences on what was guessed.
    """

    description: str = ""
    annotations: str | None = None
    guesses: list[str] = field(default_factory=list)


def starter_for(root: Path) -> Starter:
    """Return a dataset.toml to begin with for a folder that has photos and masks or annotations.

    Raises:
        UsageError: If there is one already, or the file that an export would be converted to.
        MissingError: If photos are missing, or masks and annotations.
        BrokenFileError: If masks or annotations can't be read.
    """
    if not root.is_dir():
        raise MissingError(f"there is no folder {root}", "--root DIR")
    if (root / FILE).exists():
        raise UsageError(f"{root / FILE} is there already, and is not replaced", f"edit {root / FILE}, or move it away")
    if not (root / PHOTOS).is_dir():
        raise MissingError(f"there is no folder {root / PHOTOS}{_photos_elsewhere(root)}", f"put photos into {PHOTOS}/")
    found = Starter()
    lines = _name(root, found)
    try:
        lines += _masks(root, found) if (root / MASKS).is_dir() else _annotations(root, found)
    except FSSBenchError:
        raise
    except OSError as error:
        raise BrokenFileError(f"can't read {error.filename}: {error.strerror}") from error
    if not (root / VAL).exists():
        found.guesses.append(f"all photos are for evaluation, as there is no {VAL}; all classes are in one fold")
    found.description = "\n".join(lines) + "\n"
    return found


def _photos_elsewhere(root: Path) -> str:
    """Return where photos are, if they are next to where they should be."""
    near = (path for pattern in ("*", "*/*") for path in root.glob(pattern))
    found = next((path for path in islice(near, MAX_FILES) if path.suffix.lower() in PHOTO_SUFFIXES), None)
    return "" if found is None else f"; {found} is a photo in another place"


def _name(root: Path, found: Starter) -> list[str]:
    name = unicodedata.normalize("NFC", root.resolve().name)
    if (fault := name_fault(name)) is not None:
        found.guesses.append(f'no name was made of the folder\'s: {fault}; name = "..." sets the one of tables')
        return []
    found.guesses.append(f"the name {name!r}, under which the data stands in tables, is that of the folder")
    return [f"name = {quoted(name)}"]


def _masks(root: Path, found: Starter) -> list[str]:
    """Return the lines for masks in masks/: indexed ones, or a folder for each class."""
    kind = kind_of_masks(root, None)
    if documents := sorted(path.name for path in root.glob("*.json")):
        found.guesses.append(f"the masks in {MASKS}/ count, not {first_names(documents)}")
    if kind == "binary":
        places = (path for path in (root / MASKS).iterdir() if path.is_dir() and not path.name.startswith("."))
        names = sorted(unicodedata.normalize("NFC", path.name) for path in places)
        found.guesses.append(f"masks are one PNG per class and photo; the classes are the {len(names)} folders there")
        return ['masks = "binary"', *_classes(names, root)]
    values = _values(root, found)
    shown = ", ".join(map(str, values))
    found.guesses.append(
        f"masks are indexed, with the label values {shown}; the names of the classes are yours to write"
    )
    return ['masks = "indexed"', *_classes({value: f"class {value}" for value in values}, root)]


def _values(root: Path, found: Starter) -> list[int]:
    """Return the label values in the readable indexed masks."""
    masks, _, _ = images_in(root / MASKS, frozenset({".png"}))
    values: set[int] = set()
    unreadable = []
    for path in tracked(list(masks.values()), "reading the masks", "masks"):
        try:
            values.update(np.unique(read_values(path, path.read_bytes(), size_of(path))).tolist())
        except (FSSBenchError, OSError):
            unreadable.append(path.name)
    if unreadable:
        found.guesses.append(f"masks that can't be read, and say nothing of classes: {first_names(unreadable)}")
    if IGNORE in values:
        found.guesses.append(f"the value {IGNORE} means ignored")
    return sorted(values - {0, IGNORE})


def _classes(names: Sequence[str] | Mapping[int, str], root: Path) -> list[str]:
    if not names:
        raise MissingError(f"{root} shows no class: no value, folder or category that could be one", "label the photos")
    if len(names) > MAX_CLASSES:
        raise UsageError(f"{root} has {len(names)} classes; label values are 1 to {MAX_CLASSES}")
    return draft(names).splitlines()


def _annotations(root: Path, found: Starter) -> list[str]:
    """Return the lines for annotations: a COCO json as it is, or the export of a tool, which is converted to one."""
    exported: dict[str, list[ExportedPhoto]] = {}
    documents: list[Path] = []
    for path in islice(_documents(root), MAX_FILES):
        export = read_export(path)
        if export is not None:
            exported.setdefault(export[0], []).extend(export[1])
        elif path.suffix.lower() == ".json":
            documents.append(path)
    if exported:
        if len(exported) > 1:
            raise UsageError(f"{root} has exports of {' and '.join(sorted(exported))}", "move one of them away")
        ((tool, photos),) = exported.items()
        return _converted(root, tool, photos, found)
    from fssbench.datasets.folder.coco import parse

    parsed = [(path, document) for path in documents if (document := parse(path)[0]) is not None]
    if not parsed:
        raise MissingError(
            f"{root} has no folder {MASKS}, and no COCO json or export of LabelMe, CVAT or Label Studio",
            f"put masks into {MASKS}/NAME.png or {MASKS}/CLASS/NAME.png, or export annotations as COCO",
        )
    if len(parsed) > 1:
        several = first_names(path.relative_to(root).as_posix() for path, _ in parsed)
        raise UsageError(f"{root} has several COCO jsons: {several}", "move all but one away")
    path, document = parsed[0]
    used = {annotation.category_id for annotation in document.annotations}
    names = sorted({unicodedata.normalize("NFC", one.name) for one in document.categories if one.id in used})
    found.guesses.append(
        f"masks are those of {path.name}; its {len(names)} categories with annotations are the classes"
    )
    return ['masks = "coco"', f"annotations = {quoted(path.relative_to(root).as_posix())}", *_classes(names, root)]


def _documents(root: Path) -> Iterator[Path]:
    """Yield the json and xml files in the places where tools put annotations."""
    for place in PLACES:
        pattern = "**/*" if place == PHOTOS else "*"
        for path in sorted((root / place).glob(pattern)):
            if path.suffix.lower() in (".json", ".xml") and path.is_file() and not path.name.startswith("."):
                yield path


def _converted(root: Path, tool: str, exported: Sequence[ExportedPhoto], found: Starter) -> list[str]:
    """Convert an export to a COCO json of polygons, and return the lines that name it."""
    if (root / CONVERTED).exists():
        raise UsageError(f"{root / CONVERTED} is there already, and is not replaced", f"move {CONVERTED} away")
    photos, _, _ = images_in(root / PHOTOS, PHOTO_SUFFIXES)
    matched: dict[str, ExportedPhoto] = {}
    lost: list[str] = []
    others: Counter[str] = Counter()
    for one in exported:
        name = _match(one.file, photos)
        if name is None:
            lost.append(one.file or "a task without a photo")
        elif name in matched:
            raise UsageError(f"the export has two sets of shapes for {photos[name]}", "remove one of them")
        else:
            matched[name] = one
            others += one.others
    if others:
        kinds = ", ".join(f"{kind} ({count})" for kind, count in sorted(others.items()))
        unused = [name for name, one in matched.items() if one.others]
        found.guesses.append(
            f"only polygons are taken; photos with other shapes are left out, {kinds}: {first_names(sorted(unused))}"
        )
        matched = {name: one for name, one in matched.items() if not one.others}
    if lost:
        found.guesses.append(f"annotations of photos that are not in {PHOTOS}/ are left out: {first_names(lost)}")
    if missing := sorted(set(photos) - set(matched)):
        found.guesses.append(f"photos without annotations have to be annotated or moved away: {first_names(missing)}")
    names = sorted({unicodedata.normalize("NFC", p.label) for one in matched.values() for p in one.polygons})
    lines = ['masks = "coco"', f"annotations = {quoted(CONVERTED)}", *_classes(names, root)]
    found.annotations = json.dumps(_document(matched, photos, names))
    found.guesses.insert(
        0, f"masks are the polygons of {tool}, as {CONVERTED}; the classes are its {len(names)} labels"
    )
    return lines


def _match(file: str, photos: Mapping[str, Path]) -> str | None:
    """Return the name of the photo that an export means: by path, by file name, or without the prefix of an upload."""
    path = PurePosixPath(unicodedata.normalize("NFC", file.replace("\\", "/")))
    if not path.name:
        return None
    parts = path.parts[1:] if path.parts[:1] == (PHOTOS,) else path.parts
    whole = PurePosixPath(*parts).with_suffix("").as_posix() if parts else ""
    if whole in photos:
        return whole
    for name in (path.stem, re.sub(r"^[0-9a-f]{8}-", "", path.stem)):
        if len(found := [one for one in photos if PurePosixPath(one).name == name]) == 1:
            return found[0]
    return None


def _document(matched: Mapping[str, ExportedPhoto], photos: Mapping[str, Path], names: Sequence[str]) -> object:
    """Return a COCO document: polygons in the order of painting, categories in the order of the names."""
    numbers = {name: number for number, name in enumerate(names, 1)}
    images, annotations = [], []
    for image_id, (name, one) in enumerate(sorted(matched.items()), 1):
        height, width = one.size or size_of(photos[name], upright=True)
        file = f"{name}{photos[name].suffix}"
        images.append({"id": image_id, "file_name": file, "height": height, "width": width})
        annotations += [
            {
                "id": 0,
                "image_id": image_id,
                "category_id": numbers[unicodedata.normalize("NFC", polygon.label)],
                "segmentation": [[number for point in polygon.points for number in point]],
                "iscrowd": 0,
            }
            for polygon in one.polygons
        ]
    annotations = [{**one, "id": number} for number, one in enumerate(annotations, 1)]
    categories = [{"id": number, "name": name} for name, number in numbers.items()]
    return {"images": images, "annotations": annotations, "categories": categories}
