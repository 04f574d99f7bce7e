"""Matcher's episodes of parts: photos are drawn, and an object in each (aim-uofa/Matcher@d59b6c7, matcher/data/)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from fssbench.datasets.release_lists import PhotoObjects
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


def parts_drawn(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield 1-way episodes of PACO-Part: class, photos and objects are drawn (paco_part.py, `load_frame`).

    As in HSNet's release, a support may be drawn twice. An episode with an empty box is drawn again as a whole, as in
    INSID3's release; Matcher's and GF-SAM's stop with an error there.

    Args:
        lists: Photos and objects by class; each class has two photos with an object whose box is not empty.
        way: 1.
        shot: K.
        count: Number of episodes.
        seed: The seed of the stream.
    """
    del way
    random = np.random.RandomState(seed)
    classes = list(lists.objects)
    drawn = 0
    while drawn < count:
        class_id = draw_one(random, classes)
        photos = lists.objects[class_id]
        query = draw_one(random, photos)
        images = [draw_one(random, query.images)]
        while len(images) < shot + 1:
            support = draw_one(random, photos)
            if support.photo != query.photo:
                images.append(draw_one(random, support.images))
        whole = [image for image in images if image is not None]
        if len(whole) == len(images):
            drawn += 1
            yield Episode(whole[0], (class_id,), (tuple(whole[1:]),), class_id)


def _draw_part(random: np.random.RandomState, photos: Sequence[PhotoObjects], used: Collection[str]) -> tuple[str, str]:
    """Return a photo and the image of one of its objects; a photo in use, or an object without the part, is redrawn."""
    while True:
        drawn = draw_one(random, photos)
        if drawn.photo in used or not drawn.images:
            continue
        image = draw_one(random, drawn.images)
        if image is not None:
            return drawn.photo, image
