"""PANet's episodes: drawn in the main process before the run begins (kaixin96/PANet@1695bf3, dataloaders/)."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from fssbench.episode.episode import Episode
from fssbench.episode.samplers.lists import ImageLists


def drawn(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield episodes: N classes are drawn uniformly, then K different images of each, and a query of one of them.

    The query can show other classes of its episode, and can be a support of one of them.

    Args:
        lists: Images by class, whatever the area of the class.
        way: N.
        shot: K.
        count: Number of episodes.
        seed: The seed that the release gives to `random` before the run.
    """
    random = Random(seed)  # noqa: S311 - the generator of the release
    [query_way] = random.choices(range(way), k=1)  # The release draws the way of the query once per run.
    classes = list(lists.by_class)
    for _ in range(count):
        chosen = tuple(classes[place] for place in random.sample(range(len(classes)), k=way))
        images = []
        for number, class_id in enumerate(chosen):
            names = lists.by_class[class_id]
            images.append([names[place] for place in random.sample(range(len(names)), k=shot + (number == query_way))])
        supports = tuple(tuple(names[:shot]) for names in images)
        yield Episode(images[query_way][-1], chosen, supports, chosen[query_way])
