"""MLC's episodes: query, class and supports are drawn by the random streams of the loader's 4 processes.

LiheYoung/MiningFSS@616db51, dataset/fewshot.py and main.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from fssbench.episode.episode import Episode
from fssbench.episode.samplers.lists import ImageLists
from fssbench.episode.samplers.pfenet import worker_streams

_WORKERS = 4


def drawn_by_4(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield 1-way episodes. Queries are drawn from all images of the lists, so one image can be drawn several times.

    The class is drawn from those with any pixel in the query. Supports are drawn, by name, from the images with any
    pixel of the class; if the class has too few pixels in an image, another one is drawn.

    Args:
        lists: Lists by the area rule, with the classes in each image (`ImageLists.held`).
        way: 1.
        shot: K.
        count: Number of episodes; each run of the release is one pass of its loader.
        seed: The seed that the release gives to PyTorch before the run.
    """
    del way
    queries = tuple(dict.fromkeys(name for name, _ in lists.entries))
    holders: dict[int, list[str]] = {class_id: [] for class_id in lists.by_class}
    for name in sorted(queries):
        for class_id in lists.held[name]:
            holders[class_id].append(name)
    large = {class_id: frozenset(names) for class_id, names in lists.by_class.items()}
    for _, random in zip(range(count), worker_streams(seed, count, _WORKERS), strict=False):
        query = random.choice(queries)
        class_id = random.choice(lists.held[query])
        supports: list[str] = []
        while len(supports) < shot:
            left = [name for name in holders[class_id] if name != query and name not in supports]
            name = random.choice(left)
            if name in large[class_id]:
                supports.append(name)
        yield Episode(query, (class_id,), (tuple(supports),), class_id)
