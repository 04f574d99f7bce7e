"""Shards: equal parts of a run, for runs that are too large for one process or machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fssbench.errors import UsageError

Cut = Literal["order", "seams"]
"""How a run is divided: "order" cuts the order of work of each fold, as earlier versions do; "seams" cuts all folds so
that episodes with the same images stay together (`fssbench.planning.cut`)."""


@dataclass(frozen=True)
class Shard:
    """A shard: one of several equal parts of a run.

    Attributes:
        number: The number of the shard, from 1.
        count: The number of shards.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise UsageError(
                f"there is no shard {self.number} of {self.count}",
                f"--shard 1/{self.count} to --shard {self.count}/{self.count}" if self.count > 0 else "--shard 1/8",
            )

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Parse a shard such as "2/8".

        Raises:
            UsageError: If the text is not a shard.
        """
        first, slash, second = text.partition("/")
        if not (slash and all(part.isascii() and part.isdecimal() and len(part) < 10 for part in (first, second))):
            raise UsageError(f"a shard is written NUMBER/COUNT, not '{text}'", "--shard 1/8")
        return cls(int(first), int(second))

    def bounds(self, length: int) -> tuple[int, int]:
        """Return start and stop of the shard in a sequence; the lengths of the shards differ by at most one."""
        return (self.number - 1) * length // self.count, self.number * length // self.count

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


WHOLE = Shard(1, 1)
