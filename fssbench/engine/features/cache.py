"""The cache of features: it has a budget in bytes and knows when each entry is needed next.

The episodes and their order are known before the first one is evaluated. When the budget is exceeded, the cache evicts
the entry with the largest product of its size and the number of steps until its next use (Belady's rule, weighted by
size). An entry that is not needed again is removed at once.
"""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fssbench.fast.pytree import bytes_of

Key = TypeVar("Key", bound=Hashable)

NEVER = 1 << 62


@dataclass
class _Entry:
    value: Any
    bytes: int
    next_use: int


@dataclass
class CacheCounts:
    """How the cache was used.

    Attributes:
        hits: Look-ups that found an entry.
        misses: Look-ups that found none, so that the value had to be computed.
        evicted: Entries that were evicted although they were needed again.
        peak_bytes: Largest size of the cache.
    """

    hits: int = 0
    misses: int = 0
    evicted: int = 0
    peak_bytes: int = 0


class FeatureCache(Generic[Key]):
    """Values by key, within a budget.

    Args:
        budget: In bytes. With 0 nothing is entry.
        uses: For each key the steps at which it is needed, in rising order.
    """

    def __init__(self, budget: int, uses: dict[Key, list[int]]) -> None:
        self.budget = budget
        self.counts = CacheCounts()
        self._uses = uses
        self._entries: dict[Key, _Entry] = {}
        self._bytes = 0

    def __contains__(self, key: Key) -> bool:
        return key in self._entries

    def next_use(self, key: Key, step: int) -> int:
        """Return the first step, from `step` on, at which a key is needed; `NEVER` if there is none."""
        uses = self._uses.get(key, [])
        # Earlier uses are dropped, so that no search is needed.
        while uses and uses[0] < step:
            uses.pop(0)
        return uses[0] if uses else NEVER

    def get(self, key: Key) -> Any:  # noqa: ANN401 - values have any type
        """Return the value of a key; None if there is none."""
        entry = self._entries.get(key)
        if entry is None:
            self.counts.misses += 1
            return None
        self.counts.hits += 1
        return entry.value

    def put(self, key: Key, value: object, step: int) -> None:
        """Keep a value if it is needed from `step` on, unless other entries are worth more."""
        self.drop(key)
        next_use = self.next_use(key, step)
        size = bytes_of(value)
        if next_use == NEVER or size > self.budget:
            return
        self._entries[key] = _Entry(value, size, next_use)
        self._bytes += size
        self._evict(step)
        self.counts.peak_bytes = max(self.counts.peak_bytes, self._bytes)

    def fits(self, size: int, before: int = NEVER) -> bool:
        """Return whether a value of this size fits without evicting an entry that is needed before a step."""
        if self._bytes + size <= self.budget:
            return True
        return sum(entry.bytes for entry in self._entries.values() if entry.next_use < before) + size <= self.budget

    def mark_used(self, keys: Iterable[Key], step: int) -> None:
        """Update the next use of keys; remove those that are not needed from `step` on."""
        for key in keys:
            if key in self._entries:
                self._entries[key].next_use = self.next_use(key, step)
                if self._entries[key].next_use == NEVER:
                    self.drop(key)

    def shrink(self, budget: int, step: int) -> None:
        """Keep less from now on, and evict what is beyond that."""
        self.budget = budget
        self._evict(step)

    def evict(self, size: int, step: int, kept: Container[Key]) -> None:
        """Evict entries of together at least this size in bytes, as far as there are others than those to be kept."""
        others = sorted((key for key in self._entries if key not in kept), key=lambda key: self._cost(key, step))
        until = self._bytes - size
        while others and self._bytes > until:
            self.counts.evicted += 1
            self.drop(others.pop())

    @property
    def bytes(self) -> int:
        """Size of all entries."""
        return self._bytes

    def drop(self, key: Key) -> None:
        """Remove an entry, if it is there."""
        if (entry := self._entries.pop(key, None)) is not None:
            self._bytes -= entry.bytes

    def _evict(self, step: int) -> None:
        while self._bytes > self.budget:
            self.counts.evicted += 1
            self.drop(max(self._entries, key=lambda other: self._cost(other, step)))

    def _cost(self, key: Key, step: int) -> int:
        entry = self._entries[key]
        return entry.bytes * (entry.next_use - step + 1)
