"""RePRI's and MLC's draws, as their loaders' processes make them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

import numpy as np
import pytest
import torch

from fssbench.episode import episodes
from fssbench.episode.episode import Episode
from fssbench.episode.samplers import pfenet, repri
from fssbench.episode.samplers.lists import ImageLists
from fssbench.episode.samplers.pfenet import base_seeds
from tests.episode.test_pfenet import Areas


@pytest.mark.parametrize("together", [pfenet._CHUNK, 1000], ids=["at once", "in parts"])
def test_what_pytorch_draws_before_moves_the_seeds_of_the_processes(
    together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pfenet, "_CHUNK", together)
    torch.manual_seed(2020)
    torch.nn.init.normal_(torch.empty(64, 32))
    expected = [int(torch.empty((), dtype=torch.int64).random_()) for _ in range(3)]
    found = base_seeds(2020, 64 * 32)
    assert [next(found) for _ in range(3)] == expected


def test_another_network_of_repri_draws_as_many_numbers_more_as_it_has_weights_more() -> None:
    """COCO's classifier has 61 outputs in place of 16. ResNet-101 has 17 blocks more, whose weights are drawn twice."""
    assert repri._COCO - repri._PASCAL == (61 - 16) * (512 + 1)
    block = 1024 * 256 + 256 * 256 * 9 + 256 * 1024
    more = repri._PASCAL_RESNET101 - repri._PASCAL
    assert more == 2 * 17 * block


@pytest.mark.parametrize(
    ("listed", "workers"), [(repri.listed_by_3, 3), (repri.listed_by_2, 2), (repri.listed_by_3_resnet101, 3)]
)
def test_all_processes_of_repris_loader_draw_the_same_classes(
    listed: Callable[[ImageLists, int, int, int, int], Iterator[Episode]], workers: int
) -> None:
    names = tuple("abcdef")
    lists = ImageLists(tuple((name, 1) for name in names), {1: names, 2: names}, dict.fromkeys(names, (1, 2)))
    stream = np.random.RandomState(0)
    turns = [int(stream.choice((1, 2))) for _ in range(6 // workers)]
    assert len(set(turns)) == 2
    expected = [class_id for class_id in turns for _ in range(workers)]
    assert [one.classes[0] for one in listed(lists, 1, 1, 6, 0)] == expected


def test_repris_runs_go_on_in_one_stream() -> None:
    dataset = Areas()
    drawn = episodes(dataset, shot=2, protocol="repri", count=9)
    assert (len(drawn), drawn.run_length) == (45, 9)
    assert list(drawn)[:20] == list(episodes(dataset, shot=2, protocol="repri", count=20, runs=1))


@pytest.mark.parametrize("shot", [1, 3])
def test_mlc_draws_queries_again_and_small_supports_anew(shot: int) -> None:
    dataset = Areas()
    areas = {
        (name, c): pixels for name, c, pixels in dataset.areas[["name", "class_id", "pixels"]].itertuples(index=False)
    }
    drawn = episodes(dataset, shot=shot, protocol="mlc", count=40)
    first = list(drawn)[:40]
    assert len({one.query for one in first}) < 40
    assert all(areas[name, one.classes[0]] >= 2048 for one in first for name in one.supports[0])
    base = next(base_seeds(0))
    listed = [name for name in sorted({name for name, _ in areas}) if any(
        pixels >= 2048 and c in dataset.classes for (other, c), pixels in areas.items() if other == name)]  # fmt: skip
    streams = [Random(base + worker) for worker in range(4)]  # noqa: S311 - the generator of the release
    assert [one.query for one in first[:4]] == [stream.choice(listed) for stream in streams]
    assert np.all([one.query not in one.supports[0] for one in first])
