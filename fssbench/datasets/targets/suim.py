"""SUIM (Islam et al., IROS 2020): underwater photos whose masks are coded by colour, 7 classes beside the water.

MMT (CVPR 2022) tests on it and released no code; that it asks all seven classes is what ABCDFSS, which follows it,
does (Vision-Kek/ABCDFSS@9d00f68, data/suim.py). That code's README says why the whole set has to be asked: the test
folder alone is easier. So the whole set is the default, and `part="test"` has to be asked for.
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
    """Return the label value of each colour, red, green and blue by one bit each: uint8 (8,)."""
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
    """SUIM/train_val and SUIM/TEST (in any case), or SUIM itself, each with images/NAME.jpg and masks/NAME.bmp.

    An image's name is "train_val/NAME" or "test/NAME"; "NAME" where the folders are merged. Lists are in order of NAME.

    Args:
        root: The folder SUIM.
        part: "all" images that are here, or those of the folder "test".
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
            raise UsageError(f"suim can be asked {' or '.join(get_args(Part))}, not '{part}'")
        return cls(require_root(cls.name, root), cast("Part", part))

    @property
    def rule(self) -> str:
        """Colours by half of each channel's range, and which part."""
        return f"RGB >= {FOREGROUND}; part: {self.part}"

    @property
    def list_order(self) -> str:
        """By file name; it says which part of the release that is."""
        some = any(self.parts.get(part, 0) != count for part, count in self.official.items())
        named = "test folder" if self.part == "test" else "whole set"
        return f"canonical (by name), {named}" + (", of the images that are here" if some else "")

    @property
    def parts(self) -> Mapping[str, int]:
        """How many masks each folder holds, and all of them."""
        counts = {part or "merged": len(names) for part, names in self._names.items()}
        return counts if self.part == "test" else {"all": sum(counts.values()), **counts}

    @property
    def official(self) -> Mapping[str, int]:
        """How many masks the release has: of the test folder, of all; by folder unless they are merged."""
        whole = target_facts(self.name).images
        wanted = ["test"] if self.part == "test" else ["all"] if "" in self._folders else list(whole)
        return {part: whole[part] for part in wanted}

    def mask_files(self) -> list[Path]:
        """Return all masks."""
        return [self.mask_path(name) for name in self._listed]

    def labels(self) -> Iterator[tuple[str, Label]]:
        """Yield each image's name and label map, by file name."""
        for name in tracked(self._listed, "reading the masks", "masks"):
            yield name, self.label(name)

    def label(self, name: str) -> Label:
        """Return masks/NAME.bmp by its colours: uint8 (H, W), 0..7."""
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
            raise UsageError(f"'{name}' is no image name of suim in {self.root}", self.check_command)
        return folder / kind / f"{stem}{suffix}"

    @cached_property
    def _folders(self) -> dict[str, Path]:
        """The folders that hold images and masks, by the part's name; "" for the root itself."""
        there = {path.name.lower(): path for path in sorted(self.root.iterdir()) if path.is_dir()}
        wanted = ("test",) if self.part == "test" else ("train_val", "test")
        found = {part: there[part] for part in wanted if part in there and (there[part] / "masks").is_dir()}
        if not found and self.part == "all" and (self.root / "masks").is_dir():
            return {"": self.root}
        return found

    @cached_property
    def _names(self) -> dict[str, list[str]]:
        """The names without part, by part."""
        return {
            part: [path.stem for path in (folder / "masks").glob("*.bmp")] for part, folder in self._folders.items()
        }

    @cached_property
    def _listed(self) -> tuple[str, ...]:
        """All names, in order of the file name alone."""
        pairs = sorted((stem, part) for part, stems in self._names.items() for stem in stems)
        if not pairs:
            folders = " or ".join(str(folder / "masks") for folder in self._folders.values())
            raise MissingError(f"there is no mask NAME.bmp in {folders}", "unpack SUIM there, or give another --root")
        return tuple(f"{part}/{stem}" if part else stem for stem, part in pairs)
