"""The room of the feature cache: what the rest of the command leaves of 4 GiB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pandas as pd
import pytest
import torch

from fssbench import evaluate
from fssbench.engine import loop
from fssbench.engine.features import room as module
from fssbench.engine.features.cache import FeatureCache
from fssbench.engine.features.room import Room, room_of
from fssbench.planning.settings import Settings
from tests.engine.stub import NearestColour, Patches, questions, rules

LATER = {key: [number] for number, key in enumerate("abcdef", 9)}


def block(bytes_: int) -> torch.Tensor:
    return torch.zeros(bytes_, dtype=torch.uint8)


@pytest.fixture(autouse=True)
def _in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count in bytes in place of GiB: 4,000 for the command, 1,000 of them for features at least."""
    monkeypatch.setattr(module, "WHOLE", 4000)
    monkeypatch.setattr(module, "LEAST", 1000)


def filled(budget: int = 3000, each: int = 500) -> FeatureCache[str]:
    cache: FeatureCache[str] = FeatureCache(budget, {key: [*steps] for key, steps in LATER.items()})
    for key in LATER:
        cache.put(key, block(each), 1)
    return cache


def after(peaks: list[int], found: dict[str, torch.Tensor]) -> tuple[FeatureCache[str], Room[str]]:
    """Return a cache of 3,000 bytes after calls of these features, by the largest memory before and after each."""
    cache = filled()
    left = iter(peaks)
    room = Room(cache, lambda: next(left))
    for _ in peaks[1:]:
        room.before(found, 1)
        room.after(1)
    return cache, room


def test_a_small_command_leaves_all_of_it():
    cache, _ = after([300, 3900], {})  # 900 besides 3,000 of features
    assert (cache.budget, cache.bytes) == (3000, 3000)


def test_what_a_large_command_needs_is_taken_from_the_cache_and_what_is_needed_latest_goes():
    cache, _ = after([300, 5000], {})  # 2,000 besides features
    assert (cache.budget, cache.bytes, "e" in cache, "d" in cache) == (2000, 2000, False, True)


def test_features_of_the_call_that_are_not_kept_count_as_features():
    cache, room = after([300, 5000], {"x": block(400), "a": block(500)})  # 1,600 besides 3,400 of features
    assert (cache.budget, cache.bytes) == (2400, 2000)
    room.before({"x": block(700)}, 1)  # with 2,000 that are kept
    assert (cache.budget, cache.bytes, "d" in cache) == (2400, 1500, False)


def test_features_of_the_call_itself_are_not_evicted_for_it():
    cache, room = after([300, 5000], {})
    room.before({"d": block(500), "x": block(700)}, 1)
    assert (cache.bytes, [key for key in LATER if key in cache]) == (1000, ["a", "d"])


def test_there_is_always_some_room():
    cache, _ = after([300, 9000], {})
    assert (cache.budget, cache.bytes) == (1000, 1000)


def test_an_earlier_part_of_the_process_says_nothing():
    cache, room = after([9000, 9000], {})
    assert (cache.budget, room.most) == (3000, None)


def test_a_budget_that_memory_running_out_has_halved_stays():
    cache, room = after([300, 3900], {})
    cache.shrink(500, 1)
    room._peak = lambda: 3950
    room.before({}, 1)
    room.after(1)
    assert cache.budget == 500


@pytest.mark.parametrize(
    ("chosen", "count", "device", "there"),
    [(None, 1, "cpu", True), (None, 2, "cpu", True), (3000, 1, "cpu", False), (None, 1, "cuda", False)],
)
def test_only_the_default_on_a_processor_depends_on_the_rest(
    chosen: int | None, count: int, device: str, there: bool
) -> None:
    methods = [NearestColour() for _ in range(count)]
    assert (room_of(filled(), chosen, methods, torch.device(device)) is not None) == there


def test_several_methods_share_a_whole_cache():
    class Other(NearestColour):
        """Another method."""

    assert room_of(filled(), None, [NearestColour(), Other()], torch.device("cpu")) is None


def test_rows_are_the_same_with_little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    method, grown = NearestColour(), iter(range(1, 99))
    monkeypatch.setattr(Room.__init__, "__defaults__", (lambda: next(grown) << 20,))

    def run(cache: int | None) -> pd.DataFrame:
        method.encoded = 0
        settings = Settings(feature_cache=cache, batch_size=2)
        return evaluate(method, Patches(), questions(count=12), protocol=rules(), settings=settings).frame

    expected = run(1 << 30)
    at_once = method.encoded
    found = run(None)
    pd.testing.assert_frame_equal(found.drop(columns="seconds"), expected.drop(columns="seconds"))
    assert method.encoded > at_once, "with room for nothing more images are encoded again"


def test_freed_memory_is_looked_at_after_each_image_and_before_each_prediction(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    @contextmanager
    def counting(_device: torch.device) -> Iterator[Callable[[], None]]:
        yield lambda: looked.append(method.encoded)

    method, settings = NearestColour(), Settings(feature_cache=0, batch_size=1)
    monkeypatch.setattr(loop, "freed_memory_kept", counting)
    evaluate(method, Patches(), questions(count=3), protocol=rules(), settings=settings)
    # Each number of images once, as they are encoded one by one, and once more where a call is predicted.
    assert set(looked) == set(range(1, method.encoded + 1))
    assert len(looked) > method.encoded
