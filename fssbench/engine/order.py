"""In which order episodes are answered, and how the work is cut into shares.

Rows carry the number of their episode and hold integers, so the order is free. This one asks the same images close to
each other: by class, because supports come from the class, then by query.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

from fssbench.episode import Episode
from fssbench.results.shard import WHOLE, Shard


def order_of_work(episodes: Sequence[Episode], done: Set[int] = frozenset(), share: Shard = WHOLE) -> list[int]:
    """Return the numbers of the episodes of a share that are still to be answered, in the order of work.

    The share is cut from the order of all episodes, whatever of them is done already: it is the same at every start.

    Args:
        episodes: All that are asked.
        done: Numbers of those that are answered.
        share: The part that is meant.
    """
    order = sorted(range(len(episodes)), key=lambda number: (*work_key(episodes[number]), number))
    start, stop = share.bounds(len(order))
    return [number for number in order[start:stop] if number not in done]


def work_key(episode: Episode) -> tuple[tuple[int, ...], str]:
    """Return what episodes are ordered by: those with equal keys ask the same classes in the same image."""
    return episode.classes, episode.query
