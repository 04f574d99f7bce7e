"""The record of a run that goes on until its interval is narrow (`fssbench eval --until`)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar, Literal, Self

from fssbench.metrics.looks import level_of_each
from fssbench.metrics.summary import LEVEL

_CONFIG: dict[str, object] = {"extra": "forbid", "strict": True, "allow_inf_nan": False}
_ROUNDING = 1e-6
_MOST_LOOKS = 100
_MOST_EPISODES = 1 << 53
UNKNOWN = 100.0
"""The half width of an interval that can't be given."""


@dataclass(frozen=True)
class Look:
    """One look at the interval.

    Attributes:
        episodes: The first so many episodes of each list had been evaluated.
        miou: The mean mIoU over the folds, in per cent.
        half_width: Half the width of its interval at the level of each look, in percentage points; the longer half,
            where the interval ends at 0 or 100; 100 if it can't be given.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _CONFIG

    episodes: int
    miou: float
    half_width: float

    @property
    def reach(self) -> str:
        """The half width as text."""
        return f"±{self.half_width:.2f}" if self.half_width < UNKNOWN else "no interval"


@dataclass(frozen=True)
class Until:
    """The rule by which a run ends, and the looks that were made.

    Attributes:
        half_width: The run ends at the first look whose interval of mIoU has at most this half width, in percentage
            points.
        schedule: After how many episodes of each list to look, increasing; the last are all that are requested.
        level_of_each: Level of the interval of each look (`fssbench.metrics.looks`).
        level: Probability with which the intervals of all looks together hold the truth.
        together: How many runs were evaluated in one pass, which ends when the intervals of all of them are narrow.
        looks: The looks that were made.
        stopped: Why the run has ended: "narrow", or "end" of the list; empty while it has not.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _CONFIG

    half_width: float
    schedule: tuple[int, ...]
    level_of_each: float
    level: float = LEVEL
    together: int = 1
    looks: tuple[Look, ...] = ()
    stopped: Literal["", "narrow", "end"] = ""

    def __post_init__(self) -> None:
        """Refuse a record that is not a rule: a level that is too low would give intervals that are too narrow."""
        made = tuple(look.episodes for look in self.looks)
        if not (
            self.half_width > 0
            and 0 < self.level < 1
            and self.together >= 1
            and 0 < len(self.schedule) <= _MOST_LOOKS
            and 0 < self.schedule[0] <= self.schedule[-1] < _MOST_EPISODES
            and all(one < other for one, other in pairwise(self.schedule))
            and made == self.schedule[: len(made)]
            and (made or not self.stopped)
            and all(math.isfinite(look.miou) and look.half_width >= 0 for look in self.looks)
            and abs(self.level_of_each - level_of_each(self.schedule, self.level)) < _ROUNDING
        ):
            raise ValueError("the rule and its looks do not fit each other")

    @property
    def corrected(self) -> bool:
        """Whether the number of episodes may depend on the data, so that levels are corrected for the looks."""
        return len(self.schedule) > 1

    def continued(self, stored: Until | None) -> Self:
        """Return this rule with the looks that a stored run of it has made already."""
        return self if stored is None else replace(self, looks=stored.looks)

    def describe(self) -> str:
        """Return the rule and how the run ended by it, as a sentence for tables and terminals."""
        rule = f"--until ±{self.half_width:g}: the number of episodes was decided by the data"
        if not self.looks:
            return f"{rule}, and no look has been made yet"
        last = self.looks[-1]
        looks = f"look {len(self.looks)} of {len(self.schedule)}"
        several = f" of all {self.together} runs of the pass" if self.together > 1 else ""
        where = f"at {looks}, after {last.episodes} of {self.schedule[-1]} episodes of each list"
        if self.stopped == "narrow":
            ended = f"it ended {where}, at {last.reach}{several and f', when the intervals{several} were narrow'}"
        elif self.stopped == "end":
            ended = f"not reached{several}: {last.reach} after all {last.episodes} episodes of each list"
        else:
            ended = f"unfinished: {last.reach} {where}"
        return f"{rule}; {ended}; {self.describe_level()}"

    def describe_level(self) -> str:
        """Return what the correction does to intervals, as text."""
        each, whole = 100 * self.level_of_each, 100 * self.level
        return f"intervals are of {each:.2f} % each, so that those of all looks together hold in {whole:g} %"

    def __str__(self) -> str:
        return f"±{self.half_width:g}, looks after {', '.join(map(str, self.schedule))} episodes"


def decided_by_data(rules: Iterable[Until | None], level: float) -> float:
    """Return the level for intervals of runs, some of which may have ended by what they showed.

    Args:
        rules: The rule of each run, None where the number of episodes was fixed.
        level: The nominal level.

    Returns:
        The level of each of the looks at which one of the runs could have ended; `level` if all were fixed.
    """
    places = sorted({place for rule in rules if rule is not None and rule.corrected for place in rule.schedule})
    return level_of_each(tuple(places), level) if places else level
