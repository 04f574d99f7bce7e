"""FSSDINO's episodes on COCO, from Python's generator (hussni0997/fssdino@2485898, fssdino/dataset/coco.py)."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from fssbench.episode.episode import Episode
from fssbench.episode.samplers.lists import ImageLists


def drawn(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield episodes of classes drawn uniformly; the query shows the first of them, and they are sorted afterwards.

    With one way query and supports are different images. Quirk: with several ways the query can also be a support.

    Args:
        lists: Images by class, those with a large object of it.
        way: N.
        shot: K.
        count: Number of episodes.
        seed: The seed that the release gives to `random` before the run.
    """
    random = Random(seed)  # noqa: S311 - the generator of the release
    classes = list(lists.by_class)
    for _ in range(count):
        if way == 1:
            class_id = random.choice(classes)
            query, *supports = random.sample(lists.by_class[class_id], shot + 1)
            yield Episode(query, (class_id,), (tuple(supports),), class_id)
            continue
        chosen = random.sample(classes, way)
        query = random.choice(lists.by_class[chosen[0]])
        by_class = {class_id: tuple(random.sample(lists.by_class[class_id], shot)) for class_id in chosen}
        ordered = tuple(sorted(chosen))
        yield Episode(query, ordered, tuple(by_class[class_id] for class_id in ordered), chosen[0])
