"""What is left to evaluate of each fold of several runs: by one of several processes, and up to each look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fssbench.engine.order import remaining
from fssbench.planning.cut import numbers_of

if TYPE_CHECKING:
    from fssbench.engine.folds import RunJob
    from fssbench.engine.processes import Processes
    from fssbench.episode import EpisodeList
    from fssbench.results.rows import Row

Part = tuple[int, "EpisodeList", list[int]]
"""The index of a run, the list of a fold, and the numbers of episodes."""


def shares_of(
    folds: Sequence[int], jobs: Sequence[RunJob], rows: Sequence[Sequence[Row]], processes: Processes
) -> dict[int, list[Part]]:
    """Return what one process has to evaluate of each fold.

    The numbers are in the order of evaluation; episodes that have a row are left out.
    """
    parts: list[Part] = []
    for place, job in enumerate(jobs):
        numbers = remaining(job.run, job.lists, rows[place], job.in_shard)
        parts += [(place, *of_list) for of_list in zip(job.lists, numbers, strict=True)]
    share = _divided(parts, processes)
    return {fold: [part for part in share if part[1].fold == fold and part[2]] for fold in folds}


def between(parts: Sequence[Part], first: int, end: int | None) -> list[Part]:
    """Return the episodes whose numbers are at least `first` and below `end`; None for no end."""
    found = [
        (place, episodes, [n for n in numbers if first <= n and (end is None or n < end)])
        for place, episodes, numbers in parts
    ]
    return [part for part in found if part[2]]


def _divided(parts: Sequence[Part], processes: Processes) -> Sequence[Part]:
    """Return the share of one process, in the same order."""
    if processes.size == 1:
        return parts
    lists = [(episodes.fold, [episodes[number] for number in numbers]) for _, episodes, numbers in parts]
    found = numbers_of(lists, processes.shard)
    return [
        (place, episodes, [numbers[index] for index in indices])
        for (place, episodes, numbers), indices in zip(parts, found, strict=True)
    ]
