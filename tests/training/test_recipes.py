"""Recipes: the shipped ones, and files of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.training.loop import learning_rate
from fssbench.training.recipes import Optimiser, read_recipes, recipe

OWN = """
["hsnet/pascal5i"]
source = "mine"
steps = 10
batch = 2
picture = [64, 64]
view = [64, 64]
backbone = "vgg16"
"""


@pytest.mark.parametrize(
    ("name", "batch"), [("hsnet/pascal5i", 20), ("hsnet/coco20i", 40), ("asnet/pascal5i", 12), ("asnet/coco20i", 24)]
)
def test_released_recipes(name: str, batch: int):
    network, dataset = name.split("/")
    released = recipe(network, dataset)
    assert (released.batch, released.view, released.optimiser) == (
        batch,
        (400, 400),
        Optimiser(1e-3, "constant", 0.0, "adam"),
    )
    assert (released.rim, released.foreground_weight, released.augmentation.view) == ("background", 1.0, (1.0, 1.0))


def test_a_file_of_ones_own_comes_first(tmp_path: Path):
    file = tmp_path / "mine.toml"
    file.write_text(OWN)
    assert recipe("hsnet", "pascal5i", file).source == "mine"
    assert recipe("asnet", "pascal5i", file) == recipe("asnet", "pascal5i")


def test_an_unknown_recipe_names_the_known_ones():
    with pytest.raises(UsageError, match=r"no recipe hsnet/fss1000; there are hsnet\.fscs/shapes20i, hsnet/coco20i"):
        recipe("hsnet", "fss1000")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("steps = ", "can't be read as TOML"),
        (OWN.replace("steps = 10", "steps = 0"), r"hsnet/pascal5i\.steps"),
        (OWN + 'speed = "high"', r"hsnet/pascal5i\.speed"),
        ("steps = 3", "steps"),
    ],
)
def test_a_broken_file_is_named_with_the_place(text: str, said: str, tmp_path: Path):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(BrokenFileError, match=rf"mine\.toml.*{said}"):
        read_recipes(file)


def test_a_missing_file(tmp_path: Path):
    with pytest.raises(MissingError, match=r"none\.toml"):
        read_recipes(tmp_path / "none.toml")


def test_learning_rates():
    assert {learning_rate(Optimiser(0.1), step, 100) for step in range(100)} == {0.1}
    rates = [learning_rate(Optimiser(0.1, "cosine"), step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == pytest.approx(0.1)
    assert rates.index(max(rates)) in (9, 10)
    assert rates[55] == pytest.approx(0.05)
    assert 0.0 < rates[-1] < 1e-4
