"""Why a measured row can't be compared with the other measured rows: another protocol, other data, other episodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fssbench.tables.measurements import Measurement


@dataclass
class Neighbours:
    """The measurements of one table, with counts of their protocols, data and episodes."""

    counts: dict[Hashable, Majority] = field(default_factory=dict)

    def add(self, one: Measurement) -> None:
        """Add a measurement."""
        for _, where, what in _traits(one):
            self.counts.setdefault(where, Majority()).add(what)

    def differences(self, one: Measurement) -> list[str]:
        """Return in what a measurement differs from most of the others, or from all of them if no two agree.

        Args:
            one: A measurement that was added; or a shard, which is not added but counted for this comparison.
        """
        found = {
            name: None
            for name, where, what in _traits(one)
            if self.counts.get(where, Majority()).excludes(what, uncounted=one.run.is_shard)
        }
        return list(found)


class Majority:
    """Counts how often each value occurs."""

    def __init__(self) -> None:
        self._counts: Counter[Hashable] = Counter()
        self._first: list[tuple[Hashable, int]] | None = None

    def add(self, value: Hashable) -> None:
        """Add a value."""
        self._counts[value] += 1
        self._first = None

    def excludes(self, value: Hashable, *, uncounted: bool = False) -> bool:
        """Return whether another value occurs as often as this one, or more often.

        If no value has a majority, every value is excluded.

        Args:
            value: One of the values.
            uncounted: Whether this occurrence of the value was not added.
        """
        if self._first is None:
            self._first = self._counts.most_common(2)
        others = max((times for other, times in self._first if other != value), default=0)
        return others >= self._counts[value] + uncounted


def _traits(one: Measurement) -> Iterator[tuple[str, Hashable, Hashable]]:
    """Yield what is compared: its name for the remark, the group within which it is compared, and its value."""
    yield "protocol", "protocol", one.run.protocol
    yield "data", "data", one.run.dataset.fingerprint
    for number, fold in one.folds.items():
        record = fold.record
        yield "episode list", ("episode list", number), record.episodes_hash
        yield "number of episodes", ("number of episodes", number), fold.summary.episodes
        classes = (record.classes, record.left_out, one.run.dataset.options.get("test_classes"))
        yield "unseen classes", ("unseen classes", number), classes
