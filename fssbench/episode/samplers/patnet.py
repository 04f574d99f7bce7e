"""PATNet's episodes: the classes in turn (slei109/PATNet@0155c5f, data/deepglobe.py, data/isic.py, data/lung.py)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fssbench.episode.episode import Episode
from fssbench.episode.samplers.hsnet import draw_supports
from fssbench.episode.samplers.lists import ImageLists, draw_one


def in_turn(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield 1-way episodes: episode i has class i mod C; query and supports are drawn from one stream.

    As in HSNet's release, a support may be drawn twice.
    """
    del way
    random = np.random.RandomState(seed)
    classes = list(lists.by_class)
    for number in range(count):
        class_id = classes[number % len(classes)]
        names = lists.by_class[class_id]
        query = draw_one(random, names)
        yield Episode(query, (class_id,), (draw_supports(random, names, query, shot),), class_id)
