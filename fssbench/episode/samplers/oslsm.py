"""OSLSM's episodes: items without replacement (lzzcd001/OSLSM@d5312de, code/ss_datalayer.py)."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import TypeVar

from fssbench.episode.episode import Episode
from fssbench.episode.samplers.lists import ImageLists

T = TypeVar("T")

CYCLE = 1000
"""After so many episodes the release begins again."""


def shuffle(random: Random, items: list[T]) -> None:
    """Shuffle in place as Python 2 does, in which the release is written: Python 3 uses the generator otherwise."""
    for last in range(len(items) - 1, 0, -1):
        other = int(random.random() * (last + 1))
        items[last], items[other] = items[other], items[last]


def listed(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield episodes whose queries run through a shuffle of the list, then through a new one; supports differ.

    The supports are the first K of a shuffle of the other images of the class.

    Args:
        lists: The data set's own lists, by image and then by class. On PASCAL-5i the release makes these very lists.
        way: 1.
        shot: K.
        count: How many.
        seed: Of `random`.
    """
    del way
    places = {class_id: {name: n for n, name in enumerate(names)} for class_id, names in lists.by_class.items()}
    random, queries = Random(seed), list[tuple[str, int]]()  # noqa: S311 - the generator of the release
    for number in range(count):
        if number % CYCLE == 0:
            random, queries = Random(seed), []  # noqa: S311
        if not queries:
            queries = list(lists.entries)
            shuffle(random, queries)
            queries.reverse()
        query, class_id = queries.pop()
        names = lists.by_class[class_id]
        others = [n for n in range(len(names)) if n != places[class_id][query]]
        shuffle(random, others)
        yield Episode(query, (class_id,), (tuple(names[n] for n in others[:shot]),), class_id)
