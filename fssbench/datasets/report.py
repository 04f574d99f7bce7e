"""What a check of a data set found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

NOT_AT_HAND = "not counted"
"""Stands for a number that a missing or broken file keeps from being counted."""


@dataclass(frozen=True)
class Count:
    """One number that was counted.

    Attributes:
        what: What was counted.
        here: The number here, or `NOT_AT_HAND`.
        official: The number of the complete release; None where there is none to compare with.
        same: Whether it is as it should be: equal numbers, and for lists equal content.
        note: What more is to say, e.g. that a list is the release's.
    """

    what: str
    here: int | str
    official: int | None = None
    same: bool = True
    note: str = ""


@dataclass(frozen=True)
class Report:
    """What `check` found.

    Attributes:
        dataset: Name of the data set.
        root: Its folder; None if it is rendered.
        counts: The numbers.
        broken: Files that are there but not as they should be, a sentence each.
        missing: Files that are not there, a sentence each.
        notes: What is worth knowing but not wrong.
        faults: Of one's own data, what is wrong and what mends it.
    """

    dataset: str
    root: Path | None
    counts: tuple[Count, ...]
    broken: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    faults: tuple[tuple[str, str], ...] = ()

    @property
    def complete(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.broken or self.missing or self.faults) and all(count.same for count in self.counts)
