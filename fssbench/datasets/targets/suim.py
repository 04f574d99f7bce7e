"""SUIM (Islam et al., IROS 2020): underwater photos with colour-coded masks, 7 classes and the water as background.

MMT (CVPR 2022) is tested on it, but released no code. The seven classes are those of ABCDFSS, which follows MMT
(Vision-Kek/ABCDFSS@9d00f68, data/suim.py). Its README explains why the whole set has to be evaluated: the test folder
alone is easier. So the whole set is the default, and `part="test"` selects the test folder.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Literal, Self, cast, get_args

import numpy as np
import numpy.typing as npt

from fssbench.datasets.dataset import Label
from fssbench.datasets.io.images import read_colours, size_of
from fssbench.datasets.roots import require_root
from fssbench.datasets.targets.target import FOREGROUND, TargetDataset, target_facts
from fssbench.errors import MissingError, UsageError
from fssbench.progress import tracked

Part = Literal["all", "test"]


@cache
def colour_values() -> npt.NDArray[np.uint8]:
    """Return the label value of each colour, with one bit each for red, green and blue: uint8 (8,)."""
    with (Path(__file__).with_suffix(".toml")).open("rb") as file:
        return np.array(tomllib.load(file)["colours"], dtype=np.uint8)


def label_of(colours: npt.NDArray[np.uint8]) -> Label:
    """Return the label map of a colour-coded mask: uint8 (H, W), 0..7.

    A channel is on from half of its range (xahidbuffon/SUIM, utils/data_utils.py), so every colour is a class.

    Args:
        colours: RGB uint8 (H, W, 3).
    """
    bits = (colours >= FOREGROUND).astype(np.uint8)
    label: Label = colour_values()[bits[..., 0] * 4 + bits[..., 1] * 2 + bits[..., 2]]
    return label


class Suim(TargetDataset):
    """SUIM/train_val and SUIM/TEST (upper or lower case), or SUIM itself, each with images/NAME.jpg and masks/NAME.bmp.

    The name of an image is "train_val/NAME" or "test/NAME"; "NAME" if the folders are merged. Lists are sorted by NAME.

    Args:
        root: The folder SUIM.
        part: "all" images, or only those of the folder "test".
    """

    name = "suim"

    def __init__(self, root: Path, part: Part = "all") -> None:
        super().__init__(root)
        self.part = part
        if not self._folders:
            raise MissingError(
                f"{root} has no folder with images and masks of SUIM{' TEST' if part == 'test' else ''}",
                "put train_val and TEST of the release there, each with images and masks; or give another --root",
            )

    @classmethod
    def open(cls, root: Path | None = None, **options: object) -> Self:
        """Open SUIM at `root` (or in it), or where the configuration says; `part`: "all" (default) or "test"."""
        cls.refuse_options(options, ("part",))
        part = options.get("part", "all")
        if part not in get_args(Part):
            raise UsageError(f"the part of suim is {' or '.join(get_args(Part))}, not '{part}'")
        return cls(require_root(cls.name, root), cast("Part", part))

    @property
    def rule(self) -> str:
        """A channel is set where it is at least half of its range; with the part."""
        return f"RGB >= {FOREGROUND}; part: {self.part}"

    @property
    def list_order(self) -> str:
        """By file name; the text says which part of the release is used."""
        some = any(self.parts.get(part, 0) != count for part, count in self.official.items())
        named = "test folder" if self.part == "test" else "whole set"
        return f"canonical (by name), {named}" + (", of the images that are here" if some else "")

    @property
    def parts(self) -> Mapping[str, int]:
        """The number of masks in each folder, and of all masks."""
        counts = {part or "merged": len(names) for part, names in self._names.items()}
        return counts if self.part == "test" else {"all": sum(counts.values()), **counts}

    @property
    def official(self) -> Mapping[str, int]:
        """The number of masks in the release, by part; the parts depend on the option and on the folders."""
        whole = target_facts(self.name).images
        parts = ["test"] if self.part == "test" else ["all"] if "" in self._folders else list(whole)
        return {part: whole[part] for part in parts}

    def mask_files(self) -> list[Path]:
        """Return all masks."""
        return [self.mask_path(name) for name in self._listed]

    def labels(self) -> Iterator[tuple[str, Label]]:
        """Yield the name and the label map of each image, sorted by file name."""
        for name in tracked(self._listed, "reading the masks", "masks"):
            yield name, self.label(name)

    def label(self, name: str) -> Label:
        """Return the label map of masks/NAME.bmp: uint8 (H, W), 0..7."""
        return label_of(read_colours(self.mask_path(name), self.remedy))

    def image_size(self, name: str) -> tuple[int, int]:
        """Return (height, width) from the header of the mask."""
        return size_of(self.mask_path(name), self.remedy)

    def photo_path(self, name: str) -> Path:
        """Return images/NAME.jpg."""
        return self._file(name, "images", ".jpg")

    def mask_path(self, name: str) -> Path:
        """Return masks/NAME.bmp."""
        return self._file(name, "masks", ".bmp")

    def _file(self, name: str, kind: str, suffix: str) -> Path:
        part, _, stem = name.rpartition("/")
        folder = self._folders.get(part)
        if folder is None or not stem:
            raise UsageError(f"'{name}' is not an image name of suim in {self.root}", self.check_command)
        return folder / kind / f"{stem}{suffix}"

    @cached_property
    def _folders(self) -> dict[str, Path]:
        """The folders with images and masks, by the name of the part; "" for the root itself."""
        folders = {path.name.lower(): path for path in sorted(self.root.iterdir()) if path.is_dir()}
        parts = ("test",) if self.part == "test" else ("train_val", "test")
        found = {part: folders[part] for part in parts if part in folders and (folders[part] / "masks").is_dir()}
        if not found and self.part == "all" and (self.root / "masks").is_dir():
            return {"": self.root}
        return found

    @cached_property
    def _names(self) -> dict[str, list[str]]:
        """The image names without the part, by part."""
        return {
            part: [path.stem for path in (folder / "masks").glob("*.bmp")] for part, folder in self._folders.items()
        }

    @cached_property
    def _listed(self) -> tuple[str, ...]:
        """All names, sorted by file name only."""
        pairs = sorted((stem, part) for part, stems in self._names.items() for stem in stems)
        if not pairs:
            folders = " or ".join(str(folder / "masks") for folder in self._folders.values())
            raise MissingError(f"there is no mask NAME.bmp in {folders}", "unpack SUIM there, or give another --root")
        return tuple(f"{part}/{stem}" if part else stem for stem, part in pairs)
