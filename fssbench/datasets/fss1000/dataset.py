"""FSS-1000 (Li et al., CVPR 2020) as HSNet splits it: 1,000 classes of ten images, one object class an image.

There are no folds: 520 classes for training, 240 for validation, 240 for testing, by the imported class lists of the
release. The label value of a class is HSNet's class id + 1: its position in the sorted list of its split, where val
follows train and test follows val. Values exceed 255, so label maps are uint16, and there is no ignore region.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fssbench.datasets.dataset import Dataset, Image, Label, Split
from fssbench.datasets.fss1000.facts import facts, hash_of
from fssbench.datasets.io.images import read_grey, read_photo, size_of
from fssbench.datasets.io.index_cache import cached_index, fingerprint_of, frame_of, key_of
from fssbench.datasets.odd_masks import other_sizes
from fssbench.datasets.splits import stored as imported
from fssbench.errors import MissingError, UsageError
from fssbench.progress import tracked

if TYPE_CHECKING:
    import pandas as pd

FOREGROUND = 128
"""Grey level from which a pixel of a mask belongs to the object; masks have soft edges."""


class FSS1000(Dataset):
    """FSS-1000/CLASS/N.jpg with masks CLASS/N.png; the name of an image is "CLASS/N.jpg"."""

    name = "fss1000"
    sizes_differ = True
    exact_index = True
    one_class_each = True
    evaluated_split: Split = "test"
    root: Path

    def __init__(self, root: Path) -> None:
        self.root = root
        self._indices: dict[Split, pd.DataFrame] = {}
        self._lists: dict[Split, tuple[str, ...]] = {}
        if not any(path.is_dir() for path in root.glob("*")):
            raise MissingError(
                f"{root} has no class folders of FSS-1000", "unpack FSS-1000 there, or give another --root"
            )

    @classmethod
    def seen_in_training(cls, fold: int) -> tuple[str, ...] | None:
        """Return the classes of the training split; None if they were not imported."""
        del fold
        names = imported.load_names(cls.name, "train")
        return None if names is None else tuple(sorted(names))

    @cached_property
    def class_names(self) -> Mapping[int, str]:
        """The names of the classes of all imported splits."""
        splits = [split for split in facts() if imported.is_there(self.name, split)]
        return {class_id: name for split in splits for class_id, name in self._classes(split).items()}

    def split_fingerprint(self, split: Split) -> str:
        """Return the hex sha256 of one split: classes, foreground pixels per image."""
        pairs = self.entries(0, split)
        rule = {"dataset": self.name, "side": split, "labels": f"grey >= {FOREGROUND}"}
        return fingerprint_of(rule, self.index(split), zip(pairs["name"], pairs["class_id"].tolist(), strict=True))

    @property
    def list_order(self) -> str:
        """The order of HSNet (sorted paths); the text says so if the test classes are not the release's."""
        if hash_of(self._split_classes("test")) != facts()["test"].sha256:
            return "imported (not HSNet's test classes)"
        missing = [name for name in self._split_classes("test") if not (self.root / name).is_dir()]
        return f"official (HSNet), {len(missing)} test classes are not here" if missing else "official (HSNet)"

    @cached_property
    def remarks(self) -> tuple[str, ...]:
        """The masks of the test split whose size is not that of the photo; each is resized to the input size."""
        if not imported.is_there(self.name, "test"):
            return ()
        photos = [self.photo_path(name) for name in self.entries(0, "test")["name"]]
        return tuple(
            f"{note}; they are stretched onto it" for note in other_sizes([(p.with_suffix(".png"), p) for p in photos])
        )

    def fold_classes(self, fold: int, split: Split = "val") -> tuple[int, ...]:
        """Return the label values of a split; there is only fold 0."""
        self.check_fold(fold)
        return tuple(self._classes(split))

    def index(self, split: Split) -> pd.DataFrame:
        """Return `name`, `class_id`, `pixels` of every image of a split that has a foreground pixel."""
        if split not in self._indices:
            names = self.entries(0, split)
            files = [self._mask_path(name) for name in names["name"]]
            key = key_of(files, self.name, split, *self._split_classes(split))
            self._indices[split] = cached_index(
                f"{self.name}-{split}", key, lambda: self._read(split, names), self.root
            )
        return self._indices[split].copy()

    def entries(self, fold: int, split: Split = "val") -> pd.DataFrame:
        """Return every image of a split, sorted by path (1, 10, 2, ...) as in the release."""
        self.check_fold(fold)
        rows = []
        for class_id, name in self._classes(split).items():
            files = sorted(path.stem for path in (self.root / name).glob("*.png"))
            rows += [(f"{name}/{stem}.jpg", class_id) for stem in files]
        return frame_of(rows, ("name", "class_id"))

    def image(self, name: str) -> Image:
        """Return CLASS/N.jpg."""
        return read_photo(self.photo_path(name), self.remedy)

    def photo_path(self, name: str) -> Path:
        """Return the path of the photo; the file may be missing."""
        return self.root / name

    def label(self, name: str) -> Label:
        """Return uint16 (H, W): the label value of the class where CLASS/N.png is 128 or lighter, else 0."""
        class_id = self._class_ids.get(name.partition("/")[0])
        if class_id is None:
            raise UsageError(f"'{name}' is not in a class of the imported lists of fss1000", self.check_command)
        foreground = read_grey(self._mask_path(name), self.remedy) >= FOREGROUND
        return np.where(foreground, np.uint16(class_id), np.uint16(0))

    def image_size(self, name: str) -> tuple[int, int]:
        """Return (height, width) from the header of the mask."""
        return size_of(self._mask_path(name), self.remedy)

    @cached_property
    def _class_ids(self) -> dict[str, int]:
        return {name: class_id for class_id, name in self.class_names.items()}

    def _classes(self, split: Split) -> dict[int, str]:
        first = facts()[split].first + 1
        return dict(enumerate(self._split_classes(split), first))

    def _split_classes(self, split: Split) -> tuple[str, ...]:
        """Return the sorted class names of a split."""
        if split not in self._lists:
            names = imported.load_names(self.name, split)
            if names is None:
                raise MissingError(
                    f"the {split} classes of FSS-1000 are not known: {facts()[split].file} was not imported",
                    "fssbench data import-splits fss1000 --from DIR with data/splits/fss of HSNet's release",
                )
            self._lists[split] = tuple(sorted(names))
        return self._lists[split]

    def _mask_path(self, name: str) -> Path:
        return (self.root / name).with_suffix(".png")

    def _read(self, split: Split, names: pd.DataFrame) -> pd.DataFrame:
        rows: list[tuple[str | int, ...]] = []
        pairs = list(zip(names["name"], names["class_id"].tolist(), strict=True))
        for name, class_id in tracked(pairs, f"reading the {split} masks", "masks"):
            pixels = int(np.count_nonzero(self.label(name)))
            if pixels:
                rows.append((name, class_id, pixels))
        return frame_of(rows)
