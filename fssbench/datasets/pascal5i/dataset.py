"""PASCAL-5i (Shaban et al., BMVC 2017): VOC 2012 with the augmented masks of SBD, 20 classes in 4 folds.

The lists are those of HSNet's release (juhongm999/hsnet, data/splits/pascal), computed from the masks: an image is
listed under a class if the mask of the class, downsampled to 1/32 by nearest neighbour, has more than two pixels. This
is OSLSM's filter; facts.toml has the exceptions, which its resampling decided by rounding.
"""

from __future__ import annotations

import hashlib
import shlex
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from fssbench.datasets.dataset import Dataset, Image, Label, Split
from fssbench.datasets.io.images import read_label, read_photo, size_of, value_counts
from fssbench.datasets.io.index_cache import cached_index, fingerprint_of, frame_of, key_of
from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.files import file_size, without_mark
from fssbench.progress import tracked

if TYPE_CHECKING:
    import pandas as pd

ListSplit = Literal["val", "train"]
LIST_SPLITS: tuple[ListSplit, ...] = ("val", "train")

CLASS_COUNT = 20
CLASSES_PER_FOLD = 5
CELL = 32
"""Size of the cells in pixels; the list rule samples one pixel of each cell."""
MIN_CELLS = 3
"""Number of cells with a sampled pixel of a class from which an image is listed under it."""


@dataclass(frozen=True)
class Facts:
    """The content of facts.toml.

    Attributes:
        classes: Names of the label values 1..20.
        official: Counts and hashes of the complete data and of HSNet's lists.
        exceptions: For each split, the (name, class) pairs to "add" to and to "remove" from the result of the rule.
    """

    classes: tuple[str, ...]
    official: OfficialCounts
    exceptions: Mapping[ListSplit, Mapping[str, frozenset[tuple[str, int]]]]


@dataclass(frozen=True)
class OfficialCounts:
    """The complete data: number of masks, names of the val split, and for each list its length and its sha256."""

    masks: int
    val_names: int
    val_names_sha256: str
    entries: Mapping[ListSplit, tuple[int, ...]]
    sha256: Mapping[ListSplit, tuple[str, ...]]


@cache
def facts() -> Facts:
    """Read facts.toml."""
    with Path(__file__).with_name("facts.toml").open("rb") as file:
        raw = tomllib.load(file)
    official = raw["official"]
    return Facts(
        classes=tuple(raw["classes"]),
        official=OfficialCounts(
            masks=official["masks"],
            val_names=official["val_names"],
            val_names_sha256=official["val_names_sha256"],
            entries={split: tuple(official[split]["entries"]) for split in LIST_SPLITS},
            sha256={split: tuple(official[split]["sha256"]) for split in LIST_SPLITS},
        ),
        exceptions={
            split: {verb: frozenset(map(_pair, raw["exceptions"][split][verb])) for verb in ("add", "remove")}
            for split in LIST_SPLITS
        },
    )


def _pair(line: str) -> tuple[str, int]:
    name, _, class_id = line.partition("__")
    return name, int(class_id)


def index_of(labels: Iterable[tuple[str, Label]]) -> pd.DataFrame:
    """Return a row per (image, class) that has a pixel.

    Args:
        labels: Image names and label maps (H, W), values 0..20 and 255.

    Returns:
        `name`, `class_id`, `pixels`, and `cells`: the number of cells of 32 x 32 whose sampled pixel is of the class.
    """
    rows: list[tuple[str | int, ...]] = []
    for name, label in labels:
        pixels = value_counts(label)
        # The samples of the old filter are between the pixels 32i and 32i + 1 of each axis; the second fits better.
        cells = value_counts(np.ascontiguousarray(label[1::CELL, 1::CELL]))
        classes = np.flatnonzero(pixels[1 : CLASS_COUNT + 1]) + 1
        rows += [(name, int(c), int(pixels[c]), int(cells[c])) for c in classes]
    return frame_of(rows, ("name", "class_id", "pixels", "cells"))


def listed(index: pd.DataFrame, split: ListSplit) -> pd.DataFrame:
    """Return the (image, class) pairs of HSNet's lists, all classes, in the release's order.

    Args:
        index: The index of one split, as `index_of` returns it.
        split: "val" lists are in order of name, then class; "train" lists in order of class, then name.

    Returns:
        `name`, `class_id`. The list of a fold is the rows of its classes.
    """
    import pandas as pd

    exceptions = facts().exceptions[split]
    pairs = pd.MultiIndex.from_frame(index[["name", "class_id"]])
    admitted = (index["cells"].to_numpy() >= MIN_CELLS) | pairs.isin(list(exceptions["add"]))
    admitted &= ~pairs.isin(list(exceptions["remove"]))
    order = ["name", "class_id"] if split == "val" else ["class_id", "name"]
    return index.loc[admitted, ["name", "class_id"]].sort_values(order, ignore_index=True)


def lines_of(entries: pd.DataFrame) -> str:
    """Return entries as lines of the release's list files: NAME__CC, where CC is the class 01..20."""
    return "".join(f"{name}__{c:02d}\n" for name, c in zip(entries["name"], entries["class_id"], strict=True))


class Pascal5i(Dataset):
    """VOC2012/JPEGImages/NAME.jpg and VOC2012/SegmentationClassAug/NAME.png; photos are needed only by `image`."""

    name = "pascal5i"
    has_ignore = True
    exact_index = True
    class_count: ClassVar[int] = CLASS_COUNT
    root: Path

    def __init__(self, root: Path) -> None:
        self.root = root
        self.masks = root / "SegmentationClassAug"
        self._indices: dict[ListSplit, pd.DataFrame] = {}
        self._fingerprints: dict[ListSplit, str] = {}
        if not self.masks.is_dir():
            raise MissingError(
                f"{root} has no folder SegmentationClassAug with the augmented masks of PASCAL-5i",
                f"fssbench data build pascal5i --voc {shlex.quote(str(root))} builds them; or give another --root",
            )

    @classmethod
    def seen_in_training(cls, fold: int) -> tuple[str, ...] | None:
        """Return the names of the 15 base classes of a fold."""
        return tuple(name for place, name in enumerate(facts().classes) if place // CLASSES_PER_FOLD != fold)

    @cached_property
    def class_names(self) -> Mapping[int, str]:
        """The names of VOC's 20 classes."""
        return dict(enumerate(facts().classes, 1))

    @cached_property
    def val_names(self) -> frozenset[str]:
        """The names of VOC 2012 val, from ImageSets/Segmentation/val.txt.

        Raises:
            MissingError: If the file is not there.
            BrokenFileError: If it is not a list of names.
        """
        path = self.root / "ImageSets" / "Segmentation" / "val.txt"
        try:
            file_size(path)
            names = without_mark(path.read_bytes()).decode("ascii").split()
        except FileNotFoundError as error:
            raise MissingError(
                f"there is no {path}: it lists the val images of VOC 2012, which the lists depend on",
                "copy ImageSets/Segmentation/val.txt from the VOC 2012 release to that path",
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise BrokenFileError(f"can't read {path}: {error}", "copy it again from the VOC 2012 release") from error
        return frozenset(names)

    @cached_property
    def mask_names(self) -> tuple[str, ...]:
        """The names of all existing masks, sorted."""
        names = sorted(path.stem for path in self.masks.glob("*.png"))
        if not names:
            raise MissingError(
                f"{self.masks} has no masks",
                f"fssbench data build pascal5i --voc {shlex.quote(str(self.root))} builds them; or give another --root",
            )
        return tuple(names)

    def split_names(self, split: ListSplit) -> list[str]:
        """Return the sorted names of one split: val as in VOC, train all other masks."""
        return [name for name in self.mask_names if (name in self.val_names) == (split == "val")]

    def split_fingerprint(self, split: Split) -> str:
        """Return the hex sha256 of one split: pixels per image and class, rule, lists in order."""
        split = self._list_split(split)
        if split in self._fingerprints:
            return self._fingerprints[split]
        pairs = self._listed(split)
        rule = {"dataset": self.name, "side": split, "rule": "OSLSM filter with HSNet's exceptions, order of HSNet"}
        admitted = zip(pairs["name"], pairs["class_id"].tolist(), strict=True)
        self._fingerprints[split] = fingerprint_of(rule, self._index(split), admitted)
        return self._fingerprints[split]

    @cached_property
    def list_order(self) -> str:
        """The order of the release; the text says so if masks are missing."""
        expected = facts().official.sha256["val"]
        complete = all(self.list_sha256(fold, "val") == expected[fold] for fold in range(self.fold_count))
        return "official (HSNet)" if complete else "official (HSNet), of the masks that are here"

    def list_sha256(self, fold: int, split: ListSplit) -> str:
        """Return the hash of one of the eight lists, in the format of the release's file."""
        return hashlib.sha256(lines_of(self.fold_list(fold, split)).encode()).hexdigest()

    def fold_classes(self, fold: int, split: Split = "val") -> tuple[int, ...]:
        """Return 5 novel classes for "val", the 15 others for "train"."""
        first = self.check_fold(fold) * CLASSES_PER_FOLD + 1
        novel = tuple(range(first, first + CLASSES_PER_FOLD))
        if self._list_split(split) == "val":
            return novel
        return tuple(c for c in range(1, CLASS_COUNT + 1) if c not in novel)

    def index(self, split: Split) -> pd.DataFrame:
        """Return `name`, `class_id`, `pixels` of every class in every image of the split, by name and class."""
        return self._index(self._list_split(split))[["name", "class_id", "pixels"]]

    def entries(self, fold: int, split: Split = "val") -> pd.DataFrame:
        """Return the list of the fold for "val", and the lists of the three other folds, concatenated, for "train"."""
        return self.entries_of(self.fold_classes(fold, split), split)

    def entries_of(self, classes: Collection[int], split: Split) -> pd.DataFrame:
        """Return the pairs of some classes in the order of the split's lists."""
        return self._of_classes(self._list_split(split), classes)

    def fold_list(self, fold: int, split: ListSplit) -> pd.DataFrame:
        """Return one of the release's eight lists: the 5 classes of the fold in one split."""
        return self._of_classes(split, self.fold_classes(fold, "val"))

    def image(self, name: str) -> Image:
        """Return JPEGImages/NAME.jpg."""
        return read_photo(self.photo_path(name), self.remedy)

    def photo_path(self, name: str) -> Path:
        """Return the path of the photo; the file may be missing."""
        return self.root / "JPEGImages" / f"{name}.jpg"

    def label(self, name: str) -> Label:
        """Return SegmentationClassAug/NAME.png, palette or grey."""
        return read_label(self.masks / f"{name}.png", CLASS_COUNT, ignore=True, remedy=self.remedy)

    def image_size(self, name: str) -> tuple[int, int]:
        """Return (height, width) from the header of the mask."""
        return size_of(self.masks / f"{name}.png", self.remedy)

    def _list_split(self, split: Split) -> ListSplit:
        if split == "test":
            raise UsageError("pascal5i has no test images; papers test on its val images", "--split val")
        return split

    def _index(self, split: ListSplit) -> pd.DataFrame:
        if split not in self._indices:
            names = self.split_names(split)
            key = key_of((self.masks / f"{name}.png" for name in names), self.name, split)
            self._indices[split] = cached_index(
                f"{self.name}-{split}", key, lambda: self._read(split, names), self.root
            )
        return self._indices[split]

    def _read(self, split: ListSplit, names: list[str]) -> pd.DataFrame:
        doing = f"reading the {split} masks"
        return index_of((name, self.label(name)) for name in tracked(names, doing, "masks"))

    def _listed(self, split: ListSplit) -> pd.DataFrame:
        return listed(self._index(split), split)

    def _of_classes(self, split: ListSplit, classes: Collection[int]) -> pd.DataFrame:
        pairs = self._listed(split)
        return pairs[pairs["class_id"].isin(list(classes))].reset_index(drop=True)
