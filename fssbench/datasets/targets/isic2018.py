"""ISIC 2018 (Codella et al.; Tschandl et al.) as in PATNet's evaluation (slei109/PATNet@0155c5f, data/isic.py).

These are the training images of task 1: skin lesions of three classes. A mask shows the lesion, and the class belongs
to the image.
"""

from __future__ import annotations

import csv
import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from fssbench.datasets.dataset import Label
from fssbench.datasets.io.images import read_grey, size_of
from fssbench.datasets.targets.target import FOREGROUND, TargetDataset
from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.files import file_size
from fssbench.progress import tracked

PHOTOS = "ISIC2018_Task1-2_Training_Input"
MASKS = "ISIC2018_Task1_Training_GroundTruth"
CLASSES = "class_id.csv"
MAX_BYTES = 16 << 20
"""Larger files are refused; PATNet's list of classes has 60 kB."""

_LIST_REMEDY = "copy data/isic/class_id.csv from slei109/PATNet on GitHub to that path"


@dataclass(frozen=True)
class ListFacts:
    """The facts about class_id.csv in isic2018.toml: its names of the classes 1, 2, 3, and the hash of PATNet's."""

    names: tuple[str, ...]
    sha256: str


@cache
def list_facts() -> ListFacts:
    """Read the facts about class_id.csv from isic2018.toml."""
    with Path(__file__).with_suffix(".toml").open("rb") as file:
        raw = tomllib.load(file)
    return ListFacts(tuple(raw["csv_names"]), raw["csv_sha256"])


def read_classes(path: Path) -> dict[str, int]:
    """Read the class 1..3 of each image from a file with the columns ID and Class.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If the file is invalid, or names another class.
    """
    try:
        if file_size(path) > MAX_BYTES:
            raise BrokenFileError(f"{path} is too large for a list of classes", _LIST_REMEDY)
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise MissingError(f"there is no {path}: it has the classes of the images of isic2018", _LIST_REMEDY) from error
    except (OSError, UnicodeDecodeError) as error:
        raise BrokenFileError(f"can't read {path}: {error}", _LIST_REMEDY) from error
    reader = csv.DictReader(lines)
    if not {"ID", "Class"} <= set(reader.fieldnames or ()):
        raise BrokenFileError(f"{path} has no columns ID and Class", _LIST_REMEDY)
    names = list_facts().names
    classes = {}
    for number, row in enumerate(reader, 2):
        if row["Class"] not in names:
            raise BrokenFileError(f"{path}, line {number}: '{row['Class']}' is not a class of isic2018", _LIST_REMEDY)
        classes[row["ID"]] = names.index(row["Class"]) + 1
    return classes


class Isic2018(TargetDataset):
    """ISIC/ISIC2018_Task1-2_Training_Input/NAME.jpg and ISIC/ISIC2018_Task1_Training_GroundTruth/NAME_segmentation.png.

    If photos are in the folders 1, 2, 3 (as in PATNet's loader), the folder is the class. Otherwise the class is that
    in PATNet's class_id.csv, which must be in the folder ISIC.
    """

    name = "isic2018"

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        if not (root / PHOTOS).is_dir():
            raise MissingError(
                f"{root} has no folder {PHOTOS}",
                f"put {PHOTOS} and {MASKS} of ISIC 2018 (task 1, training) there, or give another --root",
            )

    @property
    def rule(self) -> str:
        """The lesion is where grey is at least half of the range; with a hash of the classes of all images."""
        pairs = "".join(f"{name} {class_id}\n" for name, (class_id, _) in self._listed.items())
        return f"grey >= {FOREGROUND}; classes {hashlib.sha256(pairs.encode('utf-8', 'surrogateescape')).hexdigest()}"

    @property
    def list_order(self) -> str:
        """By name; the text says where the classes come from."""
        if self._by_folder:
            return "canonical (by name), classes by folder"
        own = hashlib.sha256((self.root / CLASSES).read_bytes()).hexdigest() == list_facts().sha256
        return f"canonical (by name), classes {'by PATNet' if own else 'of another list than PATNet'}"

    @property
    def parts(self) -> Mapping[str, int]:
        """The number of all images, and of the images of each class."""
        classes = [class_id for class_id, _ in self._listed.values()]
        return {"all": len(classes), **{name: classes.count(c) for c, name in self.class_names.items()}}

    def mask_files(self) -> list[Path]:
        """Return the masks of all photos."""
        return [self.mask_path(name) for name in self._listed]

    def labels(self) -> Iterator[tuple[str, Label]]:
        """Yield the name and the label map of each image, sorted by name."""
        for name in tracked(list(self._listed), "reading the masks", "masks"):
            yield name, self.label(name)

    def label(self, name: str) -> Label:
        """Return the label map: uint8 (H, W), the class of the image where the mask's grey level is 128 or higher."""
        class_id = self._entry(name)[0]
        lesion = read_grey(self.mask_path(name), self.remedy) >= FOREGROUND
        return np.where(lesion, np.uint8(class_id), np.uint8(0))

    def image_size(self, name: str) -> tuple[int, int]:
        """Return (height, width) from the header of the mask."""
        return size_of(self.mask_path(name), self.remedy)

    def photo_path(self, name: str) -> Path:
        """Return the path of the photo, in the folder of its class if there is one."""
        return self._entry(name)[1]

    def mask_path(self, name: str) -> Path:
        """Return NAME_segmentation.png."""
        return self.root / MASKS / f"{name}_segmentation.png"

    def _entry(self, name: str) -> tuple[int, Path]:
        if name not in self._listed:
            raise UsageError(f"'{name}' is not an image of isic2018 in {self.root}", self.check_command)
        return self._listed[name]

    @property
    def _by_folder(self) -> bool:
        return any((self.root / PHOTOS / str(class_id)).is_dir() for class_id in self.class_names)

    @cached_property
    def _listed(self) -> dict[str, tuple[int, Path]]:
        """Class and photo of each image, by name."""
        folder = self.root / PHOTOS
        if self._by_folder:
            found = [
                (path.stem, (class_id, path))
                for class_id in self.class_names
                for path in (folder / str(class_id)).glob("*.jpg")
            ]
        else:
            classes = read_classes(self.root / CLASSES)
            found = [(path.stem, (classes[path.stem], path)) for path in folder.glob("*.jpg") if path.stem in classes]
        if not found:
            raise MissingError(
                f"{folder} has no photo NAME.jpg whose class is known",
                "unpack ISIC 2018 there, or give another --root",
            )
        return dict(sorted(found))
