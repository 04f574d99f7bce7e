"""The draws of PMMs and RPMMs, read from the release's data sets."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from fssbench.episode import Episode, episodes
from tests.episode.stub import synthetic


@pytest.mark.parametrize("shot", [1, 5])
def test_queries_run_through_the_list_and_supports_come_from_one_stream(shot: int) -> None:
    dataset = synthetic("pascal5i")
    order, stream = list(dataset.pairs), Random(1385)  # noqa: S311 - the generator of the release
    of_class = {c: [name for name, its in dataset.pairs if its == c] for c in dataset.classes}
    count = 2 * len(order) + 7
    expected: list[Episode] = []
    while len(expected) < count:
        if expected:
            stream.shuffle(order)
        for query, class_id in order[: count - len(expected)]:
            if shot == 1:
                support = of_class[class_id][stream.randint(0, len(of_class[class_id]) - 1)]
                while support == query:
                    support = of_class[class_id][stream.randint(0, len(of_class[class_id]) - 1)]
                supports = [support]
            else:
                supports = stream.sample([name for name in of_class[class_id] if name != query], shot)
            expected.append(Episode(query, (class_id,), (tuple(supports),), class_id))
    assert list(episodes(dataset, shot=shot, protocol="rpmm", count=count)) == expected


def test_on_coco_class_query_and_supports_are_drawn() -> None:
    dataset = synthetic("coco20i")
    stream = np.random.RandomState(1385)
    of_class = {c: [name for name, its in dataset.pairs if its == c] for c in dataset.classes}
    drawn = list(episodes(dataset, shot=3, protocol="rpmm", count=40))
    assert len(drawn) == 40
    for episode in drawn:
        class_id = stream.choice(dataset.classes, 1, replace=False)[0]
        query, *supports = stream.choice(len(of_class[class_id]), 4, replace=False)
        names = of_class[class_id]
        assert episode == Episode(names[query], (class_id,), (tuple(names[n] for n in supports),), class_id)
