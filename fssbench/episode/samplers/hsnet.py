"""HSNet's episodes: one stream of random numbers for the whole list (juhongm999/hsnet, data/)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from fssbench.episode.episode import Episode
from fssbench.episode.samplers.lists import ImageLists, draw_one


def draw_supports(random: np.random.RandomState, names: Sequence[str], query: str, shot: int) -> tuple[str, ...]:
    """Draw K supports of one class, none of them the query.

    Quirk of the release: a support may be drawn twice.

    Args:
        random: The stream; it advances by one draw per support, and by one more each time the query is drawn.
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
    """Yield episodes whose queries run through the list in order, again and again (PASCAL-5i)."""
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

    The release draws the number of a support's file from 1 to 10, not its index in the list, where 10 comes before 2.
    So supports are drawn from the images of the class in the order of their numbers.
    """
    del way
    random = np.random.RandomState(seed)
    numbered = {class_id: sorted(names, key=_number) for class_id, names in lists.by_class.items()}
    for query, class_id in lists.entries[:count]:
        yield Episode(query, (class_id,), (draw_supports(random, numbered[class_id], query, shot),), class_id)


def _number(name: str) -> tuple[int, str]:
    """Return the sort key of an image name: the last number in it, then the name."""
    numbers = re.findall(r"\d+", name)
    return (int(numbers[-1]) if numbers else 0, name)
