"""The order of work, and its shares."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fssbench.engine.batch_sizes import BatchSizes
from fssbench.engine.order import order_of_work
from fssbench.errors import UsageError
from fssbench.planning.settings import Settings
from fssbench.results.shard import Shard
from tests.engine.stub import questions


def test_episodes_of_a_class_and_of_an_image_follow_each_other():
    episodes = [*questions(count=12), *questions(count=12, seed=3)]
    order = order_of_work(episodes)
    assert sorted(order) == list(range(24))
    keys = [(episodes[number].classes, episodes[number].query) for number in order]
    assert keys == sorted(keys)
    assert order != list(range(24))


@given(st.integers(1, 40), st.integers(0, 60))
def test_shares_are_all_of_it_and_equal(parts: int, length: int):
    bounds = [Shard(part, parts).bounds(length) for part in range(1, parts + 1)]
    assert [place for start, stop in bounds for place in range(start, stop)] == list(range(length))
    sizes = {stop - start for start, stop in bounds}
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("done", [set(), {0, 5, 7}, set(range(12))])
def test_a_share_is_the_same_whatever_is_done_already(done: set[int]):
    episodes = questions(count=12)
    fresh = [order_of_work(episodes, shard=Shard(part, 3)) for part in (1, 2, 3)]
    again = [order_of_work(episodes, done, Shard(part, 3)) for part in (1, 2, 3)]
    assert again == [[number for number in share if number not in done] for share in fresh]


@pytest.mark.parametrize("text", ["", "1", "0/4", "5/4", "1/0", "-1/4", "a/b", "1/2/3", "٣/٤"])
def test_what_is_no_share(text: str):
    with pytest.raises(UsageError, match="shard"):
        Shard.parse(text)


def test_a_share_by_name():
    assert Shard.parse("2/8") == Shard(2, 8)
    assert str(Shard(2, 8)) == "2/8"


@pytest.mark.parametrize("count", [0, 1, 2, 3, 9, 17, 18, 40])
def test_the_first_call_is_short_and_none_is_left_out(count: int) -> None:
    sizes = BatchSizes(Settings(batch_size=16), torch.device("cpu"), at_once=2)
    calls: list[range] = []
    while (start := calls[-1].stop if calls else 0) < count:
        calls.append(sizes.call(start, count))
    assert [number for call in calls for number in call] == list(range(count))
    assert all(calls)
    assert [len(call) for call in calls[:1]] == [min(count, 2)] * (count > 0)
    assert all(len(call) == 16 for call in calls[1:-1])
