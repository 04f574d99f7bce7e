"""Finding the photos and masks of own data, and pairing them. Nothing is decoded."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fssbench.datasets.folder.description import Description, Fault, Kind
from fssbench.files import file_size

PHOTOS, MASKS, VAL = "images", "masks", "val.txt"
PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
OTHER_IMAGES = frozenset(
    {".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jxl", ".pgm", ".ppm", ".tif", ".tiff", ".webp"}
)
MAX_NAME = 300
MAX_LIST_BYTES = 64 << 20

# Characters that are not allowed in the file of an episode list: fssbench/episode/schema.py.
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\\:\ud800-\udfff]")


@dataclass(frozen=True)
class Files:
    """The files of a folder.

    Attributes:
        photos: The photos by image name, sorted. A name is the path in images/ without its suffix, in Unicode's
            composed form, so that it is the same on every machine.
        kind: The kind of the masks.
        masks: The masks, by class name ("" for indexed masks) and image name.
        annotations: The COCO json.
        val: The image names in val.txt, which are for evaluation; None without that file.
        notes: Information that is no error.
    """

    photos: Mapping[str, Path]
    kind: Kind
    masks: Mapping[str, Mapping[str, Path]] = field(default_factory=dict)
    annotations: Path | None = None
    val: frozenset[str] | None = None
    notes: tuple[str, ...] = ()


def find_files(root: Path, description: Description | None) -> tuple[Files, list[Fault]]:
    """Return the files in `root`, and all their faults.

    Args:
        root: The folder with images/, and masks/ or a COCO json.
        description: The content of dataset.toml; None if it can't be read, and then classes are not compared.

    Raises:
        OSError: If a folder can't be read.
    """
    photos, faults, notes = images_in(root / PHOTOS, PHOTO_SUFFIXES)
    if not (root / PHOTOS).is_dir():
        faults.append(Fault(f"there is no folder {root / PHOTOS}", f"put the photos into {root / PHOTOS}"))
    elif not photos and not faults:
        faults.append(Fault(f"{root / PHOTOS} holds no photo", "put JPEG or PNG files there"))
    kind, annotations, found = _kind(root, description)
    faults += found
    masks: dict[str, Mapping[str, Path]] = {}
    if kind != "coco" and not found:
        masks, found, more = _masks(root, kind, description)
        faults += [*found, *_unpaired(root, photos, masks, kind)]
        notes += more
    val, found = _val(root, photos)
    return Files(photos, kind, masks, annotations, val, tuple(notes)), [*faults, *found]


def image_name(path: Path, folder: Path) -> str:
    """Return the name of an image: its path in `folder` without the suffix, in Unicode's composed form."""
    return unicodedata.normalize("NFC", path.relative_to(folder).with_suffix("").as_posix())


def images_in(folder: Path, suffixes: frozenset[str]) -> tuple[dict[str, Path], list[Fault], list[str]]:
    """Return the images of a folder by name, their faults, and a note about files that are skipped."""
    found: dict[str, Path] = {}
    faults: list[Fault] = []
    others: list[str] = []
    for path in _walk(folder):
        suffix = path.suffix.lower()
        if suffix not in suffixes:
            if suffix in OTHER_IMAGES | PHOTO_SUFFIXES:
                kinds = "PNG" if ".jpg" not in suffixes else "JPEG or PNG"
                faults.append(Fault(f"{path} is not {kinds}", f"convert what is in {folder} to {kinds}"))
            else:
                others.append(path.name)
            continue
        name = image_name(path, folder)
        if _UNUSABLE.search(name) or len(name) > MAX_NAME:
            shown = str(path).encode("utf-8", "backslashreplace").decode()
            faults.append(
                Fault(
                    f"the name of {shown!r} is not allowed in an episode list",
                    f"rename it: no control character, backslash or colon, valid UTF-8, at most {MAX_NAME} characters",
                )
            )
        elif name in found:
            faults.append(Fault(f"{path} and {found[name]} have the same name, '{name}'", "rename one of each two"))
        else:
            found[name] = path
    notes = [f"{len(others)} other files in {folder} are skipped: {first_names(others)}"] if others else []
    return dict(sorted(found.items())), faults, notes


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and its subfolders, each folder once; links are followed, hidden files skipped."""
    seen: set[str] = set()
    if not folder.is_dir():
        return
    for place, folders, files in os.walk(folder, onerror=_give_up, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place) / name for name in sorted(files) if not name.startswith("."))


def _give_up(error: OSError) -> None:
    # os.walk would skip an unreadable folder, and its photos would be missing without a message.
    raise error


def first_names(names: Iterable[str], shown: int = 5) -> str:
    """Return names separated by commas; only the first ones if there are many."""
    every = list(names)
    return ", ".join(every[:shown]) + (f" and {len(every) - shown} more" if len(every) > shown else "")


def _kind(root: Path, description: Description | None) -> tuple[Kind, Path | None, list[Fault]]:
    """Return the kind of the masks, from dataset.toml or from the files, and the path of the COCO json."""
    chosen = description.masks if description else None
    documents = sorted(path for path in root.glob("*.json") if path.is_file())
    if description and description.annotations and chosen in (None, "coco"):
        path = root / description.annotations
        if path.is_file():
            return "coco", path, []
        return "coco", None, [Fault(f"there is no file {path}", f"put it there, or edit {root / 'dataset.toml'}")]
    has_masks = (root / MASKS).is_dir()
    if chosen == "coco" or (chosen is None and documents and not has_masks):
        if len(documents) == 1:
            return "coco", documents[0], []
        names = first_names(path.name for path in documents)
        what = f"there is no COCO json in {root}" if not documents else f"{root} holds several json files: {names}"
        return "coco", None, [Fault(what, f"put one COCO json into {root}, next to {PHOTOS}/")]
    if chosen is None and documents:
        return (
            "indexed",
            None,
            [
                Fault(
                    f"{root} has both {MASKS}/ and {documents[0].name}",
                    'set in dataset.toml which is used: masks = "coco", "indexed" or "binary"',
                )
            ],
        )
    if not has_masks:
        return (
            "indexed",
            None,
            [
                Fault(
                    f"there is no folder {root / MASKS}, and no COCO json",
                    f"put indexed masks into {MASKS}/NAME.png or binary ones into {MASKS}/CLASS/NAME.png; or a COCO "
                    f"json into {root}",
                )
            ],
        )
    return chosen or kind_of_masks(root, description), None, []


def kind_of_masks(root: Path, description: Description | None) -> Kind:
    """Return whether masks/ has indexed masks, or a folder for each class."""
    places = [path for path in (root / MASKS).iterdir() if not path.name.startswith(".")]
    folders = {unicodedata.normalize("NFC", path.name) for path in places if path.is_dir()}
    if any(path.is_file() and path.suffix.lower() == ".png" for path in places):
        return "indexed"
    # With indexed masks, photos may be in subfolders, and the masks in subfolders of the same names.
    own = {unicodedata.normalize("NFC", path.name) for path in (root / PHOTOS).glob("*") if path.is_dir()}
    classes = set(description.classes.values()) if description else folders
    return "binary" if folders & classes or (folders and not folders <= own) else "indexed"


def _masks(
    root: Path, kind: Kind, description: Description | None
) -> tuple[dict[str, Mapping[str, Path]], list[Fault], list[str]]:
    folder = root / MASKS
    png = frozenset({".png"})
    if kind == "indexed":
        found, faults, notes = images_in(folder, png)
        return {"": found}, faults, notes
    masks: dict[str, Mapping[str, Path]] = {}
    faults, notes = [], []
    for place in sorted(path for path in folder.iterdir() if not path.name.startswith(".")):
        name = unicodedata.normalize("NFC", place.name)
        if not place.is_dir():
            faults.append(
                Fault(f"{place} is not in the folder of a class", f"binary masks are {folder}/CLASS/NAME.png")
            )
            continue
        if description is not None and name not in description.classes.values():
            known = ", ".join(description.classes.values())
            faults.append(
                Fault(
                    f"{place} does not have the name of a class; the classes are {known}",
                    "add the class to [classes] of dataset.toml, or rename or remove the folder",
                )
            )
        masks[name], found_faults, more = images_in(place, png)
        faults += found_faults
        notes += more
    return masks, faults, notes


def _unpaired(
    root: Path, photos: Mapping[str, Path], masks: Mapping[str, Mapping[str, Path]], kind: Kind
) -> Iterator[Fault]:
    masked = {name for found in masks.values() for name in found}
    where = f"{MASKS}/NAME.png" if kind == "indexed" else f"{MASKS}/CLASS/NAME.png"
    for name, path in photos.items():
        if name not in masked:
            yield Fault(
                f"{path} has no mask",
                f"add {where} for each, all 0 for a photo without a class; or move the photo out of {PHOTOS}/",
            )
    for found in masks.values():
        for name, path in found.items():
            if name not in photos:
                yield Fault(
                    f"{path} is a mask without a photo",
                    f"put the photo of that name into {root / PHOTOS}, or move the mask out of {MASKS}/",
                )


def _val(root: Path, photos: Mapping[str, Path]) -> tuple[frozenset[str] | None, list[Fault]]:
    path = root / VAL
    try:
        if file_size(path) > MAX_LIST_BYTES:
            return None, [Fault(f"{path} is too large for a list of photos", f"edit {path}")]
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        return None, []
    except (OSError, UnicodeDecodeError) as error:
        return None, [Fault(f"can't read {path}: {error}", f"edit {path}")]
    names = set()
    faults = []
    for number, line in enumerate(lines, 1):
        written = unicodedata.normalize("NFC", line.strip())
        if not written:
            continue
        stem, _, suffix = written.rpartition(".")
        name = stem if f".{suffix.lower()}" in PHOTO_SUFFIXES and written not in photos else written
        if name in photos:
            names.add(name)
        else:
            faults.append(
                Fault(
                    f"{path}, line {number}: there is no photo {written[:80]!r}",
                    f"edit {path}: it has the name of a photo per line",
                )
            )
    if not names and not faults:
        faults.append(Fault(f"{path} names no photo", f"edit {path}, or remove it: then all photos are used"))
    return frozenset(names), faults
