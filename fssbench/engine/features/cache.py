"""What is kept between episodes: a store with a budget in bytes that knows when each thing is needed next.

The episodes and their order are known before the first is answered. So what goes when room is short is what is needed
latest, in bytes times the time it would lie idle (Belady's rule, weighted by size); what is not needed again goes at
once.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fssbench.fast.pytree import bytes_of

Key = TypeVar("Key", bound=Hashable)

NEVER = 1 << 62


@dataclass
class _Kept:
    value: Any
    bytes: int
    next_use: int


@dataclass
class CacheCounts:
    """What a store was asked.

    Attributes:
        hits: Things that were there.
        misses: Things that had to be made.
        evicted: Things that went for lack of room though they were needed again.
        peak_bytes: The most that was held.
    """

    hits: int = 0
    misses: int = 0
    evicted: int = 0
    peak_bytes: int = 0


class FeatureCache(Generic[Key]):
    """Things by key, within a budget.

    Args:
        budget: In bytes; with 0 nothing is kept.
        uses: For each key the steps at which it is needed, rising.
    """

    def __init__(self, budget: int, uses: dict[Key, list[int]]) -> None:
        self.budget = budget
        self.count = CacheCounts()
        self._uses = uses
        self._kept: dict[Key, _Kept] = {}
        self._held = 0

    def __contains__(self, key: Key) -> bool:
        return key in self._kept

    def next_use(self, key: Key, step: int) -> int:
        """Return the first step from `step` on at which a key is needed; `NEVER` if there is none."""
        uses = self._uses.get(key, [])
        # Uses before now are forgotten, so that this does not search.
        while uses and uses[0] < step:
            uses.pop(0)
        return uses[0] if uses else NEVER

    def get(self, key: Key) -> Any:  # noqa: ANN401 - holds all kinds of things
        """Return what is kept under a key, None if nothing is."""
        kept = self._kept.get(key)
        if kept is None:
            self.count.misses += 1
            return None
        self.count.hits += 1
        return kept.value

    def put(self, key: Key, value: object, step: int) -> None:
        """Keep a thing, if it is needed from `step` on and worth more room than others."""
        self.drop(key)
        next_use = self.next_use(key, step)
        size = bytes_of(value)
        if next_use == NEVER or size > self.budget:
            return
        self._kept[key] = _Kept(value, size, next_use)
        self._held += size
        while self._held > self.budget:
            self.count.evicted += 1
            self.drop(max(self._kept, key=lambda its: self._idle(its, step)))
        self.count.peak_bytes = max(self.count.peak_bytes, self._held)

    def has_room(self, size: int, before: int = NEVER) -> bool:
        """Return whether so many bytes fit without anything having to go that is needed before a step."""
        if self._held + size <= self.budget:
            return True
        return sum(its.bytes for its in self._kept.values() if its.next_use < before) + size <= self.budget

    def pass_by(self, keys: Iterable[Key], step: int) -> None:
        """Note that keys were used; what is not needed from `step` on goes."""
        for key in keys:
            if key in self._kept:
                self._kept[key].next_use = self.next_use(key, step)
                if self._kept[key].next_use == NEVER:
                    self.drop(key)

    def drop(self, key: Key) -> None:
        """Let a thing go, if it is there."""
        if (kept := self._kept.pop(key, None)) is not None:
            self._held -= kept.bytes

    def _idle(self, key: Key, step: int) -> int:
        kept = self._kept[key]
        return kept.bytes * (kept.next_use - step + 1)
