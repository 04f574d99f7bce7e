"""The cache of features: what it keeps when room is short."""

from __future__ import annotations

import pytest
import torch

from fssbench.engine.features.cache import NEVER, FeatureCache
from fssbench.errors import UsageError
from fssbench.fast.pytree import bytes_of, split_batch
from fssbench.fast.staged import SharedMaps
from fssbench.planning.settings import parse_bytes


def block(bytes_: int) -> torch.Tensor:
    return torch.zeros(bytes_, dtype=torch.uint8)


def test_what_is_needed_latest_goes_first():
    cache: FeatureCache[str] = FeatureCache(200, {"a": [1], "b": [9], "c": [2]})
    for key in "abc":
        cache.put(key, block(100), 0)
    assert ("a" in cache, "b" in cache, "c" in cache) == (True, False, True)
    assert (cache.counts.evicted, cache.counts.peak_bytes) == (1, 200)


def test_a_large_thing_goes_before_a_small_one_that_is_needed_later():
    cache: FeatureCache[str] = FeatureCache(1000, {"large": [5], "small": [8], "next": [1]})
    cache.put("large", block(900), 0)
    cache.put("small", block(50), 0)
    cache.put("next", block(200), 0)
    assert ("large" in cache, "small" in cache, "next" in cache) == (False, True, True)


def test_there_is_room_where_what_is_needed_later_may_go():
    cache: FeatureCache[str] = FeatureCache(100, {"soon": [1], "late": [9]})
    for key in ("soon", "late"):
        cache.put(key, block(50), 0)
    assert not cache.fits(1)
    assert (cache.fits(50, 9), cache.fits(51, 9), cache.fits(1, 10)) == (True, False, False)


def test_what_is_not_needed_again_is_not_kept():
    cache: FeatureCache[str] = FeatureCache(1000, {"a": [0, 3], "b": [1]})
    cache.put("a", block(10), 1)
    cache.put("b", block(10), 2)
    assert ("a" in cache, "b" in cache) == (True, False)
    cache.mark_used(["a"], 4)
    assert "a" not in cache
    assert cache.next_use("a", 4) == NEVER


def test_hits_and_misses_are_counted():
    cache: FeatureCache[str] = FeatureCache(1000, {"a": [3]})
    assert cache.get("a") is None
    cache.put("a", block(10), 0)
    assert cache.get("a") is not None
    assert (cache.counts.hits, cache.counts.misses) == (1, 1)


def test_without_a_budget_nothing_is_kept():
    cache: FeatureCache[str] = FeatureCache(0, {"a": [3]})
    cache.put("a", block(1), 0)
    assert "a" not in cache


def test_the_bytes_of_what_methods_keep():
    maps = SharedMaps(torch.zeros(1, 2, 3, 3), torch.zeros(1, 4, 3, 3), (24, 24))
    assert bytes_of(maps) == 4 * 9 * (2 + 4)
    shared = torch.zeros(10)
    assert bytes_of((shared, [shared[:2]], {"again": shared})) == 40
    assert bytes_of(("name", 3, None)) == 0


def test_a_batch_comes_apart_into_images_of_their_own():
    maps = SharedMaps(torch.arange(6.0).view(3, 2, 1, 1), torch.zeros(3, 1, 1, 1), (24, 24))
    parts = split_batch(maps, 3)
    assert [part.layer2.flatten().tolist() for part in parts] == [[0, 1], [2, 3], [4, 5]]
    assert all(part.size == (24, 24) and part.deep == {} for part in parts)
    assert bytes_of(parts[0]) == 12
    pyramid = split_batch((torch.zeros(2, 3), torch.ones(2, 1)), 2)
    assert [tuple(map(tuple, (part[0].shape, part[1].shape))) for part in pyramid] == [((1, 3), (1, 1))] * 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("4GiB", 4 << 30), ("1.5 kb", 1500), ("500MB", 500 * 10**6), ("12", 12), ("1TiB", 1 << 40)],
)
def test_amounts_of_memory(text: str, expected: int):
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "lots", "-1", "4GiBs", "1e9", "GiB", "٤GB"])
def test_what_is_no_amount_of_memory(text: str):
    with pytest.raises(UsageError, match="not an amount of memory"):
        parse_bytes(text)
