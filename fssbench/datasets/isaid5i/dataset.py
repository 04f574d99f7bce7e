"""iSAID-5i (Yao et al., TGRS 2021): patches of aerial images, 15 classes in three folds, as GF-SAM evaluates it.

The lists are the release's, imported: which patches they have, and their order, follows no known rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from fssbench.datasets.dataset import Image, Label
from fssbench.datasets.io.images import read_label, read_photo, size_of, value_counts
from fssbench.datasets.io.index_cache import cached_index, frame_of, key_of
from fssbench.datasets.isaid5i.lists import FOLDS, facts, fold_classes, hash_of, parse_line
from fssbench.datasets.objects.dataset import ValOnly
from fssbench.datasets.splits import stored
from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.label_values import IGNORE
from fssbench.progress import tracked

if TYPE_CHECKING:
    import pandas as pd

MASKS = "semantic_png"
SUFFIX = "_instance_color_RGB.png"


class Isaid5i(ValOnly):
    """iSAID/val/images/NAME.png with masks val/semantic_png/NAME_instance_color_RGB.png, or iSAID/iSAID_patches/val."""

    name = "isaid5i"
    has_ignore = True
    exact_index = True

    def __init__(self, root: Path) -> None:
        self.root = root
        candidates = [root / "val", root / "iSAID_patches" / "val"]
        self.base = next((path for path in candidates if path.is_dir()), candidates[0])
        if not self.base.is_dir():
            raise MissingError(
                f"{root} has no folder val of iSAID-5i",
                f"fssbench data fetch {self.name} --root DIR says what to get and where to put it",
            )

    @property
    def rule(self) -> str:
        """What the label maps are."""
        return f"values of {MASKS}, {IGNORE} is ignored"

    @cached_property
    def list_order(self) -> str:
        """The order of the imported lists; the text says so if they are not the release's."""
        same = tuple(hash_of(lines) for lines in self._lines) == facts().sha256
        return "official (GF-SAM)" if same else "imported (not GF-SAM's)"

    @property
    def class_names(self) -> Mapping[int, str]:
        """The 15 classes."""
        return dict(enumerate(facts().classes, 1))

    @property
    def folds(self) -> tuple[tuple[int, ...], ...]:
        """Five classes each, in order."""
        return tuple(map(fold_classes, range(FOLDS)))

    @cached_property
    def _lines(self) -> tuple[tuple[str, ...], ...]:
        lists = stored.load(self.name, "val")
        if lists is None:
            raise MissingError(
                "the lists of iSAID-5i were not imported; their order follows no known rule",
                f"fssbench data import-splits {self.name} --from DIR with a checkout or an archive of GF-SAM's release",
            )
        found = [lists.get(str(fold)) for fold in range(FOLDS)]
        if not all(found) or not all(isinstance(line, str) for lines in found if lines for line in lines):
            raise BrokenFileError(
                f"{stored.path_of(self.name, 'val')} does not hold the lists of three folds",
                f"fssbench data import-splits {self.name} --from DIR",
            )
        return tuple(tuple(cast("list[str]", lines)) for lines in found)

    def listed(self, fold: int) -> list[tuple[str, int]]:
        """Return the entries of a fold, in the order of the release."""
        path = stored.path_of(self.name, "val")
        return [parse_line(line, fold, path) for line in self._lines[fold]]

    @cached_property
    def image_names(self) -> tuple[str, ...]:
        """All listed images, each once."""
        return tuple(dict.fromkeys(name for fold in range(FOLDS) for name, _ in self.listed(fold)))

    def label(self, name: str) -> Label:
        """Return uint8 (H, W): 0, 1..15, 255."""
        return read_label(self.mask_path(name), len(facts().classes), ignore=True, remedy=self.remedy)

    def image(self, name: str) -> Image:
        """Return images/NAME.png."""
        return read_photo(self.photo_path(name), self.remedy)

    def image_size(self, name: str) -> tuple[int, int]:
        """Return (height, width) from the header of the mask."""
        return size_of(self.mask_path(name), self.remedy)

    def photo_path(self, name: str) -> Path:
        """Return images/NAME.png."""
        return self.base / "images" / f"{self._known(name)}.png"

    def mask_path(self, name: str) -> Path:
        """Return semantic_png/NAME_instance_color_RGB.png."""
        return self.base / MASKS / f"{self._known(name)}{SUFFIX}"

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(self.image_names)

    def _known(self, name: str) -> str:
        if name not in self._names:
            raise UsageError(f"'{name}' is not an image name of {self.name}", self.check_command)
        return name

    @cached_property
    def _index(self) -> pd.DataFrame:
        files = list(map(self.mask_path, self.image_names))
        if missing := next((path for path in files if not path.is_file()), None):
            raise MissingError(f"there is no mask {missing}", self.remedy)
        return cached_index(self.name, key_of(files, self.name, self.rule), self._read, self.root)

    def _read(self) -> pd.DataFrame:
        rows: list[tuple[str | int, ...]] = []
        for name in tracked(self.image_names, "reading the masks", "masks"):
            pixels = value_counts(self.label(name))
            classes = np.flatnonzero(pixels[1:IGNORE]) + 1
            rows += [(name, int(class_id), int(pixels[class_id])) for class_id in classes]
        return frame_of(rows)
