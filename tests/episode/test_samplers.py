"""Samplers against the plain meaning of the releases' calls, and against pinned hashes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from fssbench.episode import Episode, EpisodeList, episodes
from fssbench.episode.samplers import SAMPLERS, sampler
from fssbench.errors import UsageError
from tests.episode.stub import ListsOnly, synthetic

# The draws of lists made by `synthetic`, 300 episodes each; a change here is a change of every measured number.
PINS = {
    ("hsnet", "pascal5i", 1, 1): "d1edb32d606929e5f7d1f57cd405ae815710788d8fb22a2e0ca17837f11acce7",
    ("hsnet", "pascal5i", 1, 5): "39b15aaad479603d932ce6ee187ec979e60b627596e8aa1d1cc04198825b8554",
    ("hsnet", "coco20i", 1, 1): "ddb1369cf02f9cfefe64169458e487f1f50f7a6eb26c400e4b79177f1e407bb6",
    ("hsnet", "coco20i", 1, 5): "9491463c8c1e632d04dedf2ee082182ba37663812cc77e93ec4f87b07dd50947",
    ("ifsl-fss", "pascal5i", 1, 5): "99c555cabfbb1a94f596464ca82f3ade10da02aa182e8c68eddb8155ad082de0",
    ("ifsl-fss", "coco20i", 1, 5): "2a4cd4bcb87ea2d09a749c0f315a28ac27f41f8a1174aaa86cc094c7cb5f8be1",
    ("ifsl-fscs", "pascal5i", 1, 1): "fa89ae3c995f90a4e79a71fc53c741c352e6f309d6991ff30343f1807af77db8",
    ("ifsl-fscs", "pascal5i", 2, 5): "c6a2ef668301eeb9238c26dbef6d965a9c8b49dd0d9703d11d9beb60090df429",
    ("ifsl-fscs", "coco20i", 5, 2): "2d2cfb019b747d23071a020fc91b1ccfde9181579fb4a630cd7d0d6a028064a7",
    ("shapes", "shapes20i", 1, 5): "99c555cabfbb1a94f596464ca82f3ade10da02aa182e8c68eddb8155ad082de0",
}


@pytest.fixture
def global_generator():
    """The generator that the releases draw from, put back as it was found."""
    state = np.random.get_state()  # noqa: NPY002 - the releases use it
    yield np.random
    np.random.set_state(state)  # noqa: NPY002 - the legacy generator is what the releases use


def fss_oracle(generator, dataset: ListsOnly, shot: int, count: int, *, per_episode: bool, listed: bool):
    lists = dataset.class_lists(0)
    if not per_episode:
        generator.seed(0)
    for number in range(count):
        if per_episode:
            generator.seed(number)
        if listed:
            query, class_id = dataset.pairs[number % len(dataset.pairs)]
        else:
            class_id = int(generator.choice(list(lists), 1, replace=False)[0])
            query = str(generator.choice(lists[class_id], 1, replace=False)[0])
        supports: list[str] = []
        while len(supports) < shot:
            name = str(generator.choice(lists[class_id], 1, replace=False)[0])
            supports += [name] if name != query else []
        yield Episode(query, (class_id,), (tuple(supports),), class_id)


def fscs_oracle(generator, dataset: ListsOnly, way: int, shot: int, count: int, *, listed: bool):
    lists = dataset.class_lists(0)
    classes = sorted(lists)
    for number in range(count):
        generator.seed(number)
        if listed:
            query, query_class = dataset.pairs[number % len(dataset.pairs)]
        else:
            query_class = int(generator.choice(classes, 1, replace=False)[0])
            query = str(generator.choice(lists[query_class], 1, replace=False)[0])
        chances = [0.5 if c == query_class else 0.5 / (len(classes) - 1) for c in classes]
        asked = [int(c) for c in generator.choice(classes, way, p=chances, replace=False)]
        supports = []
        for class_id in asked:
            names: list[str] = []
            while len(names) < shot:
                name = str(generator.choice(lists[class_id], 1, replace=False)[0])
                names += [name] if name != query and name not in names else []
            supports.append(tuple(names))
        yield Episode(query, tuple(asked), tuple(supports), query_class)


@pytest.mark.parametrize("shot", [1, 5])
@pytest.mark.parametrize("protocol", ["hsnet", "ifsl-fss"])
@pytest.mark.parametrize("name", ["pascal5i", "coco20i", "shapes20i"])
def test_fss_draws_are_the_global_generators(global_generator, name: str, protocol: str, shot: int) -> None:
    dataset = synthetic(name)
    rules = {"per_episode": protocol == "ifsl-fss", "listed": name != "coco20i"}
    expected = tuple(fss_oracle(global_generator, dataset, shot, 200, **rules))
    assert episodes(dataset, shot=shot, protocol=protocol, count=200).episodes == expected


@pytest.mark.parametrize(("way", "shot"), [(1, 1), (2, 5), (5, 2)])
@pytest.mark.parametrize("name", ["pascal5i", "coco20i"])
def test_fscs_draws_are_the_global_generators(global_generator, name: str, way: int, shot: int) -> None:
    dataset = synthetic(name)
    expected = tuple(fscs_oracle(global_generator, dataset, way, shot, 100, listed=name == "pascal5i"))
    assert episodes(dataset, way=way, shot=shot, protocol="ifsl-fscs", count=100).episodes == expected


def test_fss1000_asks_each_image_once_and_draws_file_numbers(global_generator) -> None:
    order = [1, 10, *range(2, 10)]  # as paths sort
    pairs = [(f"{name}/{number}.jpg", c) for c, name in ((1, "ant"), (2, "bus")) for number in order]
    drawn = episodes(ListsOnly("fss1000", pairs), shot=5, protocol="hsnet")
    assert [(e.query, e.query_class) for e in drawn] == pairs
    assert drawn.split == "test"
    global_generator.seed(0)
    for episode in drawn:
        folder = episode.query.split("/")[0]
        expected: list[str] = []
        while len(expected) < 5:
            name = f"{folder}/{global_generator.choice(range(1, 11), 1, replace=False)[0]}.jpg"
            expected += [name] if name != episode.query else []
        assert list(episode.supports[0]) == expected


def test_drawing_leaves_the_global_generator_alone(global_generator) -> None:
    global_generator.seed(5)
    before = global_generator.get_state()[1].tolist()
    episodes(synthetic("pascal5i"), count=10)
    assert global_generator.get_state()[1].tolist() == before


@pytest.mark.parametrize("case", PINS, ids=str)
def test_pinned(case: tuple[str, str, int, int]) -> None:
    protocol, name, way, shot = case
    assert episodes(synthetic(name), way=way, shot=shot, protocol=protocol, count=300).hash == PINS[case]


def test_hsnet_repeats_supports_and_fscs_does_not() -> None:
    def repeated(drawn: EpisodeList) -> int:
        return sum(len(set(names)) < len(names) for episode in drawn for names in episode.supports)

    dataset = synthetic("shapes20i")
    assert repeated(episodes(dataset, shot=5, protocol="hsnet", count=200)) > 10
    assert repeated(episodes(dataset, way=2, shot=5, protocol="ifsl-fscs", count=200)) == 0


@pytest.mark.parametrize("way", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("shot", [1, 10])
def test_fscs_on_shapes_takes_one_to_five_ways(way: int, shot: int) -> None:
    drawn = episodes(synthetic("shapes20i", images=60), way=way, shot=shot, protocol="ifsl-fscs", count=40)
    for episode in drawn:
        assert episode.way == len(set(episode.classes)) == way
        assert all(len(set(names)) == shot and episode.query not in names for names in episode.supports)


def test_fscs_asks_the_querys_class_half_the_time() -> None:
    drawn = episodes(synthetic("coco20i"), shot=1, protocol="ifsl-fscs", count=1000)
    assert sum(e.query_class in e.classes for e in drawn) == pytest.approx(500, abs=50)


def test_coco_classes_are_drawn_evenly_whatever_their_lists() -> None:
    pairs = [(f"a{i}", 1) for i in range(100)] + [(f"b{i}", 2) for i in range(4)]
    asked = Counter(e.query_class for e in episodes(ListsOnly("coco20i", pairs), shot=1, count=1000))
    assert asked[1] == pytest.approx(500, abs=50)


@pytest.mark.parametrize("protocol", ["hsnet", "ifsl-fss", "ifsl-fscs"])
@pytest.mark.parametrize("name", ["pascal5i", "coco20i"])
def test_fewer_episodes_are_the_first_ones(name: str, protocol: str) -> None:
    dataset = synthetic(name)
    assert episodes(dataset, protocol=protocol, count=20)[:7] == episodes(dataset, protocol=protocol, count=7)[:]


@pytest.mark.parametrize("protocol", ["hsnet", "ifsl-fss", "ifsl-fscs"])
def test_seeds_ask_other_questions_and_each_its_own(protocol: str) -> None:
    dataset = synthetic("coco20i", images=60)
    hashes = {episodes(dataset, protocol=protocol, count=30, seed=seed).hash for seed in (0, 1, 2)}
    assert len(hashes) == 3
    # Episode 1 of seed 0 must not come back as episode 0 of seed 1, as RandomState(seed + number) would have it.
    first = episodes(dataset, protocol=protocol, count=3, seed=0).episodes
    other = episodes(dataset, protocol=protocol, count=3, seed=1).episodes
    assert not set(first) & set(other)


def test_unknown_sampler_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="hsnet-listed"):
        sampler("hsnet-liste")
    assert sampler("hsnet-listed") is SAMPLERS["hsnet-listed"]


@pytest.mark.parametrize("names", [("b2_bomber", "f16"), ("747", "747a"), ("x/y3", "x/y3z")])
def test_fss1000_draws_file_numbers_whatever_numbers_a_class_is_named_by(names: tuple[str, str]) -> None:
    order = [1, 10, *range(2, 10)]
    plain, numbered = (
        episodes(ListsOnly("fss1000", [(f"{n}/{k}.jpg", c) for c, n in enumerate(pair, 1) for k in order]), shot=5)
        for pair in (("ant", "bus"), names)
    )

    def files(drawn: EpisodeList) -> list[list[str]]:
        return [[name.rsplit("/", 1)[1] for name in (e.query, *e.supports[0])] for e in drawn]

    assert files(numbered) == files(plain)


def test_fss1000_draws_files_of_one_number_or_none_by_name() -> None:
    def drawn(names: list[str]) -> list[tuple[str, ...]]:
        return [e.supports[0] for e in episodes(ListsOnly("fss1000", [(name, 1) for name in names]), shot=3)]

    names = ["z.jpg", "b.jpg", "a/7.jpg", "a/07.jpg", "c.jpg"]
    by_rule = ["b.jpg", "c.jpg", "z.jpg", "a/07.jpg", "a/7.jpg"]
    stream = np.random.RandomState(0)
    expected = []
    for query in names:
        supports: list[str] = []
        while len(supports) < 3:
            name = by_rule[stream.choice(range(5), 1, replace=False)[0]]
            supports += [name] if name != query else []
        expected.append(tuple(supports))
    assert drawn(names) == expected
