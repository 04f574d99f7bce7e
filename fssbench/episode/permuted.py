"""Draws without replacement that depend on a key alone: not on a generator's state, nor on the version of NumPy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from math import comb
from typing import TypeVar

T = TypeVar("T")

Key = tuple[str | int, ...]
"""What a draw depends on."""


def number_of(key: Key) -> int:
    """Return a number of 256 bits that looks random, the same for a key everywhere: its sha256."""
    text = json.dumps(key, separators=(",", ":"), ensure_ascii=True)
    return int.from_bytes(hashlib.sha256(text.encode("ascii")).digest(), "big")


def permuted(size: int, key: Key) -> Iterator[int]:
    """Yield the numbers 0..size - 1 in an order drawn by a key; a longer prefix begins with a shorter one.

    This is the shuffle of Fisher and Yates. Only the places that were swapped are kept, so `size` may be any number.
    """
    moved: dict[int, int] = {}
    for place in range(size):
        other = place + number_of((*key, place)) % (size - place)
        yield moved.get(other, other)
        moved[other] = moved.pop(place, place)


def permuted_sets(items: Sequence[T], count: int, key: Key) -> Iterator[tuple[T, ...]]:
    """Yield all sets of `count` different items in an order drawn by a key; each set has the items in their order."""
    for number in permuted(comb(len(items), count), key):
        yield tuple(items[place] for place in _places(number, len(items), count))


def _places(number: int, size: int, count: int) -> Iterator[int]:
    """Yield the places in the set with a number, where all sets of `count` of `size` places are in order."""
    first = 0
    for left in range(count, 0, -1):
        every = comb(size - first, left)
        # The next place is the last for which at most `number` sets come before all those that begin with it.
        low, high = first, size - left
        while low < high:
            middle = (low + high + 1) // 2
            if every - comb(size - middle, left) <= number:
                low = middle
            else:
                high = middle - 1
        number -= every - comb(size - low, left)
        yield low
        first = low + 1
