"""Recipes: the shipped ones, and files of one's own."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.training.loop import learning_rate
from fssbench.training.plan import Plan, in_steps, plan
from fssbench.training.recipe import Crops, Optimiser, Recipe, Validation, value_at
from fssbench.training.recipes import read_recipes, recipe, recipes
from fssbench.training.request import Request
from tests.datasets.trees import label_map, own_tree
from tests.episode.stub import ListsOnly

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
def test_released_recipes(name: str, batch: int) -> None:
    network, dataset = name.split("/")
    released = recipe(network, dataset)
    assert (released.batch, released.view, released.optimiser) == (
        batch,
        (400, 400),
        Optimiser(1e-3, "constant", 0.0, "adam"),
    )
    assert (released.rim, released.foreground_weight, released.augmentation.view) == ("background", 1.0, (1.0, 1.0))


def test_a_file_of_ones_own_comes_first(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(OWN)
    assert recipe("hsnet", "pascal5i", file).source == "mine"


@pytest.mark.parametrize("name", ["hsnet/pascal5", "hsnt/pascal5i", "asnet/pascal5i", "hsnet:last/coco20i"])
def test_a_file_that_decides_nothing_is_not_passed_over(name: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(OWN.replace("hsnet/pascal5i", name))
    with pytest.raises(UsageError, match=f"decides how hsnet/pascal5i is trained; it has {name}") as told:
        recipe("hsnet", "pascal5i", file)
    assert told.value.remedy == 'a table ["hsnet/pascal5i"], or leave --config out'


def test_a_misspelt_name_is_told_before_what_is_missing_for_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(OWN.replace("batch", "bacth"))
    with pytest.raises(BrokenFileError, match=r"hsnet/pascal5i\.bacth: Unexpected keyword"):
        recipe("hsnet", "pascal5i", file)


def test_an_unknown_recipe_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no recipe hsnet/fss1000; there are hsnet.*, hsnet/coco20i"):
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
def test_a_broken_file_is_named_with_the_place(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(BrokenFileError, match=rf"mine\.toml.*{said}"):
        read_recipes(file)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"none\.toml"):
        read_recipes(tmp_path / "none.toml")


def test_learning_rates() -> None:
    assert {learning_rate(Optimiser(0.1), step, 100) for step in range(100)} == {0.1}
    rates = [learning_rate(Optimiser(0.1, "cosine"), step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == pytest.approx(0.1)
    assert rates.index(max(rates)) in (9, 10)
    assert rates[55] == pytest.approx(0.05)
    assert 0.0 < rates[-1] < 1e-4


def _tables(*names: str) -> str:
    fields = 'source = "mine"\nbatch = 2\npicture = [64, 64]\nview = [64, 64]\nsteps = '
    return "\n".join(f'["{name}"]\n{fields}{place}' for place, name in enumerate(names, 1))


def test_the_most_specific_recipe_wins(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(_tables("m/d", "m.v/d", "m:s/d", "m.v:s/d", "m.v-weak/d", "n/d"))

    def steps(**asked: Any) -> dict[str, int | None]:
        return {stage: its.steps for stage, its in recipes("m", "d", file, **asked).items()}

    assert steps() == {"": 1, "s": 3}
    assert steps(variant="v") == {"": 2, "s": 4}
    assert steps(variant="other") == {"": 1, "s": 3}
    assert steps(variant="v", weak=True) == {"": 5, "s": 4}


def test_a_stage_takes_its_own_recipe_or_the_common_one(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(_tables("m:base/d"))
    assert recipe("m", "d", file, stage="base").steps == 1
    with pytest.raises(UsageError, match="stage 'meta' has no recipe"):
        recipe("m", "d", file, stage="meta")
    file.write_text(_tables("m:base/d", "m/d"))
    assert recipe("m", "d", file, stage="meta").steps == 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("epochs = 3", "either steps or epochs"),
        ("validation = { every = 'now and then' }", "every"),
        ("crops = { turn = 10.0 }\naugmentation = { turn = 10.0 }", "either an augmentation or crops"),
        ("optimiser = { kind = 'lion' }", "optimiser"),
        ("options = { width = { a = 1 } }", "options"),
    ],
)
def test_what_is_no_recipe(line: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(_tables("m/d") + "\n" + line)
    with pytest.raises(BrokenFileError, match=said):
        read_recipes(file)


def test_another_view_of_known_scenes_is_trained_by_their_recipes(tmp_path: Path) -> None:
    for network in ("small", "hsnet", "bam", "ntrenet"):
        assert recipes(network, "shapes20i-underwater", fallback="shapes20i") == recipes(network, "shapes20i")
    file = tmp_path / "mine.toml"
    file.write_text(_tables("m/clear", "m:s/clear", "m/wet"))
    assert {stage: its.steps for stage, its in recipes("m", "wet", file, fallback="clear").items()} == {"": 3, "s": 2}
    assert recipes("m", "clear", file, fallback=None)[""].steps == 1
    with pytest.raises(UsageError, match="no recipe m/dry"):
        recipes("m", "dry", file)


def test_training_under_water_is_planned_as_on_clear_water(tmp_path: Path) -> None:
    def planned(dataset: str) -> Plan:
        weights = tmp_path / "backbone"
        weights.touch()
        return plan(Request(dataset, 0, "pfenet", backbone_weights=weights, out=tmp_path / dataset))

    wet, clear = planned("shapes20i-underwater"), planned("shapes20i")
    assert wet.dataset.name == "shapes20i-underwater"
    assert (wet.recipes, wet.options, wet.backbone) == (clear.recipes, clear.options, "small")
    assert wet.options["bins"] == "fractions"
    assert plan(Request("shapes20i-underwater", 0, backbone="small", out=tmp_path / "b")).network == "small"


def test_who_learns_a_class_from_pictures_with_enough_of_it() -> None:
    rules = {name: its.lists for name, its in read_recipes().items() if its.lists != "data set's"}
    large, pure = "2048 pixels", "2048 pixels, base alone"
    own = {"rpmm/pascal5i": "data set's, base alone"}
    listing = ("pfenet", "mmnet", "cyctr", "ntrenet", "asgnet", "mmt", "mlc", "ssp", "scl.pfenet", "fptrans")
    expected = {(m, d): large for m in listing for d in ("pascal5i", "coco20i")}
    expected |= {(m, d): pure for m in ("bam", "hdmnet", "mianet", "sccan") for d in ("pascal5i", "coco20i")}
    every = {f"{m}:base/{d}": "every image" for m in ("bam", "hdmnet") for d in ("pascal5i", "coco20i")}
    every |= {f"repri/{dataset}": "2048 pixels, images alike" for dataset in ("pascal5i", "coco20i")}
    assert rules == {f"{method}/{dataset}": rule for (method, dataset), rule in expected.items()} | every | own


def test_options_keep_their_types(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(_tables("m/d") + '\noptions = { a = true, b = 3, c = 0.5, d = "x", e = [8, 16], f = [1.0, 0.5] }')
    options = recipe("m", "d", file).options
    assert options == {"a": True, "b": 3, "c": 0.5, "d": "x", "e": (8, 16), "f": (1.0, 0.5)}
    assert [type(its) for its in options.values()] == [bool, int, float, str, tuple, tuple]


def test_schedules_give_the_rates_that_the_releases_own_functions_give() -> None:
    """The figures are those of each release's poly_learning_rate with its configuration, for two parameter groups."""
    with (Path(__file__).parent / "released_rates.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 204
    for row in rows:
        optimiser = read_recipes()[row["recipe"]].optimiser
        rate = learning_rate(optimiser, int(row["step"]) - 1, int(row["steps"]))
        factor = max(optimiser.rates.values(), default=1.0) if row["group"] == "other" else 1.0
        assert rate * factor == pytest.approx(float(row["rate"]), rel=1e-9), row


def test_released_recipes_of_the_pfenet_family_of_dcama_and_of_ifsl() -> None:
    pfenet = recipe("pfenet", "pascal5i", variant="fss")
    assert (pfenet.epochs, pfenet.batch, pfenet.view, pfenet.rim) == (200, 4, (473, 473), "leave-out")
    assert pfenet.optimiser == Optimiser(2.5e-2, "poly", 1e-4, "sgd", momentum=0.9, power=0.9)
    assert pfenet.crops == Crops((0.9, 1.1), 10.0, 0.5, 0.5, 5, 0.5, 0.85)
    dcama = recipe("dcama", "coco20i")
    assert (dcama.epochs, dcama.batch, dcama.view, dcama.rim, dcama.backbone) == (
        500,
        48,
        (384, 384),
        "background",
        "swin-b",
    )
    assert dcama.optimiser == Optimiser(1e-3, "constant", 1e-4, "sgd", momentum=0.9, nesterov=True)
    joint = recipe("pfenet", "coco20i", variant="fscs")
    assert (joint.batch, joint.view, joint.crops) == (24, (400, 400), None)
    assert joint.optimiser == Optimiser(2.5e-3, "constant", 1e-4, "sgd")
    weak = recipes("asnet", "pascal5i", variant="fscs", weak=True)[""]
    assert (weak.optimiser.learning_rate, weak.validation and weak.validation.measure) == (1e-4, "exact_ratio")
    for name, its in read_recipes().items():
        if its.validation and its.validation.classes == "novel":
            assert not name.endswith("/shapes20i"), "no recipe of the embedded data set validates on novel classes"


def test_epochs_become_steps() -> None:
    dataset = ListsOnly("lists", [(f"p{n}", n % 3 + 1) for n in range(11)] + [("p0", 2)])
    made = Recipe("m/d", "mine", 4, (64, 64), (64, 64), epochs=3, validation=Validation(every="2 epochs"))
    counted = in_steps(made, dataset, 0)
    assert (counted.steps, counted.epochs, counted.validation and counted.validation.every) == (6, None, 4)
    longer = in_steps(replace(made, epoch=40), dataset, 0)
    assert (longer.steps, longer.validation and longer.validation.every) == (30, 20)


def test_a_number_may_change_while_training(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    text = 'source = "here"\nbatch = 1\npicture = [64, 64]\nview = [64, 64]\nsteps = 11\n'
    file.write_text(f'["hsnet/shapes20i"]\n{text}foreground_weight = {{ first = 4.0, last = 2.0, over = 0.5 }}\n')
    its = read_recipes(file)["hsnet/shapes20i"]
    weights = [value_at(its.foreground_weight, its.progress(step)) for step in (0, 1, 10)]
    assert weights == pytest.approx([4.0, 4.0 - 4.0 / 11, 2.0])
    assert value_at(its.query_weight, 0.3) == 0.5
    for wrong in ("1.0", "{ first = 0.5, last = 1.5 }"):
        file.write_text(f'["hsnet/shapes20i"]\n{text}query_weight = {wrong}\n')
        with pytest.raises(BrokenFileError, match="query_weight is below 1"):
            read_recipes(file)


def test_own_data_is_trained_by_the_recipes_it_resembles(tmp_path: Path) -> None:
    """They validate on base classes only; the backbone `small` is trained as on the embedded data set."""
    labels = {f"p{n}": label_map((1, 0, 0, 50, 90), (2, 60, 0, 50, 90)) for n in range(4)}
    root = own_tree(tmp_path / "own", labels, 'folds = [["leaf"], ["stem"]]\n[classes]\n1 = "leaf"\n2 = "stem"\n')
    weights = tmp_path / "w.pth"
    weights.touch()

    def planned(method: str, backbone: str | None = None) -> Plan:
        asked = Request("folder", 0, method, backbone=backbone, backbone_weights=weights, root=root, out=tmp_path / "r")
        return plan(asked)

    with pytest.raises(MissingError, match=r"no val\.txt"):
        planned("hsnet")
    (root / "val.txt").write_text("p0\np1\n")
    release = recipes("hsnet", "pascal5i")[""]
    assert release.validation is not None
    assert release.validation.classes == "novel"
    found = planned("hsnet")
    assert found.recipes[""].validation is not None
    assert found.recipes[""].validation.classes == "base"
    assert (found.recipes[""].batch, found.backbone) == (release.batch, "resnet50")
    assert found.rules is not None
    assert found.rules.name == "hsnet"
    small = planned("pfenet", "small")
    assert small.recipes[""].batch == recipes("pfenet", "shapes20i")[""].batch
    assert small.options["bins"] == "fractions", "as that network is built for pictures of this size"
    assert small.rules is not None
    assert small.rules.name == "shapes"
    file = tmp_path / "mine.toml"
    file.write_text(_tables("hsnet/folder"))
    assert recipes("hsnet", "folder", file, fallback="pascal5i")[""].steps == 1


def test_every_image_is_for_single_images(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(_tables("m/d") + '\nlists = "every image"')
    with pytest.raises(BrokenFileError, match="single images"):
        recipe("m", "d", file)
    base = recipe("bam", "coco20i", stage="base")
    assert (base.lists, base.shot) == ("every image", 0)
