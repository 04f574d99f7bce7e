"""Matcher's episodes of parts: photos are drawn, and an object in each (aim-uofa/Matcher@d59b6c7, matcher/data/)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from fssbench.datasets.dataset import PhotoObjects
from fssbench.episode.episode import Episode
from fssbench.episode.samplers.lists import ImageLists, draw_one


def parts_in_turn(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield 1-way episodes of PASCAL-Part: episode i has class i mod C (pascal_part.py, `sample_episode`).

    The photos of an episode differ. GF-SAM's and INSID3's releases draw the same.

    Args:
        lists: Photos and objects by class; each class has K + 1 photos with an object that has the part.
        way: 1.
        shot: K.
        count: Number of episodes.
        seed: The seed of the stream.
    """
    del way
    random = np.random.RandomState(seed)
    classes = list(lists.objects)
    for number in range(count):
        class_id = classes[number % len(classes)]
        photo, query = _draw_part(random, lists.objects[class_id], ())
        used = {photo}
        supports: list[str] = []
        while len(supports) < shot:
            photo, support = _draw_part(random, lists.objects[class_id], used)
            used.add(photo)
            supports.append(support)
        yield Episode(query, (class_id,), (tuple(supports),), class_id)


def _draw_part(random: np.random.RandomState, photos: Sequence[PhotoObjects], used: Collection[str]) -> tuple[str, str]:
    """Return a photo and the image of one of its objects; a photo in use, or an object without the part, is redrawn."""
    while True:
        drawn = draw_one(random, photos)
        if drawn.photo in used or not drawn.images:
            continue
        image = draw_one(random, drawn.images)
        if image is not None:
            return drawn.photo, image
