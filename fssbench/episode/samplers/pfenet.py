"""The PFENet family's episodes: one stream of random numbers per process of PyTorch's loader (util/dataset.py).

dvlab-research/PFENet@a505675, and the same draws in NTRENet@1fe13ad, BAM@c0f935c, SCL@872233a and ASGNet@cd898c5.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

import numpy as np

from fssbench.episode.episode import Episode
from fssbench.episode.samplers.lists import ImageLists

_CHUNK = 1 << 22
"""Numbers that are passed over at once."""


def base_seeds(seed: int, drawn: int = 0) -> Iterator[int]:
    """Yield the base seeds that PyTorch draws each time its loader starts, after `torch.manual_seed(seed)`.

    A base seed is `torch.empty((), dtype=torch.int64).random_()` on the generator of the CPU, a Mersenne Twister with
    32 bits: it joins two numbers, the higher half first, without the sign bit. Process w of the loader seeds `random`
    with the base seed + w.

    Args:
        seed: From 0 to 2**32 - 1.
        drawn: How many numbers of 32 bits were taken from the generator before.
    """
    generator = np.random.RandomState(seed)
    for start in range(0, drawn, _CHUNK):
        generator.randint(0, 1 << 32, min(_CHUNK, drawn - start), dtype=np.uint32)
    while True:
        high, low = generator.randint(0, 1 << 32, 2, dtype=np.uint32).tolist()
        yield (high << 32 | low) & (1 << 63) - 1


def worker_streams(seed: int, length: int, workers: int) -> Iterator[Random]:
    """Yield the random stream for each item of a list, where a loader passes over the list again and again.

    Item i of the list is loaded by process i mod W. Each pass starts new processes with new streams.

    Args:
        seed: The seed that the release gives to PyTorch before the first pass.
        length: Length of the list.
        workers: W, the number of processes of the loader.
    """
    for base_seed in base_seeds(seed):
        streams = [Random(base_seed + worker) for worker in range(workers)]  # noqa: S311 - the generator of the release
        for item in range(length):
            yield streams[item % workers]


def draw_supports(random: Random, names: Sequence[str], query: str, shot: int) -> tuple[str, ...]:
    """Draw K different supports of one class, none of them the query, in the order in which they are drawn.

    Quirk of the releases: each shot begins with a draw that is discarded.

    Args:
        random: The stream of the process.
        names: The class's images in list order; at least K of them are not the query.
        query: Name of the query.
        shot: K.
    """
    supports: list[str] = []
    while len(supports) < shot:
        random.randint(1, len(names))
        name = query
        while name == query or name in supports:
            name = names[random.randint(1, len(names)) - 1]
        supports.append(name)
    return tuple(supports)


def _stacked(supports: tuple[str, ...]) -> tuple[str, ...]:
    """Return supports in the order in which the network gets them: each is put before the earlier ones (a quirk)."""
    return supports[::-1]


def listed(lists: ImageLists, shot: int, count: int, seed: int, workers: int) -> Iterator[Episode]:
    """Yield 1-way episodes whose queries run through the images of the list in order, again and again.

    The area rule decides which images are queries and supports. The class of an episode is drawn from all classes of
    the fold that have any pixel in the query.

    Args:
        lists: Lists with the classes in each image (`ImageLists.held`).
        shot: K.
        count: Number of episodes.
        seed: The seed that the release gives to PyTorch.
        workers: The number of processes of the loader; another number gives other episodes.
    """
    queries = tuple(dict.fromkeys(name for name, _ in lists.entries))
    streams = worker_streams(seed, len(queries), workers)
    for number, random in zip(range(count), streams, strict=False):
        query = queries[number % len(queries)]
        held = lists.held[query]
        class_id = held[random.randint(1, len(held)) - 1]
        supports = _stacked(draw_supports(random, lists.by_class[class_id], query, shot))
        yield Episode(query, (class_id,), (supports,), class_id)


def listed_by_8(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield the episodes of a loader with 8 processes (`listed`)."""
    del way
    return listed(lists, shot, count, seed, workers=8)


def listed_by_16(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield the episodes of a loader with 16 processes (`listed`)."""
    del way
    return listed(lists, shot, count, seed, workers=16)


def generalised_by_8(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield 1-way episodes whose queries are all images, of any class (BAM's GFSS, loader with 8 processes).

    For an image without a base class, the class of the episode is drawn from the novel classes in the image; for any
    other image, from all novel classes of the fold, so it may have no pixel of it. There is no area rule. The release
    fails on an image with background only; there is none here.

    Args:
        lists: Lists that tell which images have a base class (`ImageLists.mixed`).
        way: 1.
        shot: K.
        count: Number of episodes.
        seed: The seed that the release gives to PyTorch.
    """
    del way
    queries = tuple(lists.mixed)
    novel = tuple(lists.by_class)
    for number, random in zip(range(count), worker_streams(seed, len(queries), 8), strict=False):
        query = queries[number % len(queries)]
        class_id = random.choice(novel if lists.mixed[query] else lists.held[query])
        supports = _stacked(draw_supports(random, lists.by_class[class_id], query, shot))
        yield Episode(query, (class_id,), (supports,), class_id)
