"""The rule of `fssbench eval --until`, from what is known before the first episode: the lists and their classes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fssbench.errors import UsageError
from fssbench.metrics.looks import PER_CLASS, level_of_each, schedule_of
from fssbench.metrics.summary import LEVEL
from fssbench.results.until import Until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fssbench.episode import EpisodeList
    from fssbench.results.shard import Shard

_WIDEST = 50.0


def until_of(
    half_width: float,
    lists: Sequence[EpisodeList],
    limit: int | None = None,
    *,
    shard: Shard | None = None,
    together: int = 1,
) -> Until:
    """Return the rule by which a run ends when the interval of mIoU is narrow.

    The first look is after about 20 episodes of each class, the last at the end of the lists (or at the limit).

    Args:
        half_width: Half the width of the interval, in percentage points.
        lists: The episode list of each fold.
        limit: The most episodes of each list; default all.
        shard: The part of the lists that is evaluated; there must be none.
        together: How many runs are evaluated in one pass.

    Raises:
        UsageError: If the width is out of range, only a part of the lists is evaluated, a list has several runs, or
            there are too few episodes for a look before the end.
    """
    if not (math.isfinite(half_width) and 0.0 < half_width < _WIDEST):
        raise UsageError(
            f"--until is half the width of an interval, above 0 and below {_WIDEST:g} points, not {half_width:g}",
            "--until 0.5",
        )
    if shard is not None and shard.count > 1:
        raise UsageError(
            "--until looks at whole lists while they grow, and a shard has only a part of each",
            "--shard none, or fix the number of episodes: --limit 500",
        )
    if several := [one.fold for one in lists if one.run_length is not None and one.run_length < len(one)]:
        raise UsageError(
            f"--until goes through one list of episodes, and that of fold {several[0]} holds several runs",
            "--runs 1 evaluates one of them",
        )
    if any(one.references is not None or one.absent is not None for one in lists):
        raise UsageError(
            "--until goes with the episodes of a protocol, and these have further references or absent queries",
            "fix the number of episodes: --limit 500",
        )
    sizes = [len(one) if limit is None else min(limit, len(one)) for one in lists]
    classes = max(len({c for episode in one for c in episode.classes}) for one in lists)
    first, last = math.ceil(PER_CLASS * classes / max(1, lists[0].way)), max(sizes, default=0)
    schedule = schedule_of(last, first)
    if len(schedule) == 1:
        raise UsageError(
            f"--until looks for the first time after {first} episodes of each fold ({PER_CLASS} of each class), and at "
            f"most {last} would be evaluated: there is nothing to save",
            f"leave --until out, or allow more episodes, at least {2 * first}: --episodes or --limit",
        )
    return Until(half_width, schedule, level_of_each(schedule, LEVEL), LEVEL, together)
