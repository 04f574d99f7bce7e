"""CANet's sampler, held against draws from Python's own global generator."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from fssbench.episode.samplers.canet import listed
from fssbench.episode.samplers.lists import ImageLists

BY_CLASS = {1: tuple(f"a{n}" for n in range(6)), 2: tuple(f"b{n}" for n in range(7))}
LISTS = ImageLists(tuple((name, c) for c, names in BY_CLASS.items() for name in names), BY_CLASS)
ENTRIES = len(LISTS.entries)


@pytest.fixture
def seeded() -> Iterator[None]:
    """The global generator of `random` as after seed 5, and put back as it was found."""
    state = random.getstate()
    random.seed(5)
    yield
    random.setstate(state)


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize("shot", [1, 5])
def test_the_draws_are_those_of_the_release(shot: int) -> None:
    second, third = list(LISTS.entries), list(LISTS.entries)
    random.shuffle(second)
    random.shuffle(third)
    drawn = list(listed(LISTS, 1, shot, 3 * ENTRIES, seed=5))
    asked = [*LISTS.entries, *second, *third]
    assert [(its.query, its.query_class) for its in drawn] == asked
    assert second != third
    for episode, (query, class_id) in zip(drawn, asked, strict=True):
        supports: list[str] = []
        while len(supports) < shot:
            name = BY_CLASS[class_id][random.randint(0, len(BY_CLASS[class_id]) - 1)]  # noqa: S311 - as the release
            if name not in (query, *supports):
                supports.append(name)
        assert episode.supports == (tuple(supports),)


def test_fewer_are_the_first_and_more_begin_again() -> None:
    many = list(listed(LISTS, 1, 2, 4 * ENTRIES, seed=1))
    assert list(listed(LISTS, 1, 2, 5, seed=1)) == many[:5]
    assert [its.query for its in many[3 * ENTRIES :]] == [its.query for its in many[:ENTRIES]]
