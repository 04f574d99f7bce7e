"""One of several equal parts of a run, for runs that outgrow one process or machine."""

from __future__ import annotations

from dataclasses import dataclass

from fssbench.errors import UsageError


@dataclass(frozen=True)
class Shard:
    """One of several equal parts of a run.

    Attributes:
        part: Its number, from 1.
        of: How many there are.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise UsageError(
                f"of {self.count} shards there is no shard {self.number}",
                f"--shard 1/{self.count} to --shard {self.count}/{self.count}" if self.count > 0 else "--shard 1/8",
            )

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return the share that "2/8" names.

        Raises:
            UsageError: If it names none.
        """
        first, slash, second = text.partition("/")
        if not (slash and all(its.isascii() and its.isdecimal() and len(its) < 10 for its in (first, second))):
            raise UsageError(f"a shard is named part/parts, not '{text}'", "--shard 1/8")
        return cls(int(first), int(second))

    def bounds(self, length: int) -> tuple[int, int]:
        """Return where the share begins and ends in a sequence; shares differ by one at most."""
        return (self.number - 1) * length // self.count, self.number * length // self.count

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


WHOLE = Shard(1, 1)
