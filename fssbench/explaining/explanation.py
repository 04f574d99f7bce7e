"""Why two runs differ, as values: what each choice is worth, how that was found, and what is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fssbench.explaining.worth import Measure, Worth

if TYPE_CHECKING:
    from fssbench.explaining.causes import Cause
    from fssbench.results.replayed import RowDifferences

How = Literal["only difference", "rows", "predictions", "predictions resized", "run again", "not tested"]
HOW: dict[How, str] = {
    "only difference": "all else is the same",
    "rows": "from the rows",
    "predictions": "saved predictions counted again",
    "predictions resized": "saved label maps brought to the other size by nearest neighbour: an approximation",
    "run again": "run again",
    "not tested": "not tested",
}
"""How the worth of a choice was found, in words."""


@dataclass(frozen=True)
class Effect:
    """What one choice is worth, changed alone.

    Attributes:
        how: How it was found.
        worth: The difference; None if it was not tested.
        reason: Why it was not tested.
        command: The command that would test it; empty if none would.
        unchanged: Whether it changes no pixel of any episode.
    """

    how: How
    worth: Worth | None = None
    reason: str = ""
    command: str = ""
    unchanged: bool = False


@dataclass(frozen=True)
class Finding:
    """A choice in which the runs differ.

    Attributes:
        cause: The choice.
        from_a: The first run with the second's choice, against the first run.
        from_b: The second run, against the second with the first's choice.
    """

    cause: Cause
    from_a: Effect
    from_b: Effect


@dataclass(frozen=True)
class Explanation:
    """Why two runs differ.

    Attributes:
        names: The names of the runs.
        folders: Their folders.
        title: Data set, folds, and numbers of episodes.
        measure: The metric.
        total: The second run against the first.
        paired: Whether both have the same episodes.
        findings: The choices that differ.
        rows: How far the rows of the same episodes differ; None if the runs have no episode in common.
        common: The difference on the episodes that both have, and how many these are; None if it is that of `total`.
        notes: Caveats that belong to the numbers.
    """

    names: tuple[str, str]
    folders: tuple[str, str]
    title: str
    measure: Measure
    total: Worth
    paired: bool
    findings: tuple[Finding, ...]
    rows: RowDifferences | None
    common: tuple[Worth, int] | None = None
    notes: tuple[str, ...] = ()

    def left(self, side: Literal["a", "b"]) -> float:
        """Return the points that the choices changed one at a time, from one run, do not explain."""
        effects = [one.from_a if side == "a" else one.from_b for one in self.findings]
        return self.total.points - sum(one.worth.points for one in effects if one.worth is not None)

    @property
    def tested(self) -> bool:
        """Whether every choice was tested from both runs."""
        return all(one.worth is not None for each in self.findings for one in (each.from_a, each.from_b))
