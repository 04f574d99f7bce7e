"""PATNet's sampler, held against draws made by NumPy's own global generator."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from fssbench.episode.samplers.lists import ImageLists
from fssbench.episode.samplers.patnet import in_turn

LISTS = {1: tuple(f"a{n}" for n in range(4)), 2: ("b0", "b1", "b2"), 3: ("c0", "c1")}


@pytest.fixture
def generator() -> Iterator[None]:
    """NumPy's global generator, from which the release draws, put back as it was found."""
    state = np.random.get_state()  # noqa: NPY002 - the release uses it
    yield
    np.random.set_state(state)  # noqa: NPY002 - as above


@pytest.mark.usefixtures("generator")
@pytest.mark.parametrize("shot", [1, 5])
def test_the_draws_are_those_of_the_release(shot: int) -> None:
    lists = ImageLists(tuple((name, c) for c, names in LISTS.items() for name in names), LISTS)
    drawn = list(in_turn(lists, 1, shot, 20, seed=0))
    np.random.seed(0)  # noqa: NPY002 - what the release does
    assert len(drawn) == 20
    for number, episode in enumerate(drawn):
        # The class by the episode's number, the query, then supports until there are enough.
        class_id = number % 3 + 1
        query = _draw(class_id)
        supports: list[str] = []
        while len(supports) < shot:
            if (name := _draw(class_id)) != query:
                supports.append(name)
        assert (episode.query, episode.classes, episode.supports) == (query, (class_id,), (tuple(supports),))


def _draw(class_id: int) -> str:
    return str(np.random.choice(list(LISTS[class_id]), 1, replace=False)[0])  # noqa: NPY002 - as the release does
