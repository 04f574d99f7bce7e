"""Chest X-ray (Candemir et al., Jaeger et al., 2013) as in PATNet's evaluation (slei109/PATNet@0155c5f, data/lung.py).

It has one class, the lungs, in 566 X-rays. The files are those of the page that PATNet's README names, unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from fssbench.datasets.dataset import Label
from fssbench.datasets.io.images import read_grey, size_of
from fssbench.datasets.targets.target import FOREGROUND, TargetDataset
from fssbench.errors import MissingError
from fssbench.progress import tracked

_SUFFIX = "_mask.png"


class ChestXray(TargetDataset):
    """LungSegmentation/CXR_png/NAME.png with masks masks/NAME_mask.png; the name of an image is NAME.

    Masks without "_mask" (those of Montgomery) are left out: PATNet's loader removes the last nine letters of a name,
    and so finds no X-ray for them.
    """

    name = "chestxray"

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        if not (root / "masks").is_dir():
            raise MissingError(
                f"{root} has no folder masks with the masks of the chest X-rays",
                "put CXR_png and masks there, from the page that PATNet's README names, or give another --root",
            )

    @property
    def rule(self) -> str:
        """The object is where grey is at least half of the range."""
        return f"grey >= {FOREGROUND}"

    def mask_files(self) -> list[Path]:
        """Return all masks NAME_mask.png."""
        return [self.mask_path(name) for name in self._listed]

    def labels(self) -> Iterator[tuple[str, Label]]:
        """Yield the name and the label map of each image, sorted by name."""
        for name in tracked(self._listed, "reading the masks", "masks"):
            yield name, self.label(name)

    def label(self, name: str) -> Label:
        """Return masks/NAME_mask.png: uint8 (H, W), 1 where the grey level is 128 or higher."""
        return (read_grey(self.mask_path(name), self.remedy) >= FOREGROUND).astype(np.uint8)

    def image_size(self, name: str) -> tuple[int, int]:
        """Return (height, width) from the header of the mask."""
        return size_of(self.mask_path(name), self.remedy)

    def photo_path(self, name: str) -> Path:
        """Return CXR_png/NAME.png."""
        return self.root / "CXR_png" / f"{name}.png"

    def mask_path(self, name: str) -> Path:
        """Return masks/NAME_mask.png."""
        return self.root / "masks" / f"{name}{_SUFFIX}"

    @cached_property
    def _listed(self) -> tuple[str, ...]:
        # Sorted by the paths of the masks, as in the release: NAME_10_mask.png is before NAME_1_mask.png.
        files = sorted(path.name for path in (self.root / "masks").glob(f"*{_SUFFIX}"))
        if not files:
            raise MissingError(
                f"there is no mask NAME{_SUFFIX} in {self.root / 'masks'}",
                "put the masks there, from the page that PATNet's README names, or give another --root",
            )
        return tuple(file.removesuffix(_SUFFIX) for file in files)
