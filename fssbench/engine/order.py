"""The order in which episodes are evaluated, and its division into shards.

Rows carry the number of their episode and hold integers, so any order gives the same result. This order puts episodes
with the same images close to each other: by class, because supports come from the class, then by query.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence, Set
from typing import TYPE_CHECKING

from fssbench.episode import Episode, EpisodeList
from fssbench.results.shard import WHOLE, Shard

if TYPE_CHECKING:
    from fssbench.results.record import Run
    from fssbench.results.rows import Row


def order_of_work(
    episodes: Sequence[Episode],
    done: Set[int] = frozenset(),
    shard: Shard = WHOLE,
    among: Collection[int] | None = None,
) -> list[int]:
    """Return the numbers of the episodes of a shard that have no row yet, in the order of evaluation.

    The shard is cut from the order of all episodes, whether or not they have rows: it is the same at every start.

    Args:
        episodes: The requested episodes.
        done: Numbers of the episodes that have a row.
        shard: Which part of the order, for a run that is cut by the order.
        among: The numbers that a shard has, for a run that is cut by its seams.
    """
    if among is not None:
        return sorted((number for number in among if number not in done), key=lambda n: (*work_key(episodes[n]), n))
    order = sorted(range(len(episodes)), key=lambda number: (*work_key(episodes[number]), number))
    start, stop = shard.bounds(len(order))
    return [number for number in order[start:stop] if number not in done]


def remaining(
    run: Run,
    lists: Sequence[EpisodeList],
    rows: Iterable[Row],
    in_shard: Sequence[Collection[int]] | None = None,
    most: int | None = None,
) -> list[list[int]]:
    """Return for each list the numbers of the episodes that have no row yet, in the order of evaluation.

    Args:
        run: The run.
        lists: An episode list for each of its folds.
        rows: The rows that it has.
        in_shard: The numbers of each list that a shard has, for a run that is cut by its seams.
        most: The first episodes of each list that count; None for all that are requested.
    """
    done: dict[int, set[int]] = {}
    for row in rows:
        done.setdefault(row.fold, set()).add(row.episode)
    return [
        order_of_work(
            episodes[: run.requested(record)][:most],
            done.get(record.fold, frozenset()),
            run.as_shard,
            None if in_shard is None else in_shard[place],
        )
        for place, (record, episodes) in enumerate(zip(run.folds, lists, strict=True))
    ]


def work_key(episode: Episode) -> tuple[tuple[int, ...], str]:
    """Return the sort key of an episode. Episodes with equal keys have the same classes and the same query."""
    return episode.classes, episode.query
