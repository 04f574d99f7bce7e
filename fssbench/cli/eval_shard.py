"""`fssbench eval --shard`, and the shards of job arrays, whose jobs are told apart by environment variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fssbench.cli.console import say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fssbench.cli.eval_options import EvalOptions
    from fssbench.planning.plan import Plan
    from fssbench.planning.scheduler import Scheduled
    from fssbench.results.shard import Shard


def shard_of(
    options: EvalOptions, environment: Mapping[str, str], *, told: bool
) -> tuple[Shard | None, Scheduled | None]:
    """Return the shard to evaluate, None for the whole run, and what the environment says of it if nothing was typed.

    Args:
        options: The options of the command. A replay evaluates the shard of the run that it repeats.
        environment: The environment variables.
        told: Whether it is said that the environment decides.

    Raises:
        UsageError: If what was typed is not a shard, or the variables of the environment define none.
    """
    from fssbench.planning.scheduler import WHOLE_RUN, scheduled_shard
    from fssbench.results.shard import Shard

    if options.replay is not None:
        return None, None
    if options.shard is not None:
        return (None if options.shard == WHOLE_RUN else Shard.parse(options.shard)), None
    found = scheduled_shard(environment)
    if found is None or found.shard.count == 1:
        return None, found
    if told:
        say(f"shard {found.shard} by {found.variable}; --shard none would evaluate the whole run", err=True)
    return found.shard, found


def check_scheduled(scheduled: Scheduled, plans: Sequence[Plan]) -> None:
    """Refuse a shard of another array than the one that has begun a run.

    Raises:
        UsageError: If the folder of a run has shards of another count.
    """
    from fssbench.planning.scheduler import check_same_count

    for plan in plans:
        check_same_count(plan.out if scheduled.shard.count == 1 else plan.out.parent, scheduled)
