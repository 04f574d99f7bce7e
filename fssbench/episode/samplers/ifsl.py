"""iFSL's episodes: each episode has its own random stream (dahyun-kang/ifsl, fs-s/data and fs-cs/data)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fssbench.episode.episode import Episode
from fssbench.episode.samplers import hsnet
from fssbench.episode.samplers.lists import ImageLists, draw_one


def episode_stream(seed: int, number: int) -> np.random.RandomState:
    """Return the random stream of one episode.

    Seed 0 is the release, which seeds with the number of the episode. Any other seed gives the stream of the pair
    (seed, number), which is different for every seed and episode.
    """
    return np.random.RandomState(number if seed == 0 else [seed, number])


def fss_listed(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield 1-way episodes whose queries run through the list in order, again and again (fs-s, PASCAL-5i)."""
    del way
    for number in range(count):
        random = episode_stream(seed, number)
        query, class_id = lists.entries[number % len(lists.entries)]
        supports = hsnet.draw_supports(random, lists.by_class[class_id], query, shot)
        yield Episode(query, (class_id,), (supports,), class_id)


def fss_drawn(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield 1-way episodes of a class drawn uniformly, then a query, then supports (fs-s, COCO-20i)."""
    del way
    classes = list(lists.by_class)
    for number in range(count):
        random = episode_stream(seed, number)
        class_id = draw_one(random, classes)
        names = lists.by_class[class_id]
        query = draw_one(random, names)
        yield Episode(query, (class_id,), (hsnet.draw_supports(random, names, query, shot),), class_id)


def fscs_listed(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield N-way episodes whose queries run through the list in order, again and again (fs-cs, PASCAL-5i)."""
    for number in range(count):
        random = episode_stream(seed, number)
        query, query_class = lists.entries[number % len(lists.entries)]
        yield _fscs_episode(random, lists, query, query_class, way, shot)


def fscs_drawn(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield N-way episodes of a query class drawn uniformly, then a query from its list (fs-cs, COCO-20i)."""
    classes = list(lists.by_class)
    for number in range(count):
        random = episode_stream(seed, number)
        query_class = draw_one(random, classes)
        query = draw_one(random, lists.by_class[query_class])
        yield _fscs_episode(random, lists, query, query_class, way, shot)


def _fscs_episode(
    random: np.random.RandomState, lists: ImageLists, query: str, query_class: int, way: int, shot: int
) -> Episode:
    """Draw the classes and the supports of one FS-CS episode.

    In the draw, the class of the query has the weight 1/2, and the other n - 1 classes of the fold share the other
    half. The order of the draw is the order of the ways.
    """
    classes = list(lists.by_class)
    weights = np.full(len(classes), 0.5 / (len(classes) - 1))
    weights[classes.index(query_class)] = 0.5
    chosen = tuple(int(c) for c in random.choice(classes, way, replace=False, p=weights))
    supports = tuple(_distinct_supports(random, lists.by_class[c], query, shot) for c in chosen)
    return Episode(query, chosen, supports, query_class)


def _distinct_supports(random: np.random.RandomState, names: Sequence[str], query: str, shot: int) -> tuple[str, ...]:
    """Draw K different supports of one class, none of them the query; another class may have the same image."""
    supports: list[str] = []
    while len(supports) < shot:
        name = draw_one(random, names)
        if name != query and name not in supports:
            supports.append(name)
    return tuple(supports)
