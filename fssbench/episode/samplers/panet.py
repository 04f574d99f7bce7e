"""PANet's episodes: drawn in the main process before the run begins (kaixin96/PANet@1695bf3, dataloaders/)."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from fssbench.episode.episode import Episode
from fssbench.episode.samplers.lists import ImageLists


def drawn(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield 1-way episodes of a class drawn uniformly, then K + 1 different images of it, the last the query.

    Args:
        lists: Images by class, whatever the area of the class.
        way: 1.
        shot: K.
        count: How many.
        seed: What the release seeds `random` with before the run.
    """
    random = Random(seed)  # noqa: S311 - the generator of the release
    random.choices(range(way), k=1)  # The release draws of which way the query is, once a run.
    classes = list(lists.by_class)
    for _ in range(count):
        class_id = classes[random.sample(range(len(classes)), k=1)[0]]
        names = lists.by_class[class_id]
        *supports, query = (names[place] for place in random.sample(range(len(names)), k=shot + 1))
        yield Episode(query, (class_id,), (tuple(supports),), class_id)
