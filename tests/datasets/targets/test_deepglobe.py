"""DeepGlobe: tiles that are cut here, and those in the folders of PATNet's loader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from fssbench import open_dataset
from fssbench.datasets.checks import check
from fssbench.datasets.targets.deepglobe import DeepGlobe
from fssbench.datasets.targets.deepglobe_tiles import facts, is_kept, tile_of
from fssbench.errors import BrokenFileError, MissingError, UsageError
from tests.datasets.trees import label_map, save_mask, save_photo, truncate

COLOURS = np.array(
    [(0, 0, 0), (255, 255, 0), (0, 255, 255), (255, 0, 255), (0, 255, 0), (0, 0, 255), (255, 255, 255)], dtype=np.uint8
)
"""Unknown, agriculture, urban, rangeland, forest, water, barren, as DeepGlobe colours them."""

SIDE = 120
"""Of a photo: its tiles have 20 x 20 pixels."""

LABEL = label_map((1, 0, 0, 120, 120), (5, 0, 10, 20, 10), (2, 20, 0, 20, 1), (3, 20, 30, 20, 1), size=(SIDE, SIDE))
"""Tile 00 is agriculture and water by halves, tile 10 has 5 % of urban, tile 11 5 % of rangeland, others one class."""


def photo_tree(root: Path, labels: dict[str, npt.NDArray[np.uint8]]) -> Path:
    folder = root / "Deepglobe" / "train"
    for name, label in labels.items():
        save_mask(folder / f"{name}_mask.png", COLOURS[label])
        save_photo(folder / f"{name}_sat.jpg", (label.shape[0], label.shape[1]))
    return folder.parent


def tile_tree(folder: Path, source: DeepGlobe, mask: str = "{head}_sat_{place}") -> Path:
    """The folders of PATNet's loader, made of the tiles of another data set."""
    for name, class_id in source.entries(0).itertuples(index=False, name=None):
        head, _, place = name.rpartition("_sat_")
        inner = folder / str(class_id) / "test"
        binary = (source.label(name) == class_id).astype(np.uint8) * 255
        save_mask(inner / "groundtruth" / f"{mask.format(head=head, place=place)}.png", binary)
        (inner / "origin").mkdir(exist_ok=True)
        Image.fromarray(source.image(name)).save(inner / "origin" / f"{name}.jpg", quality=95)
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return photo_tree(tmp_path, {"12": LABEL, "119": LABEL})


def opened(root: Path) -> DeepGlobe:
    dataset = open_dataset("deepglobe", root)
    assert isinstance(dataset, DeepGlobe)
    return dataset


def test_tiles_with_several_large_colours_are_asked(photos: Path) -> None:
    dataset = opened(photos.parent)
    assert dataset.image_names == tuple(f"{n}_sat_{place}" for n in ("119", "12") for place in ("00", "10", "11"))
    rows = list(dataset.index("test").itertuples(index=False, name=None))
    assert rows[:4] == [("119_sat_00", 1, 200), ("119_sat_00", 5, 200), ("119_sat_10", 1, 380), ("119_sat_10", 2, 20)]
    assert list(dataset.class_names.values()) == ["agriculture", "urban", "rangeland", "forest", "water", "barren"]
    assert dataset.list_order == "canonical (by name), tiles cut here"


@pytest.mark.parametrize(
    ("pixels", "asked"),
    [
        ([(400, 1)], False),
        ([(200, 1), (200, 5)], True),
        ([(380, 1), (20, 5)], True),
        ([(381, 1), (19, 5)], False),
        ([(361, 1), (20, 5), (19, 0)], False),
        ([(360, 1), (20, 5), (20, 0)], True),
    ],
)
def test_each_colour_has_to_be_on_more_than_4_8_percent(pixels: list[tuple[int, int]], asked: bool) -> None:
    codes = np.concatenate([np.full(count, code, dtype=np.uint8) for count, code in pixels]).reshape(20, 20)
    assert is_kept(codes) is asked


def test_tiles_cover_a_photo_once_as_the_script_cuts() -> None:
    picture = np.arange(2448 * 2450, dtype=np.int64).reshape(2448, 2450)
    tiles = [tile_of(picture, row, column) for row in range(6) for column in range(6)]  # type: ignore[arg-type]
    assert sum(tile.size for tile in tiles) == picture.size
    assert {tile.shape for tile in tiles} == {(408, 408), (408, 409)}
    assert tiles[7][0, 0] == picture[int(1 * 2448 / 6), int(1 * 2450 / 6)]


def test_a_tile_is_a_part_of_photo_and_mask(photos: Path) -> None:
    dataset = opened(photos)
    with Image.open(photos / "train" / "12_sat.jpg") as picture:
        whole = np.array(picture)
    assert (dataset.image("12_sat_10") == whole[20:40, 0:20]).all()
    assert (dataset.label("12_sat_10") == LABEL[20:40, 0:20]).all()
    assert dataset.image_size("12_sat_10") == (20, 20)


def test_folders_of_tiles_ask_the_same(photos: Path, tmp_path: Path) -> None:
    cut = opened(photos)
    for folder, mask in (("a", "{head}_sat_{place}"), ("b/04_train_cat", "{head}_mask_{place}")):
        root = tile_tree(tmp_path / folder, cut, mask)
        prepared = opened(root.parent if root.name == "04_train_cat" else root)
        assert prepared.index("test").equals(cut.index("test"))
        assert all((prepared.label(name) == cut.label(name)).all() for name in cut.image_names)
        assert prepared.image("12_sat_00").shape == (20, 20, 3)
        assert prepared.list_order == "canonical (by name), tiles as prepared"
        assert check(prepared).complete


def test_a_mask_changed_since_is_read_again(photos: Path) -> None:
    before = opened(photos)
    assert before.label("12_sat_55").max() == 1
    save_mask(photos / "train" / "12_mask.png", COLOURS[np.full((SIDE, SIDE), 4, dtype=np.uint8)])
    assert opened(photos).label("12_sat_55").max() == 4


def test_no_number_of_tiles_is_known_to_compare_with(photos: Path) -> None:
    report = check(opened(photos))
    assert report.complete
    assert {count.official for count in report.counts} == {None}
    (photos / "train" / "12_sat.jpg").unlink()
    truncate(photos / "train" / "119_mask.png", 0.6)
    report = check(opened(photos))
    assert "119_mask.png is truncated" in report.broken[0]


def test_what_is_missing_or_broken(photos: Path, tmp_path: Path) -> None:
    dataset, empty = opened(photos), tmp_path / "empty"
    empty.mkdir()
    for name in ("12", "12_sat_6x", "12_sat_06", "12_sat_012", "a/12_sat_00"):
        with pytest.raises(UsageError, match="is not a tile of deepglobe"):
            dataset.label(name)
    with pytest.raises(MissingError, match=r"13_mask\.png"):
        dataset.label("13_sat_00")
    with pytest.raises(MissingError, match="neither PATNet's folders"):
        opened(empty)
    prepared = tile_tree(tmp_path / "c", dataset)
    save_mask(prepared / "5" / "test" / "groundtruth" / "12_sat_00.png", label_map((255, 0, 0, 3, 3), size=(5, 5)))
    with pytest.raises(BrokenFileError, match="another size than the masks of the other classes"):
        opened(prepared).index("test")
    (prepared / "5" / "test" / "groundtruth" / "12_sat_00.png").unlink()
    with pytest.raises(MissingError, match="there is no mask"):
        opened(prepared).index("test")
    with pytest.raises(UsageError, match="is not a tile of deepglobe in"):
        opened(prepared).label("12_sat_55")


def test_the_colours_are_those_of_the_release() -> None:
    assert [int(facts().values[(r > 0) * 4 + (g > 0) * 2 + (b > 0)]) for r, g, b in COLOURS.tolist()] == list(range(7))
