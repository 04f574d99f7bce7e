"""HSNet's episodes: one stream of random numbers for the whole list (juhongm999/hsnet, data/)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from fssbench.episode.episode import Episode
from fssbench.episode.samplers.lists import ImageLists, draw_one


def draw_supports(random: np.random.RandomState, names: Sequence[str], query: str, shot: int) -> tuple[str, ...]:
    """Draw K supports of one class, each anything but the query.

    Quirk of the release: nothing keeps a support from being drawn twice.

    Args:
        random: The stream; it moves by one draw per support and one more for each time the query is hit.
        names: The class's images in list order; at least one of them is not the query.
        query: Name of the query.
        shot: K.
    """
    supports: list[str] = []
    while len(supports) < shot:
        name = draw_one(random, names)
        if name != query:
            supports.append(name)
    return tuple(supports)


def listed(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield episodes whose queries run through the list in order and start again (PASCAL-5i)."""
    del way
    random = np.random.RandomState(seed)
    for number in range(count):
        query, class_id = lists.entries[number % len(lists.entries)]
        supports = draw_supports(random, lists.by_class[class_id], query, shot)
        yield Episode(query, (class_id,), (supports,), class_id)


def drawn(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield episodes of a class drawn uniformly, then a query from its list, then supports (COCO-20i)."""
    del way
    random = np.random.RandomState(seed)
    classes = list(lists.by_class)
    for _ in range(count):
        class_id = draw_one(random, classes)
        names = lists.by_class[class_id]
        query = draw_one(random, names)
        yield Episode(query, (class_id,), (draw_supports(random, names, query, shot),), class_id)


def every_image(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield one episode per image, in list order, at most `count` (FSS-1000).

    The release draws the number of a support's file from 1 to 10, not its place in the list, where 10 comes
    before 2. So the supports are drawn from the class's images in order of their numbers.
    """
    del way
    random = np.random.RandomState(seed)
    numbered = {class_id: sorted(names, key=_number) for class_id, names in lists.by_class.items()}
    for query, class_id in lists.entries[:count]:
        yield Episode(query, (class_id,), (draw_supports(random, numbered[class_id], query, shot),), class_id)


def _number(name: str) -> tuple[int, str]:
    """Return the last number in an image name, and the name to decide between equals."""
    numbers = re.findall(r"\d+", name)
    return (int(numbers[-1]) if numbers else 0, name)
