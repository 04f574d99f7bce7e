"""What keeps a measured row from being compared with those beside it: another protocol, other data, other episodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fssbench.tables.measured import MeasuredFold, Measurement

EPISODES = "episode list"


@dataclass
class Neighbours:
    """Measurements that may be compared with each other: how many of them have which protocol, data and episodes."""

    counts: dict[Hashable, Majority] = field(default_factory=dict)

    def add(self, one: Measurement) -> None:
        """Count one more."""
        for _, where, what in _traits(one):
            self.counts.setdefault(where, Majority()).add(what)

    def differences(self, one: Measurement) -> list[str]:
        """Return in what a measurement differs from most of the others, or from each where no two agree.

        Args:
            one: One of those that were added, or a shard, which is counted among them for itself only.
        """
        found = {
            name: None
            for name, where, what in _traits(one)
            if self.counts.get(where, Majority()).excludes(what, uncounted=one.run.is_shard)
        }
        return list(found)


class Majority:
    """How often each of some values is there."""

    def __init__(self) -> None:
        self._counts: Counter[Hashable] = Counter()
        self._first: list[tuple[Hashable, int]] | None = None

    def add(self, value: Hashable) -> None:
        """Count one more."""
        self._counts[value] += 1
        self._first = None

    def excludes(self, value: Hashable, *, uncounted: bool = False) -> bool:
        """Return whether another value is there as often as this one, or more often.

        Without a majority nobody is the odd one out: each is.

        Args:
            value: One of the values.
            uncounted: Whether it has to be counted once more.
        """
        if self._first is None:
            self._first = self._counts.most_common(2)
        others = max((times for other, times in self._first if other != value), default=0)
        return others >= self._counts[value] + uncounted


def _traits(one: Measurement) -> Iterator[tuple[str, Hashable, Hashable]]:
    """Yield what is compared: its name in a remark, what it is compared within, and what this one has."""
    yield "protocol", "protocol", one.run.protocol
    yield "data", "data", one.run.dataset.fingerprint
    for number, fold in one.folds.items():
        yield EPISODES, (EPISODES, number), _asked(fold)


def _asked(fold: MeasuredFold) -> tuple[str, int]:
    return fold.record.episodes_hash, fold.summary.episodes
