"""Pictures that were read last."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fssbench.datasets.dataset import Image
from fssbench.engine.features.lru import LRUCache
from fssbench.errors import BrokenFileError

EACH = 300


class Reader:
    """Pictures of 300 bytes, the number in their name in every byte."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, name: str) -> Image:
        self.names.append(name)
        return np.full((10, 10, 3), int(name), np.uint8)


@pytest.mark.parametrize(
    ("budget", "read"), [(0, "1210212"), (2 * EACH, "12021"), (3 * EACH - 1, "12021"), (3 * EACH, "120")]
)
def test_the_ones_asked_last_are_kept(budget: int, read: str) -> None:
    reader = Reader()
    recent = LRUCache(reader, budget)
    for name in "122102122":
        assert (recent.get(name) == int(name)).all()
    assert "".join(reader.names) == read


def test_who_asks_at_once_waits_for_one_reading() -> None:
    begun, go_on = threading.Event(), threading.Event()
    reader = Reader()

    def slow(name: str) -> Image:
        begun.set()
        assert go_on.wait(30)
        return reader(name)

    recent = LRUCache(slow, 0)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(recent.get, "7")
        assert begun.wait(30)
        others = [pool.submit(recent.get, "7") for _ in range(2)]
        go_on.set()
        assert all(future.result() is first.result() for future in others)
    assert reader.names == ["7"]


def test_what_can_not_be_read_is_told_each_time() -> None:
    requested: list[str] = []

    def broken(name: str) -> Image:
        requested.append(name)
        raise BrokenFileError(f"{name} is cut off", "fssbench data check")

    recent = LRUCache(broken, EACH)
    for _ in range(2):
        with pytest.raises(BrokenFileError, match="p1 is cut off"):
            recent.get("p1")
    assert requested == ["p1", "p1"]
