"""RePRI's episodes: like PFENet's, with two random streams in each process of the loader.

mboudiaf/RePRI-for-Few-Shot-Segmentation@aa54b19, src/dataset/dataset.py, src/test.py; PyTorch 1.7, as its README says.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np

from fssbench.episode.episode import Episode
from fssbench.episode.samplers.lists import ImageLists
from fssbench.episode.samplers.pfenet import base_seeds, draw_supports

_PASCAL, _COCO, _PASCAL_RESNET101 = 72_282_488, 72_305_573, 110_162_296
"""Numbers of 32 bits that PyTorch draws for the initial weights of ResNet-50 or -101 after the seed is set."""


def listed(lists: ImageLists, shot: int, count: int, seed: int, *, workers: int, drawn: int) -> Iterator[Episode]:
    """Yield 1-way episodes whose queries run through the images of the list in order and start again at its end.

    The release sets the seed before it creates the network. The initial weights advance PyTorch's generator, so another
    backbone gives other episodes. Supports are drawn by `random`, which each process seeds again. The class is drawn by
    NumPy's generator. PyTorch 1.7 copies its state from the main process to every process, so all draw the same.

    Args:
        lists: Lists with the classes in each image (`ImageLists.held`).
        shot: K.
        count: Number of episodes in all runs; the loader is not started again between them.
        seed: The seed that the release gives to PyTorch and NumPy.
        workers: Number of processes of the loader.
        drawn: How many 32-bit numbers PyTorch draws before the loader starts.
    """
    queries = tuple(dict.fromkeys(name for name, _ in lists.entries))
    items = range(len(queries))
    passes = ((pass_seed, item) for pass_seed in base_seeds(seed, drawn) for item in items)
    streams: list[tuple[np.random.RandomState, Random]] = []
    for _, (pass_seed, item) in zip(range(count), passes, strict=False):
        if item == 0:
            randoms = (Random(pass_seed + worker) for worker in range(workers))  # noqa: S311 - the release's generator
            streams = [(np.random.RandomState(seed), random) for random in randoms]
        class_stream, support_stream = streams[item % workers]
        query = queries[item]
        class_id = int(class_stream.choice(lists.held[query]))
        supports = draw_supports(support_stream, lists.by_class[class_id], query, shot)
        yield Episode(query, (class_id,), (supports,), class_id)


def listed_by_3(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield the episodes of the release's configuration for PASCAL: 3 processes (`listed`)."""
    del way
    return listed(lists, shot, count, seed, workers=3, drawn=_PASCAL)


def listed_by_2(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield the episodes of the release's configuration for COCO: 2 processes (`listed`)."""
    del way
    return listed(lists, shot, count, seed, workers=2, drawn=_COCO)


def listed_by_3_resnet101(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield the episodes of the release's configuration for PASCAL with ResNet-101 (`listed`)."""
    del way
    return listed(lists, shot, count, seed, workers=3, drawn=_PASCAL_RESNET101)
