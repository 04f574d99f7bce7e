"""Chest X-ray (Candemir et al., Jaeger et al., 2013) as PATNet asks it (slei109/PATNet@0155c5f, data/lung.py).

One class, the lungs, in 566 X-rays. The files are those of the page that PATNet's README names, unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from fssbench.datasets.dataset import Label
from fssbench.datasets.io.images import read_grey, size_of
from fssbench.datasets.roots import require_root
from fssbench.datasets.targets.target import FOREGROUND, TargetDataset
from fssbench.errors import MissingError
from fssbench.progress import tracked

_SUFFIX = "_mask.png"


class ChestXray(TargetDataset):
    """LungSegmentation/CXR_png/NAME.png with masks masks/NAME_mask.png; an image's name is NAME.

    Masks without "_mask" (those of Montgomery) are passed over: PATNet's loader cuts the last nine letters off, and so
    finds no X-ray for them.
    """

    name = "chestxray"

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        if not (root / "masks").is_dir():
            raise MissingError(
                f"{root} has no folder masks with the masks of the chest X-rays",
                "put CXR_png and masks there as the page has them that PATNet's README names, or give another --root",
            )

    @classmethod
    def open(cls, root: Path | None = None, **options: object) -> Self:
        """Open LungSegmentation at `root` (or in it), or where the configuration says; there are no options."""
        cls.refuse_options(options)
        return cls(require_root(cls.name, root))

    @property
    def rule(self) -> str:
        """Grey levels of half the range and more."""
        return f"grey >= {FOREGROUND}"

    def mask_files(self) -> list[Path]:
        """Return all masks NAME_mask.png."""
        return [self.mask_path(name) for name in self._listed]

    def labels(self) -> Iterator[tuple[str, Label]]:
        """Yield each image's name and label map, by name."""
        for name in tracked(self._listed, "reading the masks", "masks"):
            yield name, self.label(name)

    def label(self, name: str) -> Label:
        """Return masks/NAME_mask.png: uint8 (H, W), 1 where its grey is 128 or lighter."""
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
        # By the masks' paths, as the release sorts: NAME_10_mask.png before NAME_1_mask.png.
        files = sorted(path.name for path in (self.root / "masks").glob(f"*{_SUFFIX}"))
        if not files:
            raise MissingError(
                f"there is no mask NAME{_SUFFIX} in {self.root / 'masks'}",
                "put the masks of the page there that PATNet's README names, or give another --root",
            )
        return tuple(file.removesuffix(_SUFFIX) for file in files)
