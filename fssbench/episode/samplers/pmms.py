"""The episodes of PMMs and RPMMs (Yang-Bob/PMMs@100d66b, data/voc_val.py and data/coco_val.py)."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np

from fssbench.episode.episode import Episode
from fssbench.episode.samplers.lists import ImageLists, draw_one


def listed(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield 1-way episodes whose queries run through the list; at its end, the list is shuffled and starts again.

    Args:
        lists: The lists of the fold.
        way: 1.
        shot: K. A single support is drawn until it is not the query; several are a sample of the other images.
        count: Number of episodes.
        seed: Seed of the release's own generator, which starts again in each fold.
    """
    del way
    random = Random(seed)  # noqa: S311 - the generator of the release
    entries, place = list(lists.entries), 0
    for _ in range(count):
        if place == len(entries):
            random.shuffle(entries)
            place = 0
        query, class_id = entries[place]
        place += 1
        names = list(lists.by_class[class_id])
        if shot == 1:
            support = query
            while support == query:
                support = names[random.randint(0, len(names) - 1)]
            supports = [support]
        else:
            names.remove(query)
            supports = random.sample(names, shot)
        yield Episode(query, (class_id,), (tuple(supports),), class_id)


def drawn(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield 1-way episodes: a class is drawn uniformly, then K + 1 different images of it; the first is the query.

    Args:
        lists: The lists of the fold.
        way: 1.
        shot: K.
        count: Number of episodes.
        seed: Seed of NumPy's global generator, which the release does not seed.
    """
    del way
    random = np.random.RandomState(seed)
    classes = list(lists.by_class)
    for _ in range(count):
        class_id = draw_one(random, classes)
        names = lists.by_class[class_id]
        query, *supports = (names[place] for place in random.permutation(len(names))[: shot + 1])
        yield Episode(query, (class_id,), (tuple(supports),), class_id)
