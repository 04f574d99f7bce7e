"""A folder of own data: images/, masks/ or a COCO json, and dataset.toml with class names and folds.

docs/own-data.md describes the layout. Lists are sorted by name. val.txt selects the photos for evaluation; without it
all photos are in both splits, which is enough for evaluation but not for training.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from fssbench.datasets.dataset import Dataset, Image, Label, Split, check_command
from fssbench.datasets.folder.description import FILE, Description, Fault, draft, read_description
from fssbench.datasets.folder.files import VAL, Files, find_files
from fssbench.datasets.folder.masks import read_binary, read_indexed
from fssbench.datasets.io.images import read_photo, size_of, value_counts
from fssbench.datasets.io.index_cache import cached_index, fingerprint_of, frame_of, key_of
from fssbench.datasets.io.label_maps import label_hash
from fssbench.datasets.roots import require_root
from fssbench.errors import BrokenFileError, FSSBenchError, MissingError, UsageError
from fssbench.progress import tracked

if TYPE_CHECKING:
    import pandas as pd

    from fssbench.datasets.folder.coco import AnnotatedPhoto

CANONICAL = "canonical (by name)"


@dataclass(frozen=True)
class Contents:
    """The content of a folder, before anything is decoded.

    Attributes:
        root: The folder.
        description: The content of dataset.toml; None if it can't be read.
        files: Photos and masks.
        annotated: The annotations of the COCO json, by image name; None if masks are files.
        categories: The names of the categories of the COCO json.
        faults: Everything that is wrong.
    """

    root: Path
    description: Description | None
    files: Files
    annotated: Mapping[str, AnnotatedPhoto] | None
    categories: tuple[str, ...]
    faults: tuple[Fault, ...]


def survey(root: Path) -> Contents:
    """Return the content of a folder and everything that is wrong with it; no image is decoded.

    Raises:
        BrokenFileError: If a folder in it can't be read at all.
    """
    description, faults = read_description(root)
    try:
        files, found = find_files(root, description)
    except OSError as error:
        raise BrokenFileError(
            f"can't read {error.filename}: {error.strerror}", "ls -l shows its permissions"
        ) from error
    faults += found
    annotated: dict[str, AnnotatedPhoto] | None = None
    categories: list[str] = []
    if files.annotations is not None:
        from fssbench.datasets.folder.coco import read_annotations

        classes = description.classes if description else None
        annotated, found, categories = read_annotations(files.annotations, classes, files.photos)
        faults += found
    return Contents(root, description, files, annotated, tuple(categories), tuple(faults))


def draft_for(contents: Contents, values: Iterable[int]) -> str:
    """Return a draft of dataset.toml.

    Args:
        contents: The folder.
        values: The label values in the indexed masks.
    """
    if contents.files.annotations is not None:
        return draft(contents.categories)
    if contents.files.kind == "binary":
        return draft(sorted(contents.files.masks))
    return draft({value: f"class {value}" for value in values})


class Folder(Dataset):
    """Own images/NAME.jpg with masks/NAME.png, masks/CLASS/NAME.png or a COCO json; names have no suffix.

    Args:
        contents: A folder without faults.
    """

    name = "folder"
    has_ignore = True
    exact_index = True
    root: Path

    def __init__(self, contents: Contents) -> None:
        if contents.description is None or contents.faults:
            raise ValueError("a folder with faults")
        self.root = contents.root
        self.contents = contents
        self.description = contents.description
        self.given_name = self.description.name
        self.files = contents.files
        self.fold_count = len(self.description.folds)
        self._fingerprints: dict[Split, str] = {}

    @classmethod
    def open(cls, root: Path | None = None, **options: object) -> Self:
        """Open the folder `root` (or own-data in it), or the configured one; there are no options.

        Raises:
            MissingError: If there is no folder.
            BrokenFileError: If it has faults; with the first one and the number of the others.
        """
        cls.refuse_options(options)
        contents = survey(require_root(cls.name, root))
        if contents.faults:
            first, others = contents.faults[0], len(contents.faults) - 1
            more = f"; and {others} more: {check_command(cls.name, contents.root)}" if others else ""
            raise BrokenFileError(first.text, f"{first.remedy}{more}")
        return cls(contents)

    @property
    def class_names(self) -> Mapping[int, str]:
        """The names in dataset.toml."""
        return self.description.classes

    def split_fingerprint(self, split: Split) -> str:
        """Return the hex sha256 of one split: description, all label maps of the split, lists in order."""
        self._check_split(split)
        if split not in self._fingerprints:
            index = self._index_of(split)
            seen = index.drop_duplicates("name").sort_values("name")
            maps = zip(seen["name"], seen["digest"].tolist(), strict=True)
            rule = {
                "dataset": self.name,
                "side": split,
                "order": self.list_order,
                "classes": json.dumps(dict(self.class_names)),
                "folds": json.dumps(self.description.folds),
                "min_pixels": str(self.description.min_pixels),
                "exif": self.description.exif,
                "label maps": hashlib.sha256(json.dumps(list(maps)).encode("ascii")).hexdigest(),
            }
            pairs = self._listed(split)
            lists = zip(pairs["name"], pairs["class_id"].tolist(), strict=True)
            self._fingerprints[split] = fingerprint_of(rule, index, lists)
        return self._fingerprints[split]

    @cached_property
    def remarks(self) -> tuple[str, ...]:
        """What the COCO json has that is not painted, such as crowds."""
        if self.contents.annotated is None or self.files.annotations is None:
            return ()
        from fssbench.datasets.folder.objects import written_notes

        return tuple(written_notes(self.files.annotations, self.contents.annotated, self.class_names))

    @property
    def list_order(self) -> str:
        """By name."""
        return CANONICAL

    def fold_classes(self, fold: int, split: Split = "val") -> tuple[int, ...]:
        """Return the classes of the fold in dataset.toml for "val", all others for "train"."""
        self._check_split(split)
        novel = self.description.folds[self.check_fold(fold)]
        return novel if split == "val" else tuple(c for c in self.class_names if c not in novel)

    def index(self, split: Split) -> pd.DataFrame:
        """Return `name`, `class_id`, `pixels` of every class in every photo of the split, by name and class."""
        self._check_split(split)
        return self._index_of(split)[["name", "class_id", "pixels"]].reset_index(drop=True)

    def entries(self, fold: int, split: Split = "val") -> pd.DataFrame:
        """Return the pairs with at least `min_pixels`: "val" sorted by name and class, "train" by class and name."""
        return self.entries_of(self.fold_classes(fold, split), split)

    def entries_of(self, classes: Collection[int], split: Split) -> pd.DataFrame:
        """Return the pairs of some classes, of any fold, in the order of `entries`."""
        pairs = self._listed(split)
        return pairs[pairs["class_id"].isin(list(classes))].reset_index(drop=True)

    def image(self, name: str) -> Image:
        """Return the photo, upright unless dataset.toml says otherwise."""
        return read_photo(self.photo_path(name), self.check_command, upright=self._upright)

    def photo_path(self, name: str) -> Path:
        """Return the path of the photo.

        Raises:
            MissingError: If there is no photo of that name.
        """
        if name not in self.files.photos:
            raise MissingError(f"{self.root} has no photo '{name}'", self.check_command)
        return self.files.photos[name]

    def label(self, name: str) -> Label:
        """Return the label map of a photo: uint8 (H, W), at the photo's own size."""
        return self._label(name)

    def _label(self, name: str, *, every_object: bool = False) -> Label:
        photo, size = self.photo_path(name), self.image_size(name)
        if self.contents.annotated is not None:
            from fssbench.datasets.folder.coco import paint

            return paint(self.contents.annotated[name], photo, size, every_object=every_object)
        masks = self.files.masks
        if self.files.kind == "indexed":
            return read_indexed(masks[""][name], photo, size, self.class_names)
        own = {
            c: masks[class_name][name]
            for c, class_name in self.class_names.items()
            if name in masks.get(class_name, {})
        }
        return read_binary(own, photo, size, self.class_names)

    def unseen_classes(self, name: str) -> frozenset[int] | None:
        """Return the classes of all annotations of a COCO json, also of crowds and covered objects; else as for all."""
        if self.contents.annotated is None:
            return super().unseen_classes(name)
        annotated = self.contents.annotated[name]
        return frozenset(value for value, _ in (*annotated.painted, *annotated.crowds))

    def image_size(self, name: str) -> tuple[int, int]:
        """Return (height, width) from the header of the photo."""
        return size_of(self.photo_path(name), self.check_command, upright=self._upright)

    def split_names(self, split: Split) -> list[str]:
        """Return the sorted names of a split: val as in val.txt, train the others; without val.txt all in both."""
        self._check_split(split)
        val = self.files.val
        return [name for name in self.files.photos if val is None or (name in val) == (split == "val")]

    def check_learnable(self, fold: int) -> None:
        """Refuse training if no photos are selected for evaluation, or no class is left for training."""
        if self.files.val is None:
            raise MissingError(
                f"{self.root} has no {VAL}: the evaluation would use the training photos",
                f"write {self.root / VAL} with the names of the photos for evaluation, one per line; the others are "
                "for training",
            )
        if not self.fold_classes(fold, "train"):
            raise UsageError(
                f"fold {fold} has all classes of {self.root / FILE}: none is left for training",
                f"give {self.root / FILE} two folds or more, e.g. folds = [[...], [...]]",
            )

    @property
    def _upright(self) -> bool:
        return self.description.exif == "upright"

    def _index_of(self, split: Split) -> pd.DataFrame:
        names = self.split_names(split)
        return self._whole[self._whole["name"].isin(names)]

    def _listed(self, split: Split) -> pd.DataFrame:
        self._check_split(split)
        index = self._index_of(split)
        order = ["name", "class_id"] if split == "val" else ["class_id", "name"]
        enough = index["pixels"] >= self.description.min_pixels
        return index.loc[enough, ["name", "class_id"]].sort_values(order, ignore_index=True)

    @cached_property
    def _whole(self) -> pd.DataFrame:
        """Every class in every photo: `name`, `class_id`, `pixels`, and `digest` of the label map of the photo."""
        files = [path for found in (self.files.photos, *self.files.masks.values()) for path in found.values()]
        files += [] if self.files.annotations is None else [self.files.annotations]
        rules = [self.name, json.dumps(dict(self.class_names)), self.files.kind, self.description.exif]
        # An earlier version built indices also from annotations without a pixel.
        rules += ["every object has a pixel"] if self.files.kind == "coco" else []
        key = key_of(files, *rules, *self.files.photos)
        return cached_index(self.name, key, self._read, self.root)

    def _read(self) -> pd.DataFrame:
        rows: list[tuple[str | int, ...]] = []
        for name in tracked(list(self.files.photos), "reading the masks", "masks"):
            rows += rows_of(name, self._label_or_remedy(name), self.class_names)
        return frame_of(rows, ("name", "class_id", "pixels", "digest"))

    def _label_or_remedy(self, name: str) -> Label:
        try:
            return self._label(name, every_object=True)
        except FSSBenchError as error:
            # Reading stops at the first error, but there may be more of the same kind.
            again = error.remedy == self.check_command
            remedy = self.check_command if again else f"{error.remedy}; {self.check_command} shows all"
            raise type(error)(error.message, remedy) from error

    def _check_split(self, split: Split) -> None:
        if split == "test":
            raise UsageError("folder has no test photos; evaluation uses its val split", "--split val")


def rows_of(name: str, label: Label, classes: Mapping[int, str]) -> list[tuple[str | int, ...]]:
    """Return a row for each class in a label map: image name, class, pixels, and a digest of the map (int64)."""
    pixels = value_counts(label)
    digest = int.from_bytes(label_hash(label)[:8], "big", signed=True)
    return [(name, class_id, int(pixels[class_id]), digest) for class_id in classes if pixels[class_id]]
