"""CANet's episodes, all drawn before the evaluation (icoz69/CaNet@fdce946, dataset_mask_val.py).

SCL_CANet of zbf1991/SCL@872233a draws in the same way, also with 5 shots.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from fssbench.episode.episode import Episode
from fssbench.episode.samplers.lists import ImageLists


def listed(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield episodes whose queries run through the list, then through two shuffles of it; supports are distinct.

    The release evaluates 1,000 episodes, which three rounds suffice for in every fold of PASCAL-5i. For more episodes,
    the same three rounds start again here.

    Args:
        lists: The data set's own lists.
        way: 1.
        shot: K.
        count: Number of episodes.
        seed: Seed of `random`, which the release does not seed.
    """
    del way
    random = Random(seed)  # noqa: S311 - the generator of the release
    rounds = [list(lists.entries) for _ in range(3)]
    for shuffled in rounds[1:]:
        random.shuffle(shuffled)
    queries = [entry for of_round in rounds for entry in of_round]
    for number in range(count):
        query, class_id = queries[number % len(queries)]
        names = lists.by_class[class_id]
        supports: list[str] = []
        while len(supports) < shot:
            name = names[random.randint(0, len(names) - 1)]
            if name != query and name not in supports:
                supports.append(name)
        yield Episode(query, (class_id,), (tuple(supports),), class_id)
