"""What a step draws."""

from __future__ import annotations

from collections import Counter

import pytest

from fssbench.errors import MissingError
from fssbench.training.draws import EpisodeSampler
from tests.episode.stub import ListsOnly

LISTS = {3: tuple(f"a{n}" for n in range(40)), 5: ("b0", "b1"), 9: ("c0", "c1", "c2")}


def test_a_step_draws_the_same_episodes_whenever_it_comes():
    sampler = EpisodeSampler(LISTS, seed=7)
    later = sampler.draw(sampler.generator(12), 6)
    for step in range(12):
        assert sampler.draw(sampler.generator(step), 6) != later
    assert sampler.draw(sampler.generator(12), 6) == later
    assert EpisodeSampler(LISTS, seed=8).draw(EpisodeSampler(LISTS, seed=8).generator(12), 6) != later


def test_classes_come_evenly_and_pictures_differ():
    sampler = EpisodeSampler(LISTS, seed=0)
    drawn = sampler.draw(sampler.generator(0), 3000)
    assert all(900 < count < 1100 for count in Counter(its.query_class for its in drawn).values())
    for its in drawn:
        (supports,) = its.supports
        assert its.classes == (its.query_class,)
        assert len({its.query, *supports}) == 2
        assert {its.query, *supports} <= set(LISTS[its.query_class])


def test_a_class_of_one_picture_makes_no_episode():
    dataset = ListsOnly("lists", [("a", 1), ("b", 2), ("c", 2), ("c", 2)])
    assert EpisodeSampler.of_fold(dataset, 0, 0).lists == {2: ("b", "c")}


def test_nothing_to_learn_from():
    with pytest.raises(MissingError, match="no class with two training pictures"):
        EpisodeSampler.of_fold(ListsOnly("lists", [("a", 1), ("b", 2)]), 0, 0)
