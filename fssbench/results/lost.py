"""Objects that lose their last pixel when a label map is resized, counted over the episodes of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Lost:
    """How many objects are lost by resizing, over the episodes of a run.

    Attributes:
        supports: Number of supports without a pixel of their class at the input size. A support that is used several
            times is counted several times.
        support_episodes: Number of episodes with such a support.
        empty_episodes: Number of those episodes in which no support of some class has a pixel of it.
        query_episodes: Number of episodes with a class that is in the query, but has no pixel at the size at which
            pixels are counted.
        absent_episodes: Number of episodes whose query has no pixel of any class of the episode, at the original size.
            0 in FS-CS and in lists with absent queries, where such queries are intended.
    """

    supports: int = 0
    support_episodes: int = 0
    empty_episodes: int = 0
    query_episodes: int = 0
    absent_episodes: int = 0

    def __bool__(self) -> bool:
        """Return whether anything is lost."""
        return bool(self.support_episodes or self.query_episodes or self.absent_episodes)

    def describe(self) -> str:
        """Return what is lost, for a footnote; empty if nothing is."""
        supports = f"a support has no object in {self.support_episodes} episodes" if self.support_episodes else ""
        queries = f"the query's object is lost in {self.query_episodes} episodes" if self.query_episodes else ""
        absent = f"the query has no class of the episode in {self.absent_episodes}" if self.absent_episodes else ""
        return ", ".join(filter(None, (supports, queries, absent)))


NOTHING = Lost()


def lost_in(frame: pd.DataFrame, task: str, *, absent: bool = False) -> Lost:
    """Count what is lost in the rows of a run; see `fssbench.results.Row.lost_supports` and `lost_query`.

    Args:
        frame: The rows.
        task: "fss" or "fscs".
        absent: Whether the list has absent queries on purpose; they are not lost then.
    """
    supports = [
        (lost, names) for lost, names in zip(*_columns(frame, "lost_supports", "supports"), strict=True) if lost
    ]
    return Lost(
        supports=sum(sum(lost) for lost, _ in supports),
        support_episodes=len(supports),
        empty_episodes=sum(any(n == len(k) for n, k in zip(lost, names, strict=True)) for lost, names in supports),
        query_episodes=sum(lost is not None for [lost] in zip(*_columns(frame, "lost_query"), strict=True)),
        absent_episodes=0 if absent or task == "fscs" else sum(not any(there) for there in frame["truth"]),
    )


def _columns(frame: pd.DataFrame, *names: str) -> list[Sequence[tuple[int, ...] | None]]:
    """Return columns of a frame of rows; all are empty if one is missing."""
    there = all(name in frame.columns for name in names)
    return [frame[name].tolist() if there else [] for name in names]
