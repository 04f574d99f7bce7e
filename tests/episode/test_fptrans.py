"""FPTrans's draws, as its data set draws them before an evaluation."""

from __future__ import annotations

import numpy as np

from fssbench.episode import Episode, episodes
from tests.episode.test_pfenet import Areas


def as_released(dataset: Areas, shot: int, count: int) -> list[Episode]:
    """The tasks of the release's data set: (index of a photo with its classes, class, indices in the class's list)."""
    rows = dataset.areas[["name", "class_id", "pixels"]].itertuples(index=False)
    held: dict[str, list[int]] = {}
    files: dict[int, list[str]] = {class_id: [] for class_id in dataset.classes}
    for name, class_id, pixels in sorted(rows):
        if class_id in files:
            held.setdefault(name, []).append(class_id)
            if pixels >= 2048:
                files[class_id].append(name)
    photos = [name for name in held if any(name in files[class_id] for class_id in held[name])]
    stream = np.random.RandomState(5678)
    tasks: list[Episode] = []
    while len(tasks) < count:
        for place in stream.permutation(np.arange(len(photos))):
            class_id = int(stream.choice(held[photos[place]]))
            taken: list[int] = []
            while len(taken) < shot:
                one = stream.choice(len(files[class_id]), size=1)[0]
                if files[class_id][one] != photos[place] and one not in taken:
                    taken.append(one)
            supports = tuple(files[class_id][one] for one in taken)
            tasks.append(Episode(photos[place], (class_id,), (supports,), class_id))
    return tasks[:count]


def test_queries_run_through_one_drawn_order_after_another() -> None:
    dataset = Areas()
    drawn = list(episodes(dataset, shot=2, protocol="fptrans", count=100))
    assert drawn == as_released(dataset, 2, 100)
    length = len({one.query for one in drawn})
    assert length < 50
    assert {one.query for one in drawn[:length]} == {one.query for one in drawn[length : 2 * length]}
    assert [one.query for one in drawn[:length]] != [one.query for one in drawn[length : 2 * length]]
