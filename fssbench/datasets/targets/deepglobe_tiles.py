"""Tiles of DeepGlobe's satellite photos: cut here, or read from the folders of PATNet's script and loader.

slei109/PATNet@0155c5f: data/preprocess.py cuts and selects, data/deepglobe.py reads a folder of tiles for each class.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fssbench.datasets.dataset import Image, Label
from fssbench.datasets.io.images import read_colours, read_grey, read_photo, size_of
from fssbench.datasets.targets.target import FOREGROUND
from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.progress import tracked

Codes = npt.NDArray[np.uint8]
"""The colours of a mask: uint8 (H, W), 0..7, with one bit each for red, green and blue."""


@dataclass(frozen=True)
class CuttingFacts:
    """The parameters of PATNet's script; see deepglobe.toml.

    Attributes:
        values: uint8 (8,): the class of each colour, with one bit each for red, green and blue; 0 for no class.
        classes: Number of classes.
        tiles: Number of tiles along each side of a photo.
        min_share: The fraction of a tile that each colour in it must cover.
    """

    values: npt.NDArray[np.uint8]
    classes: int
    tiles: int
    min_share: float


@cache
def facts() -> CuttingFacts:
    """Read deepglobe.toml."""
    with (Path(__file__).parent / "deepglobe.toml").open("rb") as file:
        raw = tomllib.load(file)
    values = np.zeros(8, dtype=np.uint8)
    for class_id, (red, green, blue) in enumerate(raw["colours"], 1):
        values[(red > 0) * 4 + (green > 0) * 2 + (blue > 0)] = class_id
    return CuttingFacts(values, len(raw["colours"]), raw["tiles"], raw["min_share"])


def tile_of(array: npt.NDArray[np.uint8], row: int, column: int) -> npt.NDArray[np.uint8]:
    """Return one of the 6 x 6 tiles of an array (H, W) or (H, W, 3)."""
    count = facts().tiles
    height, width = array.shape[:2]
    rows = slice(row * height // count, (row + 1) * height // count)
    return array[rows, column * width // count : (column + 1) * width // count]


def is_kept(codes: Codes) -> bool:
    """Return whether PATNet's script keeps a tile: it must have several colours, each on more than 4.8 % of it.

    The script divides by 408 x 408, which is the area of all tiles of DeepGlobe.
    """
    counts = np.bincount(codes.ravel(), minlength=8)
    found = counts[counts > 0]
    return found.size > 1 and bool((found / codes.size > facts().min_share).all())


class Tiles(Protocol):
    """A source of tiles: the part of `fssbench.datasets.targets.target.TargetDataset` that depends on the source."""

    origin: str
    """Where the tiles come from."""

    def mask_files(self) -> list[Path]:
        """Return the files that decide labels and lists."""

    def labels(self) -> Iterator[tuple[str, Label]]:
        """Yield the name and the label map of each tile, sorted by name."""

    def label(self, name: str) -> Label:
        """Return the label map of a tile: uint8 (H, W), 0..6."""

    def image(self, name: str) -> Image:
        """Return a tile: RGB uint8 (H, W, 3)."""

    def image_size(self, name: str) -> tuple[int, int]:
        """Return (height, width) of a tile."""

    def photo_path(self, name: str) -> Path:
        """Return the file of the tile, or of the photo that it is cut from."""


class CutTiles:
    """Tiles ID_sat_RC, with row R and column C from 0, of photos ID_sat.jpg with masks ID_mask.png.

    Args:
        folder: The folder of photos and masks.
        remedy: What to do about a missing or broken file.
    """

    origin = "tiles cut here"

    def __init__(self, folder: Path, remedy: str) -> None:
        self.folder = folder
        self.remedy = remedy

    def mask_files(self) -> list[Path]:
        """Return the masks of all photos, by name."""
        return sorted(self.folder.glob("*_mask.png"))

    def labels(self) -> Iterator[tuple[str, Label]]:
        """Yield the tiles that PATNet's script keeps."""
        count = range(facts().tiles)
        for path in tracked(self.mask_files(), "cutting the masks", "masks"):
            codes = _codes(path, _changed(path), self.remedy)
            for row, column in ((row, column) for row in count for column in count):
                tile = tile_of(codes, row, column)
                if is_kept(tile):
                    yield f"{path.stem.removesuffix('_mask')}_sat_{row}{column}", facts().values[tile]

    def label(self, name: str) -> Label:
        """Return the label map of a tile, also of a tile that is not selected."""
        identifier, row, column = self._parts(name)
        path = self.folder / f"{identifier}_mask.png"
        label: Label = facts().values[tile_of(_codes(path, _changed(path), self.remedy), row, column)]
        return label

    def image(self, name: str) -> Image:
        """Return a tile as it is in the photo."""
        _, row, column = self._parts(name)
        path = self.photo_path(name)
        return tile_of(_photo(path, _changed(path), self.remedy), row, column).copy()

    def image_size(self, name: str) -> tuple[int, int]:
        """Return (height, width) from the header of the photo's mask."""
        identifier, row, column = self._parts(name)
        count = facts().tiles
        height, width = size_of(self.folder / f"{identifier}_mask.png", self.remedy)
        return (
            (row + 1) * height // count - row * height // count,
            (column + 1) * width // count - column * width // count,
        )

    def photo_path(self, name: str) -> Path:
        """Return ID_sat.jpg."""
        return self.folder / f"{self._parts(name)[0]}_sat.jpg"

    def _parts(self, name: str) -> tuple[str, int, int]:
        identifier, _, place = name.rpartition("_sat_")
        digits = [str(number) for number in range(facts().tiles)]
        if not identifier or "/" in identifier or len(place) != 2 or not set(place) <= set(digits):
            raise UsageError(f"'{name}' is not a tile of deepglobe, such as 119_sat_05")
        return identifier, int(place[0]), int(place[1])


class PreparedTiles:
    """Tiles C/test/origin/NAME.jpg with masks C/test/groundtruth/NAME.png for the classes C = 1 to 6.

    A tile in the folders of several classes is one image. Where NAME has "_sat_", the mask may have "_mask_" instead
    (niejiahao1998/IFA@4d5cbe6).

    Args:
        folder: The folder that has a folder for each class.
        remedy: What to do about a missing or broken file.
    """

    origin = "tiles as prepared"

    def __init__(self, folder: Path, remedy: str) -> None:
        self.folder = folder
        self.remedy = remedy

    def mask_files(self) -> list[Path]:
        """Return the masks of all tiles."""
        return [path for name in self._tiles for _, path in self._masks(name)]

    def labels(self) -> Iterator[tuple[str, Label]]:
        """Yield all tiles."""
        for name in tracked(list(self._tiles), "reading the masks", "masks"):
            yield name, self.label(name)

    def label(self, name: str) -> Label:
        """Return the label map: each class where the grey level of its mask is 128 or higher."""
        size = self.image_size(name)
        label = np.zeros(size, dtype=np.uint8)
        for class_id, path in self._masks(name):
            mask = read_grey(path, self.remedy) >= FOREGROUND
            if mask.shape != size:
                raise BrokenFileError(f"{path} has another size than the masks of the other classes", self.remedy)
            label[mask] = class_id
        return label

    def image(self, name: str) -> Image:
        """Return the tile's file."""
        return read_photo(self.photo_path(name), self.remedy)

    def image_size(self, name: str) -> tuple[int, int]:
        """Return (height, width) from the header of the mask."""
        return size_of(self._masks(name)[0][1], self.remedy)

    def photo_path(self, name: str) -> Path:
        """Return NAME.jpg from the folder of the first class that has it."""
        return self.folder / str(self._classes(name)[0]) / "test" / "origin" / f"{name}.jpg"

    def _classes(self, name: str) -> tuple[int, ...]:
        if name not in self._tiles:
            raise UsageError(f"'{name}' is not a tile of deepglobe in {self.folder}", "fssbench data check deepglobe")
        return self._tiles[name]

    def _masks(self, name: str) -> list[tuple[int, Path]]:
        """Return class and mask for each class whose folder has the tile."""
        found = []
        for class_id in self._classes(name):
            folder = self.folder / str(class_id) / "test" / "groundtruth"
            head, separator, place = name.rpartition("_sat_")
            other = folder / f"{head}_mask_{place}.png"
            found.append((class_id, other if separator and other.is_file() else folder / f"{name}.png"))
        return found

    @cached_property
    def _tiles(self) -> dict[str, tuple[int, ...]]:
        """The classes of each tile, by name."""
        classes: dict[str, list[int]] = {}
        for class_id in range(1, facts().classes + 1):
            for path in (self.folder / str(class_id) / "test" / "origin").glob("*.jpg"):
                classes.setdefault(path.stem, []).append(class_id)
        if not classes:
            raise MissingError(f"{self.folder} has no tile C/test/origin/NAME.jpg", "give another --root")
        return {name: tuple(of_tile) for name, of_tile in sorted(classes.items())}


@lru_cache(maxsize=2)
def _codes(path: Path, changed: int, remedy: str) -> Codes:
    """Return the colours of a mask. The result is cached, as tiles of a photo are read one by one."""
    del changed
    bits = (read_colours(path, remedy) >= FOREGROUND).astype(np.uint8)
    return bits[..., 0] * 4 + bits[..., 1] * 2 + bits[..., 2]


@lru_cache(maxsize=2)
def _photo(path: Path, changed: int, remedy: str) -> Image:
    del changed
    return read_photo(path, remedy)


def _changed(path: Path) -> int:
    """Return when a file was changed; 0 if it is missing (reading it raises the error)."""
    return path.stat().st_mtime_ns if path.is_file() else 0
