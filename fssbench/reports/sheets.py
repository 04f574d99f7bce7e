"""Contact sheets: images of a data set with their masks, or the episodes of a list."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as PillowImage

from fssbench.errors import UsageError, unknown_name
from fssbench.figures.palette import COLOURS, MISSED, VERMILION
from fssbench.label_values import IGNORE
from fssbench.reports.panels import Tile, drawn
from fssbench.reports.pictures import mask_layer, shown_labels, shown_photo, shown_size

if TYPE_CHECKING:
    from fssbench.datasets.dataset import Dataset, Split
    from fssbench.episode import Episode

SIDE = 200
"""Longer side of a picture on a sheet, in pixels."""
COLUMNS = 6
_NAME = 12


def class_of(dataset: Dataset, name: str) -> int:
    """Return the label value of a class.

    Args:
        dataset: The opened data set.
        name: Its name, in any case, or the value.

    Raises:
        UsageError: If there is no such class, with the nearest names.
    """
    by_name = {text.lower(): value for value, text in dataset.class_names.items()}
    if name.isdecimal() and int(name) in dataset.class_names:
        return int(name)
    if name.lower() not in by_name:
        raise unknown_name("class", name, by_name)
    return by_name[name.lower()]


def images_of(dataset: Dataset, fold: int | None, class_id: int | None, split: Split) -> list[tuple[str, int]]:
    """Return the images and classes in the lists of a data set.

    Args:
        dataset: The opened data set.
        fold: One fold; None for all.
        class_id: One class; None for all.
        split: The split.

    Raises:
        UsageError: If there is no such fold, or the class has no image in it.
    """
    folds = range(dataset.fold_count) if fold is None else [dataset.check_fold(fold)]
    found = [
        (str(name), int(value))
        for one in folds
        for name, value in dataset.entries(one, split)[["name", "class_id"]].itertuples(index=False, name=None)
        if class_id is None or int(value) == class_id
    ]
    if not found:
        what = "no image" if class_id is None else f"no image of {dataset.class_names[class_id]}"
        where = "in its lists" if fold is None else f"in the lists of fold {fold}"
        raise UsageError(f"{dataset.name} has {what} {where}", "leave --fold or --class out")
    return list(dict.fromkeys(found))


def image_sheets(
    dataset: Dataset, images: Sequence[tuple[str, int]], title: str, *, rim: bool = False, rows: int = 4
) -> list[bytes]:
    """Return sheets of images with the mask of a class, as PNG.

    Args:
        dataset: The opened data set.
        images: The name of each image and the class that is outlined in it.
        title: The first line of each sheet.
        rim: Whether the ignore region (255) is outlined instead of the class.
        rows: Rows of a sheet.

    Raises:
        MissingError: If a file is missing.
        BrokenFileError: If one can't be read.
    """
    tiles = [_image_tile(dataset, name, class_id, rim=rim) for name, class_id in images]
    return _in_sheets([tiles[start : start + COLUMNS] for start in range(0, len(tiles), COLUMNS)], title, rows)


def _image_tile(dataset: Dataset, name: str, class_id: int, *, rim: bool) -> Tile:
    photo, label = dataset.image(name), dataset.label(name)
    size = shown_size((photo.shape[0], photo.shape[1]), SIDE)
    labels = shown_labels(label, size)
    if rim:
        share = float((label == IGNORE).mean()) if label.dtype == np.uint8 else 0.0
        layer = mask_layer(labels, {class_id: MISSED, IGNORE: VERMILION} if share else {class_id: MISSED}, tint=90)
        text = f"{100 * share:.1f} %, {_short(name)}"
    else:
        layer = mask_layer(labels, {class_id: VERMILION}, tint=80)
        text = f"{dataset.class_names[class_id]}, {_short(name)}"
    return Tile(PillowImage.fromarray(layer.on(shown_photo(photo, size))), text)


def _short(name: str) -> str:
    """Return the end of an image's name, by which it differs from others: "…00283113"."""
    bare = re.sub(r"\.[A-Za-z]{2,5}$", "", name)
    return bare if len(bare) <= _NAME else f"…{bare[-_NAME + 4 :]}"


def episode_sheets(
    dataset: Dataset, episodes: Sequence[tuple[str, Episode]], title: str, *, rows: int = 4
) -> list[bytes]:
    """Return sheets of episodes, a row for each: its supports, the query, and its classes in the query, as PNG.

    Args:
        dataset: The opened data set.
        episodes: The id of each episode, and the episode.
        title: The first line of each sheet.
        rows: Episodes of a sheet.

    Raises:
        MissingError: If a file is missing.
        BrokenFileError: If one can't be read.
    """
    found = []
    for name, episode in episodes:
        tiles = []
        for place, class_id in enumerate(episode.classes):
            colour = COLOURS[place % len(COLOURS)]
            for support in episode.supports[place]:
                photo = dataset.image(support)
                size = shown_size((photo.shape[0], photo.shape[1]), SIDE)
                layer = mask_layer(shown_labels(dataset.label(support), size), {class_id: colour}, tint=80)
                shown = PillowImage.fromarray(layer.on(shown_photo(photo, size)))
                tiles.append(Tile(shown, f"support, {dataset.class_names[class_id]}"))
        photo = dataset.image(episode.query)
        size = shown_size((photo.shape[0], photo.shape[1]), SIDE)
        plain = shown_photo(photo, size)
        colours = {class_id: COLOURS[n % len(COLOURS)] for n, class_id in enumerate(episode.classes)}
        truth = mask_layer(shown_labels(dataset.label(episode.query), size), colours)
        tiles += [Tile(PillowImage.fromarray(plain), f"{name}, query")]
        tiles += [Tile(PillowImage.fromarray(truth.on(plain)), "truth")]
        found.append(tiles)
    return _in_sheets(found, title, rows)


def _in_sheets(lines: Sequence[Sequence[Tile]], title: str, rows: int) -> list[bytes]:
    parts = [lines[start : start + rows] for start in range(0, len(lines), rows)]
    count = len(parts)
    # One row of tiles is one row of the panel without a title; the legend of errors has no place here.
    return [
        drawn(f"{title}, {number} of {count}" if count > 1 else title, [("", line) for line in part], legend=False)
        for number, part in enumerate(parts, 1)
    ]
