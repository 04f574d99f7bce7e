"""The PFENet family's episodes: the loader's streams, its lists, and its draws."""

from __future__ import annotations

import itertools
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

from fssbench.datasets.dataset import Split
from fssbench.episode import Episode, episodes, read_episodes, write_episodes
from fssbench.episode.samplers.lists import area_rule, read_lists
from fssbench.episode.samplers.pfenet import base_seeds, listed, worker_streams
from fssbench.episode.verify import verify
from fssbench.errors import MissingError, UsageError
from fssbench.protocols.rules import protocol
from tests.episode.stub import ListsOnly

MEASURED = {
    321: (7119482877287995930, 1437229359153720095, 8847909884838522568),
    510: (1103786220883858366,),
    365: (8143421076996491956,),
    382: (4685089365426968971,),
    322: (7610654151900102729,),
    988: (7334870626377658727,),
}


class Areas(ListsOnly):
    """Images whose classes have areas on both sides of 2048 pixels."""

    def __init__(self, name: str = "pascal5i", images: int = 41, classes: tuple[int, ...] = (6, 7, 8, 9, 10)) -> None:
        random = np.random.default_rng(images)
        rows = [
            (f"image_{number:04d}", class_id, int(random.choice([1, 2047, 2048, 9000])))
            for number in range(images)
            for class_id in classes
            if random.random() < 0.4
        ]
        self.areas = pd.DataFrame(rows, columns=["name", "class_id", "pixels"])
        super().__init__(name, [(name, c) for name, c, _ in rows], classes)

    def split_fingerprint(self, split: Split) -> str:
        return {"val": "a", "train": "b"}[split] * 64

    def index(self, split: Split) -> pd.DataFrame:
        return self.areas


def by_hand(dataset: Areas, fold: int, shot: int, count: int, seed: int, workers: int) -> list[Episode]:
    """The release's loader and data set, read from their description: one process after the other."""
    large = dataset.areas[dataset.areas["pixels"] >= 2 * 32 * 32]
    queries = sorted(set(large["name"]))
    passes = -(-count // len(queries))
    asked: dict[int, Episode] = {}
    torch.manual_seed(seed)
    for turn in range(passes):
        base = int(torch.empty((), dtype=torch.int64).random_().item())
        for worker in range(workers):
            random = Random(base + worker)  # noqa: S311 - the generator of the release
            for item in range(worker, len(queries), workers):
                query = queries[item]
                classes = sorted(dataset.areas.loc[dataset.areas["name"] == query, "class_id"].tolist())
                chosen = classes[random.randint(1, len(classes)) - 1]
                files = sorted(large.loc[large["class_id"] == chosen, "name"])
                drawn: list[int] = []
                for _ in range(shot):
                    place = random.randint(1, len(files)) - 1
                    path = query
                    while path == query or place in drawn:
                        place = random.randint(1, len(files)) - 1
                        path = files[place]
                    drawn.append(place)
                supports = tuple(files[place] for place in drawn[::-1])
                asked[turn * len(queries) + item] = Episode(query, (chosen,), (supports,), chosen)
    return [asked[number] for number in range(count)]


@pytest.mark.parametrize("seed", MEASURED)
def test_the_measured_base_seeds(seed: int) -> None:
    assert tuple(itertools.islice(base_seeds(seed), len(MEASURED[seed]))) == MEASURED[seed]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=200, deadline=None)
def test_base_seeds_are_torchs(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    drawn = [int(torch.empty((), dtype=torch.int64).random_(generator=generator).item()) for _ in range(3)]
    assert list(itertools.islice(base_seeds(seed), 3)) == drawn


class OneDraw(Dataset[float]):
    """Seven items, each a draw of the process that serves it."""

    def __len__(self) -> int:
        return 7

    def __getitem__(self, item: int) -> float:
        import random

        return random.random()  # noqa: S311 - the generator of the release


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_the_streams_are_those_of_a_loader() -> None:
    loader = DataLoader(OneDraw(), batch_size=None, num_workers=2)
    torch.manual_seed(9)
    drawn = [value for _ in range(2) for value in loader]
    streams = worker_streams(9, 7, 2)
    assert drawn == [random.random() for random, _ in zip(streams, range(14), strict=False)]


@pytest.mark.parametrize(
    ("name", "chosen", "workers"), [("pascal5i", "pfenet", 8), ("coco20i", "pfenet", 16), ("pascal5i", "ntrenet", 8)]
)
@pytest.mark.parametrize("shot", [1, 3])
def test_draws_are_the_releases(name: str, chosen: str, workers: int, shot: int) -> None:
    dataset = Areas(name)
    drawn = episodes(dataset, shot=shot, protocol=chosen, count=130)
    assert list(drawn) == by_hand(dataset, 0, shot, 130, 321, workers)


def test_the_area_rule_admits_but_does_not_choose_the_class() -> None:
    dataset = Areas()
    large = dataset.areas[dataset.areas["pixels"] >= 2048]
    pairs = set(zip(large["name"], large["class_id"], strict=True))
    drawn = episodes(dataset, shot=2, protocol="pfenet", count=400)
    assert {episode.query for episode in drawn} == set(large["name"])
    assert all((name, e.classes[0]) in pairs for e in drawn for name in e.supports[0])
    assert any((e.query, e.classes[0]) not in pairs for e in drawn), "a small class is asked for now and then"


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 20), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_a_shorter_list_is_the_beginning_of_a_longer(short: int, more: int, workers: int, seed: int) -> None:
    dataset = Areas()
    lists = read_lists(dataset, 0, "val", dataset.classes, "2048 pixels")
    longer = list(listed(lists, 1, short + more, seed, workers))
    assert list(listed(lists, 1, short, seed, workers)) == longer[:short]
    for episode in longer:
        assert episode.query not in episode.supports[0]


def test_another_number_of_processes_asks_other_episodes() -> None:
    dataset = Areas()
    lists = read_lists(dataset, 0, "val", dataset.classes, "2048 pixels")
    assert list(listed(lists, 1, 40, 321, 8)) != list(listed(lists, 1, 40, 321, 16))


def test_bam_asks_five_runs_in_one_list(tmp_path: Path) -> None:
    dataset = Areas()
    drawn = episodes(dataset, shot=1, protocol="bam", count=60)
    seeds = protocol("bam").seeds
    single = [episodes(dataset, shot=1, protocol="bam", count=60, seed=seed) for seed in seeds]
    assert (len(drawn), drawn.run_length, drawn.seed) == (300, 60, 510)
    assert list(drawn) == [episode for one in single for episode in one]
    assert [(one.run_length, one.seed) for one in single] == [(None, seed) for seed in seeds]
    again = read_episodes(write_episodes(drawn, tmp_path / "bam.json"))
    assert (again, again.run_length) == (drawn, 60)
    assert '"run_length"' not in write_episodes(single[0], tmp_path / "one.json").read_text()


@pytest.mark.parametrize(("chosen", "seed"), [("pfenet", None), ("bam", None), ("bam", 365), ("panet", None)])
def test_drawn_lists_pass_their_own_check(chosen: str, seed: int | None) -> None:
    dataset = Areas(images=60)
    drawn = episodes(dataset, shot=2, protocol=chosen, count=50, seed=seed)
    assert {finding.state for finding in verify(drawn, dataset)} == {"ok"}


def test_the_seeds_of_bam_are_drawn_as_its_release_draws_them() -> None:
    assert protocol("bam").seeds == tuple(np.random.RandomState(123).randint(0, 1000, 5).tolist())


def test_a_class_that_only_queries_hold_is_refused_as_it_has_no_support() -> None:
    dataset = Areas()
    dataset.areas.loc[dataset.areas["class_id"] == 7, "pixels"] = 100
    with pytest.raises(MissingError, match=r"class7 \(0\)"):
        episodes(dataset, shot=1, protocol="pfenet")
    without = episodes(dataset, shot=1, protocol="pfenet", skip_short_classes=True, count=200)
    assert without.left_out == (7,)
    assert 7 not in {e.classes[0] for e in without}


@pytest.mark.parametrize(
    ("name", "way", "shot"), [("coco20i", 1, 1), ("coco20i", 1, 5), ("pascal5i", 2, 1), ("pascal5i", 5, 3)]
)
def test_panet_draws_are_the_releases(name: str, way: int, shot: int) -> None:
    dataset = Areas(name, images=80)
    drawn = episodes(dataset, way=way, shot=shot, protocol="panet", count=70)
    expected = []
    for seed in range(1234, 1239):
        random = Random(seed)  # noqa: S311 - the generator of the release
        [query_way] = random.choices(population=range(way), k=1)
        for _ in range(70):
            classes = tuple(dataset.classes[place] for place in random.sample(range(5), k=way))
            images = []
            for number, class_id in enumerate(classes):
                names = sorted(dataset.areas.loc[dataset.areas["class_id"] == class_id, "name"])
                k = shot + 1 if number == query_way else shot
                images.append(tuple(names[number] for number in random.sample(range(len(names)), k=k)))
            query = images[query_way][-1]
            supports = tuple(drawn[:shot] for drawn in images)
            expected.append(Episode(query, classes, supports, classes[query_way]))
    assert list(drawn) == expected
    assert (drawn.split, drawn.run_length, drawn.data_fingerprint) == ("train", 70, "b" * 64)


def test_seeds_out_of_range_are_refused() -> None:
    with pytest.raises(UsageError, match="a seed is a number from 0"):
        episodes(Areas(), protocol="bam", seed=-1)


def test_what_the_area_rule_leaves_out_is_counted() -> None:
    dataset = Areas()
    areas = dataset.areas
    small = areas[areas["class_id"].isin([6, 7]) & (areas["pixels"] < 2048)]
    assert {*small["pixels"]} == {1, 2047}
    text = area_rule("2048 pixels", dataset, "val", (6, 7))
    assert f"leaves out {len(small)} images here, with up to 2047 pixels" in text
    assert area_rule("large objects", dataset, "val", (6, 7)) == text
    assert not area_rule("any pixel", dataset, "val", (6, 7))
    dataset.areas = areas[areas["pixels"] >= 2048]
    assert not area_rule("2048 pixels", dataset, "val", (6, 7))
