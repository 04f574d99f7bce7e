"""Objects that are lost when a label map is brought to another size: episodes of a run that ask what is not shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Lost:
    """How much of what a run asks no network sees, or no count holds.

    Attributes:
        supports: Supports without a pixel of their class at the network's size, each as often as it is shown.
        support_episodes: Episodes with such a support.
        empty_episodes: Those of them with a class of which no support has a pixel.
        query_episodes: Episodes with a class that is in the query, but has no pixel at the size where counts are made.
        absent_episodes: Episodes whose query has no pixel of any class asked, at its own size. None in FS-CS, where
            such queries are asked on purpose.
    """

    supports: int = 0
    support_episodes: int = 0
    empty_episodes: int = 0
    query_episodes: int = 0
    absent_episodes: int = 0

    def __bool__(self) -> bool:
        """Return whether anything is lost."""
        return bool(self.support_episodes or self.query_episodes or self.absent_episodes)

    @property
    def words(self) -> str:
        """What is lost, for a footnote; empty if nothing is."""
        supports = f"a support shows no object in {self.support_episodes} episodes" if self.support_episodes else ""
        queries = f"the query's object is lost in {self.query_episodes} episodes" if self.query_episodes else ""
        absent = f"the query holds no class asked in {self.absent_episodes} episodes" if self.absent_episodes else ""
        return ", ".join(filter(None, (supports, queries, absent)))


NOTHING = Lost()


def lost_in(frame: pd.DataFrame, task: str) -> Lost:
    """Return what is lost in the rows of a run; see `fssbench.results.Row.lost_supports` and `lost_query`.

    Args:
        frame: The rows.
        task: "fss" or "fscs".
    """
    supports = [
        (lost, names) for lost, names in zip(*_columns(frame, "lost_supports", "supports"), strict=True) if lost
    ]
    return Lost(
        supports=sum(sum(lost) for lost, _ in supports),
        support_episodes=len(supports),
        empty_episodes=sum(any(n == len(k) for n, k in zip(lost, names, strict=True)) for lost, names in supports),
        query_episodes=sum(lost is not None for [lost] in zip(*_columns(frame, "lost_query"), strict=True)),
        absent_episodes=0 if task == "fscs" else sum(not any(there) for there in frame["truth"]),
    )


def _columns(frame: pd.DataFrame, *names: str) -> list[Sequence[tuple[int, ...] | None]]:
    """Return columns of a frame of rows, all empty if one is not there."""
    there = all(name in frame.columns for name in names)
    return [frame[name].tolist() if there else [] for name in names]
