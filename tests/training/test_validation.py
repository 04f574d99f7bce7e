"""Validation: which images it uses, and that the evaluation engine predicts them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import fssbench
from fssbench.errors import MissingError
from fssbench.protocols.rules import protocol
from fssbench.training.recipe import Validation
from fssbench.training.validation import Validator, base_lists, validation_episodes
from tests.training.tiny import Indexed, tiny_recipe

RULES = replace(protocol("shapes"), datasets=("squares",), input=(136, 136))


def test_base_pictures_hold_base_classes_alone() -> None:
    dataset = Indexed()
    lists = base_lists(dataset, 0, Validation(), 1)
    assert set(lists) == {3, 4}
    assert all(set(dataset.contents[name]) <= {3, 4} for names in lists.values() for name in names)
    episodes = validation_episodes(dataset, 0, Validation(episodes=7), RULES, 1, 1)
    assert len(episodes) == 7
    assert {class_id for episode in episodes for class_id in episode.classes} <= {3, 4}
    assert episodes.hash == validation_episodes(dataset, 0, Validation(episodes=7), RULES, 1, 1).hash
    assert episodes.hash != validation_episodes(dataset, 0, Validation(episodes=7, seed=1), RULES, 1, 1).hash


def test_no_base_picture() -> None:
    with pytest.raises(MissingError, match="for validation"):
        base_lists(Indexed(), 0, Validation(), 20)


def test_novel_episodes_are_those_of_the_protocol() -> None:
    dataset = fssbench.open_dataset("shapes20i")
    recipe = Validation(episodes=5, classes="novel")
    episodes = validation_episodes(dataset, 2, recipe, protocol("shapes"), 1, 1)
    assert episodes.hash == fssbench.episodes(dataset, 2, 1, 1, "shapes", 5).hash


def test_novel_episodes_end_with_the_last_round_of_the_list() -> None:
    dataset = fssbench.open_dataset("shapes20i")
    # So many draws leave no image of the list out.
    images = len({episode.query for episode in fssbench.episodes(dataset, 2, 1, 1, "shapes", 10_000)})
    bounded = validation_episodes(
        dataset, 2, Validation(episodes=10_000, rounds=2, classes="novel"), protocol("shapes"), 1, 1
    )
    assert len(bounded) == 2 * images
    short = validation_episodes(dataset, 2, Validation(episodes=7, rounds=2, classes="novel"), protocol("shapes"), 1, 1)
    assert len(short) == 7


@pytest.mark.parametrize("measure", ["miou", "exact_ratio"])
def test_it_gives_what_evaluation_gives(measure: str) -> None:
    torch.manual_seed(0)
    method = fssbench.build("hsnet", backbone="small", variant="fscs", channels=(4, 4, 4)).train()
    rules = replace(protocol("shapes-fscs"), datasets=("squares",), input=(136, 136))
    recipe = replace(tiny_recipe("hsnet"), validation=Validation(episodes=4, measure=measure))  # type: ignore[arg-type]
    validator = Validator(Indexed(), 0, recipe, rules, "cpu")
    measured = validator(method)
    summary = fssbench.evaluate(method, Indexed(), validator.episodes, protocol=rules).summary(draws=0)
    assert measured == getattr(summary, measure)
    assert len(validator.episodes) == 4
