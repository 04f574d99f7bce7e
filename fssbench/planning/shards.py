"""Which episodes a shard of a run has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.errors import FSSBenchError, UsageError
from fssbench.planning.cut import numbers_of
from fssbench.results.run_reader import RUN, Existing, read_run

if TYPE_CHECKING:
    from fssbench.episode import EpisodeList
    from fssbench.planning.request import Request
    from fssbench.results.record import Run
    from fssbench.results.shard import Cut, Shard

Numbers = tuple[tuple[int, ...], ...]
"""The numbers of the episodes of each list, rising."""


def numbers_in_shard(request: Request, lists: Sequence[EpisodeList], out: Path) -> Numbers | None:
    """Return the episodes that a requested shard has; None for a whole run, and for a shard cut by the order of work.

    Args:
        request: The request.
        lists: An episode list for each fold.
        out: The folder of the shard.

    Raises:
        UsageError: If the shard would be empty.
    """
    shard = request.shard
    if shard is None:
        return None
    sizes = [len(one) if request.limit is None else min(len(one), request.limit) for one in lists]
    if (request.cut or _cut_in(out, shard, request.existing)) == "order":
        _check_not_empty(shard, max(sizes, default=0), f"lists of {max(sizes, default=0)} episodes at most", len(lists))
        return None
    _check_not_empty(shard, sum(sizes), f"lists of {sum(sizes)} episodes", len(lists))
    found = numbers_of([(one.fold, one.episodes[:size]) for one, size in zip(lists, sizes, strict=True)], shard)
    return tuple(map(tuple, found))


def with_shard(run: Run, shard: Shard | None, numbers: Numbers | None) -> Run:
    """Return the record of a run as that of its shard.

    Args:
        run: The record of the whole run.
        shard: The shard; None for the whole run.
        numbers: From `numbers_in_shard`.
    """
    run = replace(run, shard=None if shard is None else (shard.number, shard.count))
    if numbers is None:
        return run
    folds = tuple(replace(fold, in_shard=len(found)) for fold, found in zip(run.folds, numbers, strict=True))
    return replace(run, cut="seams", folds=folds)


def _cut_in(out: Path, shard: Shard, existing: Existing | None) -> Cut:
    """Return how the shards of a run are cut: as those that are there, the one to be continued before the others."""
    others = sorted(out.parent.glob(f"shard-*-of-{shard.count}/{RUN}"))
    own = [out / RUN] if existing is Existing.RESUME else []
    for path in (*own, *(path for path in others if path.parent != out)):
        try:
            return read_run(path.parent).cut
        except FSSBenchError:
            continue  # it is reported where it is continued or merged
    return "seams"


def _check_not_empty(shard: Shard, most: int, lists: str, count: int) -> None:
    if shard.count > most:
        raise UsageError(
            f"shard {shard} of {f'{most} episodes' if count == 1 else lists} is empty",
            f"use at most as many shards as episodes: --shard 1/{most} to --shard {most}/{most}",
        )
