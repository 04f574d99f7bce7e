"""The protocols: what each data set gets, and what is refused."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from fssbench.datasets.catalogue import list_datasets
from fssbench.episode.samplers import SAMPLERS
from fssbench.errors import UsageError
from fssbench.protocols.rules import Protocol, list_protocols, protocol


def test_the_protocols_in_order() -> None:
    assert list_protocols() == [
        "hsnet",
        "ifsl-fss",
        "ifsl-fscs",
        "pfenet",
        "ntrenet",
        "cyctr",
        "bam",
        "sccan",
        "mianet",
        "bam-gfss",
        "bam-gfss-base",
        "hdmnet",
        "panet",
        "canet",
        "scl-canet",
        "rpmm",
        "repri",
        "repri-resnet101",
        "mlc",
        "oslsm",
        "dcama",
        "vat",
        "fptrans",
        "gfsam",
        "matcher",
        "shapes",
        "shapes-fscs",
        "patnet",
        "suim",
        "targets-fscs",
        "insid3",
        "fssdino",
        "seggpt",
    ]


@pytest.mark.parametrize("name", list_protocols())
def test_every_protocol_names_what_exists(name: str) -> None:
    chosen = protocol(name)
    assert set(chosen.overrides) <= set(chosen.datasets) <= set(list_datasets())
    assert chosen.score_at in chosen.score_sizes
    for dataset in chosen.datasets:
        assert chosen.on(dataset).sampler in SAMPLERS


@pytest.mark.parametrize(
    ("name", "dataset", "sampler", "episodes", "split"),
    [
        ("hsnet", "pascal5i", "hsnet-listed", 1000, "val"),
        ("hsnet", "shapes20i", "hsnet-listed", 1000, "val"),
        ("hsnet", "coco20i", "hsnet-drawn", 1000, "val"),
        ("hsnet", "fss1000", "hsnet-every-image", 2400, "test"),
        ("patnet", "fss1000", "hsnet-every-image", 2400, "test"),
        ("patnet", "deepglobe", "patnet-in-turn", 600, "test"),
        ("patnet", "isic2018", "patnet-in-turn", 600, "test"),
        ("patnet", "chestxray", "patnet-in-turn", 600, "test"),
        ("gfsam", "isaid5i", "hsnet-each-entry", 3657, "val"),
        ("insid3", "isaid5i", "hsnet-each-entry", 3657, "val"),
        ("gfsam", "pacopart", "matcher-parts-drawn", 2500, "val"),
        ("matcher", "pacopart", "matcher-parts-drawn", 2500, "val"),
        ("insid3", "pacopart", "matcher-parts-drawn", 2500, "val"),
        ("gfsam", "lvis92i", "patnet-in-turn", 2300, "val"),
        ("matcher", "lvis92i", "patnet-in-turn", 2300, "val"),
        ("insid3", "lvis92i", "patnet-in-turn", 2300, "val"),
        ("gfsam", "pascalpart", "matcher-parts-in-turn", 2500, "val"),
        ("matcher", "pascalpart", "matcher-parts-in-turn", 2500, "val"),
        ("insid3", "pascalpart", "matcher-parts-in-turn", 2500, "val"),
        ("suim", "suim", "patnet-in-turn", 1650, "test"),
        ("targets-fscs", "suim", "ifsl-fscs-drawn", 600, "test"),
        ("ifsl-fss", "pascal5i", "ifsl-fss-listed", 1000, "val"),
        ("ifsl-fss", "coco20i", "ifsl-fss-drawn", 1000, "val"),
        ("ifsl-fscs", "pascal5i", "ifsl-fscs-listed", 1000, "val"),
        ("ifsl-fscs", "coco20i", "ifsl-fscs-drawn", 1000, "val"),
        ("shapes", "shapes20i", "ifsl-fss-listed", 200, "val"),
        ("pfenet", "pascal5i", "pfenet-8-workers", 5001, "val"),
        ("pfenet", "coco20i", "pfenet-16-workers", 20001, "val"),
        ("ntrenet", "pascal5i", "pfenet-8-workers", 1001, "val"),
        ("ntrenet", "coco20i", "pfenet-16-workers", 20001, "val"),
        ("bam", "pascal5i", "pfenet-8-workers", 1000, "val"),
        ("bam", "coco20i", "pfenet-8-workers", 1000, "val"),
        ("panet", "pascal5i", "panet-drawn", 1000, "train"),
        ("rpmm", "pascal5i", "pmms-listed", 1000, "val"),
        ("rpmm", "coco20i", "pmms-drawn", 1000, "val"),
        ("repri", "pascal5i", "repri-3-workers", 1000, "val"),
        ("repri", "coco20i", "repri-2-workers", 1000, "val"),
        ("repri-resnet101", "pascal5i", "repri-resnet101-3-workers", 1000, "val"),
        ("mlc", "pascal5i", "mlc-4-workers", 1000, "val"),
        ("mlc", "coco20i", "mlc-4-workers", 4000, "val"),
        ("fptrans", "pascal5i", "fptrans-listed", 5000, "val"),
        ("fptrans", "coco20i", "fptrans-listed", 5000, "val"),
    ],
)
def test_each_data_set_has_its_own_draw(name: str, dataset: str, sampler: str, episodes: int, split: str) -> None:
    chosen = protocol(name).on(dataset)
    assert (chosen.sampler, chosen.episodes, chosen.split) == (sampler, episodes, split)
    assert chosen.on(dataset) == chosen, "applying it again changes nothing"


@pytest.mark.parametrize(
    ("name", "score_at", "ignore", "task"),
    [
        ("hsnet", "input", "leave-out", "fss"),
        ("ifsl-fss", "input", "leave-out", "fss"),
        ("ifsl-fscs", "original", "background", "fscs"),
    ],
)
def test_what_the_releases_count(name: str, score_at: str, ignore: str, task: str) -> None:
    chosen = protocol(name)
    assert (chosen.score_at, chosen.ignore, chosen.task) == (score_at, ignore, task)
    assert (chosen.input, chosen.resize, chosen.seed) == ((400, 400), "pillow-bilinear", 0)


@pytest.mark.parametrize("name", ["pfenet", "ntrenet", "bam"])
def test_pfenets_family_pads_and_counts_at_the_original_size(name: str) -> None:
    chosen = protocol(name)
    assert (chosen.resize, chosen.score_at, chosen.ignore, chosen.absent) == (
        "opencv-pad",
        "original",
        "leave-out",
        "count",
    )
    assert (chosen.on("pascal5i").input, chosen.on("coco20i").input) == ((473, 473), (641, 641))
    assert chosen.at("input").name == f"{name}@input"


def test_the_seeds_of_the_runs() -> None:
    assert protocol("pfenet").seeds == protocol("ntrenet").seeds == (321,)
    assert protocol("bam").seeds == (510, 365, 382, 322, 988)
    drawn = np.random.RandomState(123).randint(0, 1000, 10)
    assert protocol("hdmnet").seeds == tuple(drawn)
    assert protocol("panet").seeds == (1234, 1235, 1236, 1237, 1238)


def test_rpmm_counts_on_label_maps_that_were_squashed() -> None:
    chosen = protocol("rpmm")
    assert (chosen.input, chosen.resize, chosen.score_at, chosen.ignore, chosen.seeds) == (
        (481, 481),
        "pillow-and-back",
        "original",
        "background",
        (1385,),
    )


def test_fssdino_counts_on_the_padded_square() -> None:
    chosen = protocol("fssdino").on("coco20i")
    assert (chosen.sampler, chosen.seeds, chosen.episodes) == ("fssdino-drawn", (0,), 1000)
    assert (chosen.input, chosen.resize, chosen.score_at) == ((512, 512), "opencv-pad-squeezed", "original")
    assert (chosen.other_classes, chosen.way) == ("neither", (1, 20))


@pytest.mark.parametrize(
    ("dataset", "sampler", "episodes"),
    [
        ("coco20i", "hsnet-drawn", 1000),
        ("isic2018", "patnet-in-turn", 600),
        ("chestxray", "patnet-in-turn", 600),
        ("suim", "patnet-in-turn", 3859),
    ],
)
def test_insid3_draws_as_hsnet_and_patnet_and_counts_at_1024(dataset: str, sampler: str, episodes: int) -> None:
    chosen = protocol("insid3").on(dataset)
    assert (chosen.sampler, chosen.episodes, chosen.seeds) == (sampler, episodes, (0,))
    assert (chosen.input, chosen.resize, chosen.score_at) == ((1024, 1024), "pillow-bilinear", "input")


def test_panet_counts_at_417_and_leaves_absent_classes_out() -> None:
    chosen = protocol("panet")
    assert (chosen.input, chosen.resize, chosen.score_sizes, chosen.absent) == (
        (417, 417),
        "pillow",
        ("input",),
        "leave-out",
    )


def test_panet_asks_up_to_five_ways_where_its_release_keeps_all_classes_of_a_query() -> None:
    protocol("panet").check("pascal5i", 5, 1)
    for dataset, way in (("pascal5i", 6), ("coco20i", 2)):
        with pytest.raises(UsageError, match=f"not {way} ways"):
            protocol("panet").on(dataset).check(dataset, way, 1)
    assert protocol("panet").other_classes == "neither"


def test_counting_at_the_original_size_has_its_own_name() -> None:
    original = protocol("hsnet").at("original")
    assert (original.name, original.score_at) == ("hsnet@original", "original")
    assert protocol("hsnet@original") == original
    assert original.at("input") == protocol("hsnet") == protocol("hsnet@input")
    assert original.on("coco20i").name == "hsnet@original"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hsnett", "did you mean hsnet"),
        ("hsnet@", "input or original, not ''"),
        ("hsnet@400", "input or original, not '400'"),
        ("ifsl-fscs@input", "original size only"),
        ("nothing@original", "unknown protocol 'nothing'"),
    ],
)
def test_unknown_names(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        protocol(name)


@pytest.mark.parametrize("name", list_protocols())
def test_every_protocol_asks_own_data_as_it_stands(name: str) -> None:
    chosen = protocol(name)
    assert chosen.takes("folder")
    assert chosen.on("folder") == replace(chosen, overrides={}, split=chosen.split.replace("test", "val"))
    tested = replace(chosen, split="test")
    assert tested.on("folder").split == "val", "own photos that are asked are its val side"
    assert not chosen.takes("folders")


def test_fss1000_is_scored_at_the_input_size_only() -> None:
    with pytest.raises(UsageError, match="on fss1000 at the input size only"):
        protocol("hsnet@original").on("fss1000")


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("hsnet", ("pascal5i", 2, 1), "1-way episodes, not 2 ways"),
        ("ifsl-fscs", ("pascal5i", 6, 1), "1 to 5 ways, not 6"),
        ("ifsl-fscs", ("fss1000", 1, 1), "not defined for fss1000"),
        ("hsnet", ("pascal5i", 1, 0), "at least one support"),
    ],
)
def test_check_refuses(name: str, arguments: tuple[str, int, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        protocol(name).check(*arguments)


@pytest.mark.parametrize(
    "change",
    [
        {"sampler": None},
        {"task": "segmentation"},
        {"input": [400]},
        {"misspelt": 1},
        {"overrides": {"coco20i": {"epsiodes": 3}}},  # codespell:ignore epsiodes
    ],
)
def test_the_file_is_held_against_a_schema(change: dict[str, object]) -> None:
    path = Path(sys.modules[Protocol.__module__].__file__).with_name("protocols.toml")
    fields = tomllib.loads(path.read_text())["hsnet"]
    schema = TypeAdapter(Protocol)
    assert schema.validate_python({"name": "hsnet", **fields}) == protocol("hsnet")
    with pytest.raises(ValidationError):
        schema.validate_python({"name": "hsnet", **fields, **change})


def test_protocols_need_no_torch() -> None:
    code = "import sys, fssbench; fssbench.list_protocols(); sys.exit('torch' in sys.modules)"
    top = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=top).returncode == 0
