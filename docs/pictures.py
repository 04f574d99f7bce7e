"""Draw the pictures of the documentation: python docs/pictures.py. They show shapes20i, which needs no photo."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

import fssbench
from fssbench.photos import Segmentation
from fssbench.photos.overlay import overlay

FOLDER = Path(__file__).parent / "pictures"
GAP = 8
SIDE = 288
EPISODES = (11, 28, 23)


def segment() -> PillowImage.Image:
    """Return supports above queries, as `fssbench segment --overlay` draws them, by ASNet's weights for fold 0."""
    dataset = fssbench.open_dataset("shapes20i")
    drawn = fssbench.episodes(dataset, fold=0, way=1, shot=1, protocol="shapes", count=60)
    columns = []
    for number in EPISODES:
        episode = drawn[number]
        name, support = dataset.class_names[episode.classes[0]], episode.supports[0][0]
        photo, mask = dataset.image(support), dataset.label(support) == episode.classes[0]
        query = dataset.image(episode.query)
        found = fssbench.segment(
            query, photo, mask, name, method="asnet", backbone="small", train_dataset="shapes20i", fold=0
        )
        assert isinstance(found, Segmentation)
        share = f"{name} {100 * found.shares[0]:.1f} %"
        columns.append(
            (
                overlay(photo, mask.astype(np.uint8), {1: f"support: {name}"}),
                overlay(query, found.labels, {1: share}),
            )
        )
    sheet = PillowImage.new("RGB", (len(columns) * (SIDE + GAP) - GAP, 2 * SIDE + GAP), "white")
    for x, column in enumerate(columns):
        for y, png in enumerate(column):
            tile = PillowImage.open(BytesIO(png)).resize((SIDE, SIDE), PillowImage.Resampling.LANCZOS)
            sheet.paste(tile, (x * (SIDE + GAP), y * (SIDE + GAP)))
    return sheet


def main() -> None:
    """Write all pictures."""
    FOLDER.mkdir(exist_ok=True)
    # A palette of 256 colours makes the file a third as large.
    segment().quantize(256, dither=PillowImage.Dither.NONE).save(FOLDER / "segment.png", optimize=True)


if __name__ == "__main__":
    main()
