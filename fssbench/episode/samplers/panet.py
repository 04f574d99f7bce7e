"""PANet's episodes: drawn in the main process before the run begins (kaixin96/PANet@1695bf3, dataloaders/)."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from fssbench.episode.episode import Episode
from fssbench.episode.samplers.lists import ImageLists


def drawn(lists: ImageLists, way: int, shot: int, count: int, seed: int) -> Iterator[Episode]:
    """Yield episodes of N classes drawn uniformly, then K different images of each, and one more of the query's class.

    The query may hold other classes of its episode, and be among their supports.

    Args:
        lists: Images by class, whatever the area of the class.
        way: N.
        shot: K.
        count: How many.
        seed: What the release seeds `random` with before the run.
    """
    random = Random(seed)  # noqa: S311 - the generator of the release
    [query_way] = random.choices(range(way), k=1)  # Quirk: of which way the query is, is drawn once a run.
    classes = list(lists.by_class)
    for _ in range(count):
        asked = tuple(classes[place] for place in random.sample(range(len(classes)), k=way))
        images = []
        for number, class_id in enumerate(asked):
            names = lists.by_class[class_id]
            images.append([names[place] for place in random.sample(range(len(names)), k=shot + (number == query_way))])
        supports = tuple(tuple(drawn[:shot]) for drawn in images)
        yield Episode(images[query_way][-1], asked, supports, asked[query_way])
