"""One of several equal parts of a run, for runs that outgrow one process or machine."""

from __future__ import annotations

from dataclasses import dataclass

from fssbench.errors import UsageError


@dataclass(frozen=True)
class Share:
    """One of several equal parts of a run.

    Attributes:
        part: Its number, from 1.
        of: How many there are.
    """

    part: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.part <= self.of:
            raise UsageError(
                f"of {self.of} shards there is no shard {self.part}",
                f"--shard 1/{self.of} to --shard {self.of}/{self.of}" if self.of > 0 else "--shard 1/8",
            )

    @classmethod
    def parse(cls, text: str) -> Share:
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
        return (self.part - 1) * length // self.of, self.part * length // self.of

    def __str__(self) -> str:
        return f"{self.part}/{self.of}"


WHOLE = Share(1, 1)
