"""OSLSM's sampler, held against what the released code draws under Python 2.7."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from fssbench.episode import episodes
from fssbench.episode.samplers.lists import ImageLists
from fssbench.episode.samplers.oslsm import listed, shuffle
from fssbench.episode.verify import official
from tests.episode.test_official import pascal

BY_CLASS = {1: tuple(f"a{n}" for n in range(6)), 2: tuple(f"b{n}" for n in range(7))}
LISTS = ImageLists(tuple((name, c) for c, names in BY_CLASS.items() for name in names), BY_CLASS)
RELEASED = {
    1: "a4a2 b5b4 b2b6 a5a1 b1b2 b3b1 b6b3 a0a5 a3a5 b4b5 b0b3 a2a4 a1a4 a0a4",
    5: (
        "a4a2a1a3a0a5 b5b4b2b1b3b0 b2b6b1b5b4b3 a5a1a3a4a0a2 b1b2b5b3b6b4 b3b1b0b2b4b6 b6b3b1b2b0b5 a0a5a4a2a1a3 "
        "a3a5a0a4a2a1 b4b5b0b3b6b2 b0b3b4b1b6b5 a2a4a1a5a0a3 a1a4a0a2a5a3 a0a4a3a2a5a1"
    ),
}
"""The first episodes of DBInterface.next_pair with these lists, queries before supports; the 14th is of a new round."""


def test_a_shuffle_is_that_of_python_2() -> None:
    items = list(range(10))
    shuffle(Random(1385), items)  # noqa: S311 - the generator of the release
    assert items == [8, 5, 3, 6, 0, 2, 7, 4, 9, 1]


@pytest.mark.parametrize("shot", [1, 5])
def test_the_draws_are_those_of_the_release(shot: int) -> None:
    drawn = list(listed(LISTS, 1, shot, 1002, seed=1385))
    assert " ".join(its.query + "".join(its.supports[0]) for its in drawn[:14]) == RELEASED[shot]
    assert {its.query[0]: its.classes for its in drawn} == {"a": (1,), "b": (2,)}
    assert drawn[1000:] == drawn[:2], "after 1,000 the release begins again"


@pytest.mark.parametrize("fold", range(4))
def test_the_known_hashes(shared: Path, fold: int) -> None:
    for shot in (1, 5):
        assert official(episodes(pascal(shared / "reference/splits", fold), fold, 1, shot, "oslsm")) is True
