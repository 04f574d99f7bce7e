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
    """Yield what PyTorch draws for its loader each time it starts, after `torch.manual_seed(seed)`.

    It is `torch.empty((), dtype=torch.int64).random_()` on the generator of the CPU, a Mersenne twister of 32 bits:
    two numbers, the higher half first, without the sign's bit. Process w of the loader seeds `random` with the
    base seed + w.

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
    """Yield the stream that serves each item of a list that a loader runs through again and again.

    Item i of the list is served by process i mod W. Each pass starts new processes, with new streams.

    Args:
        seed: What the release seeds PyTorch with before the first pass.
        length: Items in the list.
        workers: W, the number of the loader's processes.
    """
    for base_seed in base_seeds(seed):
        streams = [Random(base_seed + worker) for worker in range(workers)]  # noqa: S311 - the generator of the release
        for item in range(length):
            yield streams[item % workers]


def draw_supports(random: Random, names: Sequence[str], query: str, shot: int) -> tuple[str, ...]:
    """Draw K different supports of one class, none the query, in the order in which the network gets them.

    Quirks of the release: each shot begins with a draw that is thrown away, and the shots are put one before the
    other, so that the last drawn is the first.

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
    return tuple(reversed(supports))


def listed(lists: ImageLists, shot: int, count: int, seed: int, workers: int) -> Iterator[Episode]:
    """Yield 1-way episodes whose queries run through the images of the list in order and start again.

    The area rule decides who is a query and who supports; which class a query is asked for is drawn from all
    classes of the fold that have any pixel in it.

    Args:
        lists: Lists that know what each image holds (`ImageLists.held`).
        shot: K.
        count: How many.
        seed: What the release seeds PyTorch with.
        workers: The number of the loader's processes: another number gives other episodes.
    """
    queries = tuple(dict.fromkeys(name for name, _ in lists.entries))
    streams = worker_streams(seed, len(queries), workers)
    for number, random in zip(range(count), streams, strict=False):
        query = queries[number % len(queries)]
        held = lists.held[query]
        class_id = held[random.randint(1, len(held)) - 1]
        yield Episode(query, (class_id,), (draw_supports(random, lists.by_class[class_id], query, shot),), class_id)


def listed_by_8(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield the episodes of a loader with 8 processes (`listed`)."""
    del way
    return listed(lists, shot, count, seed, workers=8)


def listed_by_16(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield the episodes of a loader with 16 processes (`listed`)."""
    del way
    return listed(lists, shot, count, seed, workers=16)


def generalised_by_8(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield 1-way episodes that ask every image, of whatever class (BAM's GFSS, loader with 8 processes).

    An image without base class is asked for a novel class that it holds, any other for any of the fold's; it need not
    hold that one. No area rule. The release fails on an image of background alone; there is none here.

    Args:
        lists: Lists that know of each image whether it holds a base class (`ImageLists.mixed`).
        way: 1.
        shot: K.
        count: How many.
        seed: What the release seeds PyTorch with.
    """
    del way
    queries = tuple(lists.mixed)
    novel = tuple(lists.by_class)
    for number, random in zip(range(count), worker_streams(seed, len(queries), 8), strict=False):
        query = queries[number % len(queries)]
        class_id = random.choice(novel if lists.mixed[query] else lists.held[query])
        yield Episode(query, (class_id,), (draw_supports(random, lists.by_class[class_id], query, shot),), class_id)
