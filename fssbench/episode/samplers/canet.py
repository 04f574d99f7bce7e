"""CANet's episodes, drawn before the first is asked (icoz69/CaNet@fdce946, dataset_mask_val.py).

SCL_CANet of zbf1991/SCL@872233a draws alike, with 5 shots too.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from fssbench.episode.episode import Episode
from fssbench.episode.samplers.lists import ImageLists


def listed(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield episodes whose queries run through the list, then through two shuffles of it; supports differ.

    The release asks 1,000, which every fold of PASCAL-5i has after three rounds. Beyond that, here the same three
    rounds begin again.

    Args:
        lists: The data set's own lists.
        way: 1.
        shot: K.
        count: How many.
        seed: Of `random`, which the release does not seed.
    """
    del way
    random = Random(seed)  # noqa: S311 - the generator of the release
    rounds = [list(lists.entries) for _ in range(3)]
    for shuffled in rounds[1:]:
        random.shuffle(shuffled)
    queries = [entry for one in rounds for entry in one]
    for number in range(count):
        query, class_id = queries[number % len(queries)]
        names = lists.by_class[class_id]
        supports: list[str] = []
        while len(supports) < shot:
            name = names[random.randint(0, len(names) - 1)]
            if name != query and name not in supports:
                supports.append(name)
        yield Episode(query, (class_id,), (tuple(supports),), class_id)
