"""FPTrans's episodes: queries run through orders of the list that are drawn, with one stream of NumPy's for all.

Jarvis73/FPTrans@4a52926, data_kits/voc_coco.py (`SemData.sample_tasks`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fssbench.episode.episode import Episode
from fssbench.episode.samplers.lists import ImageLists


def listed(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield 1-way episodes whose queries run through all images of the lists in a drawn order, then in another.

    The area rule decides which images are queries and supports. The class is drawn from those with any pixel in the
    query, and supports until they are different images, none of them the query.

    Args:
        lists: Lists with the classes in each image (`ImageLists.held`).
        way: 1.
        shot: K.
        count: Number of episodes.
        seed: The seed of the release's stream.
    """
    del way
    queries = tuple(dict.fromkeys(name for name, _ in lists.entries))
    stream, order = np.random.RandomState(seed), np.empty(0, int)
    for number in range(count):
        if number % len(queries) == 0:
            order = stream.permutation(len(queries))
        query = queries[order[number % len(queries)]]
        class_id = int(stream.choice(lists.held[query]))
        names = lists.by_class[class_id]
        supports: list[str] = []
        while len(supports) < shot:
            name = names[int(stream.choice(len(names)))]
            if name != query and name not in supports:
                supports.append(name)
        yield Episode(query, (class_id,), (tuple(supports),), class_id)
