"""What a step draws."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fssbench.datasets.dataset import Split
from fssbench.errors import MissingError, UsageError
from fssbench.training.batches import EpisodeBatches
from fssbench.training.draws import EpisodeSampler
from fssbench.training.plan import in_steps
from fssbench.training.recipe import Recipe, TrainingLists
from tests.episode.stub import ListsOnly

LISTS = {3: tuple(f"a{n}" for n in range(40)), 5: ("b0", "b1"), 9: ("c0", "c1", "c2")}


def test_a_step_draws_the_same_episodes_whenever_it_comes() -> None:
    sampler = EpisodeSampler(LISTS, seed=7)
    later = sampler.draw(sampler.generator(12), 6)
    for step in range(12):
        assert sampler.draw(sampler.generator(step), 6) != later
    assert sampler.draw(sampler.generator(12), 6) == later
    assert EpisodeSampler(LISTS, seed=8).draw(EpisodeSampler(LISTS, seed=8).generator(12), 6) != later


def test_classes_come_evenly_and_pictures_differ() -> None:
    sampler = EpisodeSampler(LISTS, seed=0)
    drawn = sampler.draw(sampler.generator(0), 3000)
    assert all(900 < count < 1100 for count in Counter(episode.query_class for episode in drawn).values())
    for episode in drawn:
        (supports,) = episode.supports
        assert episode.classes == (episode.query_class,)
        assert len({episode.query, *supports}) == 2
        assert {episode.query, *supports} <= set(LISTS[episode.query_class])


def test_a_class_of_one_picture_makes_no_episode() -> None:
    dataset = ListsOnly("lists", [("a", 1), ("b", 2), ("c", 2), ("c", 2)])
    assert EpisodeSampler.of_fold(dataset, 0, 0).lists == {2: ("b", "c")}


SIZES = {"a": {1: 2047, 2: 2048}, "b": {1: 2048}, "c": {1: 9000, 3: 1}, "d": {2: 2048}, "e": {2: 1, 1: 5000}}


class Sized(ListsOnly):
    """Base classes 1 and 2, novel class 3; the data set's own lists have every image."""

    def __init__(self) -> None:
        super().__init__("sized", [(name, c) for name, held in SIZES.items() for c in held], (1, 2))

    def index(self, split: Split) -> pd.DataFrame:
        rows = [(name, c, pixels) for name, held in SIZES.items() for c, pixels in held.items()]
        return pd.DataFrame(rows, columns=["name", "class_id", "pixels"])

    def entries(self, fold: int, split: Split = "val") -> pd.DataFrame:
        return super().entries(fold, split).query("class_id < 3")


@pytest.mark.parametrize(
    ("rule", "lists"),
    [
        ("data set's", {1: ("a", "b", "c", "e"), 2: ("a", "d", "e")}),
        ("2048 pixels", {1: ("b", "c", "e"), 2: ("a", "d")}),
        ("2048 pixels, base alone", {1: ("b", "e"), 2: ("a", "d")}),
    ],
)
def test_which_pictures_a_class_is_learnt_from(rule: TrainingLists, lists: dict[int, tuple[str, ...]]) -> None:
    assert EpisodeSampler.of_fold(Sized(), 0, 0, rule=rule).lists == lists
    epoch = len({name for names in lists.values() for name in names})
    made = Recipe("m/d", "mine", 1, (64, 64), (64, 64), epochs=1, lists=rule)
    assert in_steps(made, Sized(), 0).steps == epoch
    drawn = EpisodeBatches(Sized(), 0, replace(made, batch=200), seed=0)._sampler.draw(np.random.default_rng(0), 200)
    assert {(episode.query, episode.query_class) for episode in drawn} == {
        (n, c) for c, names in lists.items() for n in names
    }


def test_nothing_to_learn_from() -> None:
    with pytest.raises(MissingError, match="no class with two training images"):
        EpisodeSampler.of_fold(ListsOnly("lists", [("a", 1), ("b", 2)]), 0, 0)


@pytest.mark.parametrize("shot", [0, 1, 2])
def test_shots(shot: int) -> None:
    lists = {class_id: names for class_id, names in LISTS.items() if len(names) > shot}
    drawn = EpisodeSampler(lists, seed=1, shot=shot).draw(np.random.default_rng(0), 200)
    for episode in drawn:
        (supports,) = episode.supports
        assert len(supports) == shot
        assert len({episode.query, *supports}) == shot + 1
    assert {episode.query_class for episode in drawn} == set(lists)


def test_joint_episodes_hold_none_some_or_all_of_their_classes() -> None:
    lists = {c: tuple(f"{c}-{n}" for n in range(6)) for c in (1, 2, 3, 4, 5)}
    sampler = EpisodeSampler(lists, seed=0, way=2, shot=3, task="fscs")
    drawn = sampler.draw(sampler.generator(0), 4000)
    for episode in drawn:
        assert len(set(episode.classes)) == 2
        assert episode.query in lists[episode.query_class]
        for class_id, supports in zip(episode.classes, episode.supports, strict=True):
            assert len(set(supports)) == 3
            assert set(supports) <= set(lists[class_id]) - {episode.query}
    # Half of the weight first; else it is left with 1/2 against 3/8 of the other classes.
    expected = 1 / 2 + 1 / 2 * (1 / 2) / (1 / 2 + 3 / 8)
    assert sum(episode.query_class in episode.classes for episode in drawn) / 4000 == pytest.approx(expected, abs=0.03)


def test_stages_draw_different_episodes() -> None:
    first, second = EpisodeSampler(LISTS, seed=0), EpisodeSampler(LISTS, seed=0, stage=1)
    assert first.draw(first.generator(3), 8) != second.draw(second.generator(3), 8)


def test_more_ways_than_classes() -> None:
    dataset = ListsOnly("lists", [("a", 1), ("b", 2), ("c", 2), ("c", 2)])
    with pytest.raises(UsageError, match="1 classes to train on, not 2"):
        EpisodeSampler.of_fold(dataset, 0, 0, way=2, task="fscs")


@pytest.mark.parametrize("weight", [0.25, 0.9])
def test_the_weight_of_the_querys_class(weight: float) -> None:
    lists = {c: tuple(f"{c}-{n}" for n in range(4)) for c in (1, 2, 3, 4, 5)}
    sampler = EpisodeSampler(lists, seed=0, task="fscs")
    drawn = sampler.draw(sampler.generator(0), 4000, weight)
    assert sum(episode.query_class in episode.classes for episode in drawn) / 4000 == pytest.approx(weight, abs=0.03)


def test_every_image_is_drawn_alike_and_stands_under_the_first_base_class() -> None:
    sampler = EpisodeSampler.of_fold(Sized(), 0, 0, shot=0, rule="every image")
    assert sampler.lists == {1: ("a", "b", "c", "d", "e")}
    drawn = sampler.draw(sampler.generator(0), 2000)
    assert all(330 < count < 470 for count in Counter(episode.query for episode in drawn).values())
    assert {episode.query_class for episode in drawn} == {1}
