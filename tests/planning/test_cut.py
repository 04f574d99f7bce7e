"""Shards are cut so that few images are in several of them; every job of an array finds the same shards."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fssbench.engine.order import order_of_work
from fssbench.engine.runner import run_plans
from fssbench.episode import Episode
from fssbench.errors import BrokenFileError, UsageError
from fssbench.planning import cut
from fssbench.planning.cut import numbers_of, shards_of
from fssbench.planning.plan import Plan, plan
from fssbench.planning.request import Request
from fssbench.results import Existing
from fssbench.results.merge import merge
from fssbench.results.run_reader import read_run
from fssbench.results.shard import Shard

Lists = list[tuple[int, list[Episode]]]


def lists_of(seed: int, episodes: int, folds: int = 2, shots: int = 5) -> Lists:
    """Return lists of six classes a fold, as many episodes of each; classes c and c + 3 of all folds have their images
    in common."""
    chance = random.Random(seed)  # noqa: S311 - drawn for a test
    lists: Lists = []
    for fold in range(folds):
        drawn = []
        for number in range(episodes):
            query, *supports = (f"{number % 3}-{image}" for image in chance.sample(range(40), 1 + shots))
            found = 6 * fold + number % 6
            drawn.append(Episode(query, (found,), (tuple(supports),), found))
        lists.append((fold, drawn))
    return lists


def images_of(lists: Lists, numbers: list[list[int]]) -> set[str]:
    chosen = [one[number] for (_, one), found in zip(lists, numbers, strict=True) for number in found]
    return {name for episode in chosen for name in (episode.query, *episode.supports[0])}


def encoded(lists: Lists, shares: list[list[list[int]]]) -> float:
    """Return how many images are encoded for each that there is."""
    everything = images_of(lists, [list(range(len(one))) for _, one in lists])
    return sum(len(images_of(lists, share)) for share in shares) / len(everything)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 3), st.integers(1, 20), st.integers(1, 40), st.integers(1, 3))
def test_every_episode_is_in_one_of_equal_shards(seed: int, episodes: int, count: int, folds: int):
    lists = lists_of(seed, episodes, folds)
    shards = [numbers_of(lists, Shard(number, count)) for number in range(1, count + 1)]
    found = [(place, number) for share in shards for place, numbers in enumerate(share) for number in numbers]
    assert sorted(found) == [(place, number) for place in range(folds) for number in range(episodes)]
    assert shards == shards_of(lists, count)
    sizes = [sum(map(len, share)) for share in shards]
    assert max(sizes) - min(sizes) <= 1 + folds * episodes * 2 // (count * cut.TOLERANCE)
    assert all(numbers == sorted(numbers) for share in shards for numbers in share)


@pytest.mark.parametrize(("count", "at_most"), [(3, 1.0), (12, 3.5)])
def test_fewer_images_are_encoded_twice_than_by_the_order_of_work(
    count: int, at_most: float, monkeypatch: pytest.MonkeyPatch
):
    lists = lists_of(0, 120)
    shards = [Shard(number, count) for number in range(1, count + 1)]
    by_order = encoded(lists, [[order_of_work(one, shard=shard) for _, one in lists] for shard in shards])
    by_seams = encoded(lists, shards_of(lists, count))
    monkeypatch.setattr(cut, "PASSES", 0)
    by_classes = encoded(lists, shards_of(lists, count))
    assert by_seams <= at_most < by_order
    assert (by_seams < by_classes) == (count > 3), "whole classes need no exchange"


def test_several_lists_of_a_fold_are_cut_at_the_same_places():
    ((_, one),) = lists_of(0, 60, folds=1, shots=1)
    twice = [(0, one), (0, one)]
    first, second = numbers_of(twice, Shard(1, 2))
    assert len(set(first) ^ set(second)) <= 2


def test_a_cut_stays_as_it_is():
    """Shards that were begun with an earlier version are continued: another cut needs another name in run.json."""
    lists = lists_of(5, 120)
    shards = [numbers_of(lists, Shard(number, count)) for count in (5, 40) for number in (1, 3, 5)]
    assert hashlib.sha256(json.dumps(shards).encode()).hexdigest()[:12] == "4757050b091b"


def planned(out: str, number: int, **options: object) -> Plan:
    given = {"fold": "all", "episodes": "7", "out": Path(out), "shard": Shard(number, 3)} | options
    return plan(Request("nothing", "shapes20i", **given))  # type: ignore[arg-type]


@pytest.mark.usefixtures("elsewhere")
def test_shards_of_an_earlier_version_are_continued_as_they_were_cut():
    for cut_by in ("order", "seams"):
        run_plans([planned(cut_by, 2, cut=cut_by)])
    record = json.loads(Path("order/shard-2-of-3/run.json").read_text())
    assert ("cut" in record, "in_shard" in record["folds"][0]) == (False, False)
    assert json.loads(Path("seams/shard-2-of-3/run.json").read_text())["cut"] == "seams"
    folders = {}
    for out in ("order", "seams"):
        for number in (1, 2, 3):
            one = planned(out, number, existing=Existing.RESUME)
            assert (one.in_shard is None) == (out == "order")
            (results,) = run_plans([one])
            assert (results.missing, results.run.cut, results.run.shard) == (0, out, (number, 3))
        folders[out] = [Path(out) / f"shard-{number}-of-3" for number in (1, 2, 3)]
        assert merge(folders[out], Path(out)).missing == 0
    rows = [Path(out, "rows.jsonl").read_text().splitlines() for out in folders]
    first, second = ([{**json.loads(row), "seconds": 0} for row in one] for one in rows)
    assert first == second
    assert len(first) == 28
    # Those of both cuts together are rows of one run, but not all of them.
    assert merge([folders["order"][0], *folders["seams"][1:]], Path("mixed")).missing > 0
    with pytest.raises(UsageError, match="shard 2/3 of all episodes of each list, and that of the first 4 has other"):
        planned("seams", 2, existing=Existing.RESUME, limit=4)


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("change", [{"cut": "order"}, {"cut": "diagonal"}, {"in_shard": 8}, {"in_shard": -1}])
def test_a_record_whose_shard_is_impossible_is_refused(change: dict[str, object]):
    run_plans([planned("parts", 1)])
    path = Path("parts/shard-1-of-3/run.json")
    record = json.loads(path.read_text())
    if "cut" in change:
        record |= change
    else:
        record["folds"][0] |= change
    path.write_text(json.dumps(record))
    with pytest.raises(BrokenFileError, match="not a record of a run"):
        read_run(path.parent)
