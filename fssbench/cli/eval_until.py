"""`fssbench eval --until`: the option, and what does not go with it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from fssbench.cli.help import EPISODES
from fssbench.errors import UsageError

if TYPE_CHECKING:
    from fssbench.engine.processes import Processes
    from fssbench.planning.plan import Plan

_HALF_WIDTH = re.compile(r"(?:±|\+-|\+/-)?\s*(\d{1,3}(?:\.\d{1,9})?|\.\d{1,9})")


def half_width(text: str) -> float:
    """Return half the width of an interval, typed as "±0.5" or "0.5".

    Raises:
        UsageError: If it is neither.
    """
    found = _HALF_WIDTH.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"--until is half the width of an interval, in points of mIoU, not '{text}'", "--until 0.5")
    return float(found[1])


@dataclass(frozen=True)
class UntilOption:
    """The option that ends an evaluation when its interval is narrow."""

    until: Annotated[
        float | None,
        typer.Option(
            "--until",
            metavar="±X",
            parser=half_width,
            help="End when mIoU is known to ±X points (95 %), by looks that are fixed before; --limit is the most.",
            show_default="the whole list",
            rich_help_panel=EPISODES,
        ),
    ] = None


def check_until(plans: Sequence[Plan], processes: Processes) -> None:
    """Refuse several processes, and runs whose looks are not after the same numbers of episodes.

    Raises:
        UsageError: With what differs.
    """
    rules = [one.until for one in plans if one.until is not None]
    if not rules:
        return
    if processes.size > 1:
        raise UsageError(
            "--until goes with one process, which has the rows of all episodes at each look",
            "start it without torchrun, or fix the number of episodes: --limit 500",
        )
    longest = {rule.schedule[-1] for rule in rules}
    if len({rule.schedule for rule in rules}) > 1:
        raise UsageError(
            f"--until ends these runs together, but their lists have {' and '.join(map(str, sorted(longest)))} episodes"
            if len(longest) > 1
            else "--until ends these runs together, but their lists have different numbers of classes",
            "evaluate them one by one, or give all one --protocol or --limit",
        )
