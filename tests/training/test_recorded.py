"""Recipes as training states record them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fssbench.training.recipe import Crops, Ramp, Recipe, Validation
from fssbench.training.recipes import recipe
from fssbench.training.recorded import same_recipe

FULL = replace(
    recipe("pfenet", "pascal5i"),
    foreground_weight=Ramp(4.0, 1.5),
    crops=Crops(scale=(0.5, 1.0)),
    validation=Validation(every="2 epochs"),
    options={"width": 20, "names": ("a", 1.0)},  # type: ignore[dict-item]
)


def test_it_is_the_same_as_itself() -> None:
    assert same_recipe(str(FULL), str(FULL))
    assert same_recipe(str(FULL), str(replace(FULL, source="told in other words")))


@pytest.mark.parametrize(
    "other",
    [
        replace(FULL, batch=FULL.batch + 1),
        replace(FULL, foreground_weight=Ramp(4.0, 1.5, over=0.5)),
        replace(FULL, crops=Crops(scale=(0.5, 1.0), turned=0.25)),
        replace(FULL, options={"width": 21}),
    ],
    ids=["batch", "ramp", "crops", "options"],
)
def test_a_changed_field_is_another_recipe(other: Recipe) -> None:
    assert not same_recipe(str(FULL), str(other))


def test_a_field_that_is_not_recorded_has_its_default() -> None:
    older = str(FULL).replace(", turned=0.5", "").replace(", rim='leave-out'", "")
    assert not same_recipe(older, str(FULL)), "the default of rim is background"
    assert same_recipe(older, str(replace(FULL, rim="background")))


@pytest.mark.parametrize(
    "recorded",
    [
        None,
        7,
        "",
        "Recipe(",
        "Recipe(**{'name': 'a'})",
        str(FULL).replace("batch=4", "batch=__import__('os').getpid()"),
        str(FULL).replace("batch=4", "batch=4, dropped=1"),
        str(FULL).replace("batch=4, ", ""),
        str(FULL).replace("batch=4", "batch=(lambda: 4)()"),
        "Recipe(name=" + "(" * 10_000,
        "Validation(every=1)",
        "[]",
    ],
)
def test_what_is_no_recipe_is_not_the_same(recorded: object) -> None:
    assert not same_recipe(recorded, str(FULL))
