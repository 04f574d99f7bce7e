"""DeepGlobe land cover (Demir et al., CVPRW 2018) as in PATNet's evaluation: tiles of satellite photos, six classes.

The data may be the folders of tiles that PATNet's loader reads, or DeepGlobe's own photos. The photos are cut into
tiles, and tiles are selected, by the rule of PATNet's script. The tiles in the folders were compressed a second time,
so their pixels differ slightly from tiles that are cut here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fssbench.datasets.dataset import Image, Label
from fssbench.datasets.targets.deepglobe_tiles import CutTiles, PreparedTiles, Tiles
from fssbench.datasets.targets.target import TargetDataset
from fssbench.errors import MissingError


class DeepGlobe(TargetDataset):
    """Deepglobe/C/test/{origin,groundtruth} for the classes C = 1 to 6, or Deepglobe/train/ID_{sat.jpg,mask.png}.

    The folders may also be in Deepglobe/04_train_cat, as in IFA; the photos also in Deepglobe itself.
    """

    name = "deepglobe"
    one_class_each = True

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        prepared = next((path for path in (root, root / "04_train_cat") if (path / "1" / "test").is_dir()), None)
        photos = next((path for path in (root / "train", root) if any(path.glob("*_mask.png"))), None)
        if prepared is None and photos is None:
            raise MissingError(
                f"{root} has neither PATNet's folders 1/test to 6/test nor DeepGlobe's masks train/ID_mask.png",
                "put one of them there, or give another --root",
            )
        self.whole_photos = prepared is not None

        self._tiles: Tiles
        if prepared is not None:
            self._tiles = PreparedTiles(prepared, self.remedy)
        elif photos is not None:
            self._tiles = CutTiles(photos, self.remedy)

    @property
    def rule(self) -> str:
        """Where the tiles come from."""
        return self._tiles.origin

    @property
    def list_order(self) -> str:
        """By name; the text says where the tiles come from."""
        return f"canonical (by name), {self._tiles.origin}"

    def mask_files(self) -> list[Path]:
        """Return the masks of all tiles, or of all photos."""
        return self._tiles.mask_files()

    def labels(self) -> Iterator[tuple[str, Label]]:
        """Yield the name and the label map of each selected tile, sorted by name."""
        return self._tiles.labels()

    def label(self, name: str) -> Label:
        """Return the label map of a tile: uint8 (H, W), 0..6."""
        return self._tiles.label(name)

    def image(self, name: str) -> Image:
        """Return a tile: RGB uint8 (H, W, 3)."""
        return self._tiles.image(name)

    def image_size(self, name: str) -> tuple[int, int]:
        """Return (height, width) of a tile."""
        return self._tiles.image_size(name)

    def photo_path(self, name: str) -> Path:
        """Return the file of the tile, or of the photo that it is cut from."""
        return self._tiles.photo_path(name)
